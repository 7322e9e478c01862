"""`report`: one HTML file about the tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from klaviyo_pipeline.cli.folder import transfers_folder
from klaviyo_pipeline.cli.output import as_json, print_json

if TYPE_CHECKING:
    from klaviyo_pipeline.report.model import Report


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    help="The HTML file.  [default: KLAVIYO_REPORT, else klaviyo-report.html beside the database]",
)
@click.option(
    "--mail", "recipients", help="Mail the file to these addresses too, by the server in KLAVIYO_SMTP_SERVER."
)
@as_json
def report(output: str | None, recipients: str | None, json_: bool) -> None:
    """Write the report: one HTML file that opens from disk without a network.

    It has the state of every table, charts over the last 90 days, the comparison with Klaviyo's own counts, the results
    of checks, and what changed since yesterday. It has sums and names of metrics, campaigns, flows and lists, and no
    data about people.
    """
    from klaviyo_pipeline import grammar
    from klaviyo_pipeline.definitions import defs
    from klaviyo_pipeline.orchestration import dagster_home
    from klaviyo_pipeline.paths import file_path
    from klaviyo_pipeline.report.assets import report_file, write_report
    from klaviyo_pipeline.report.gather import gather
    from klaviyo_pipeline.status.scope import scope_of_project

    if recipients:
        recipients = grammar.mail_addresses(recipients, "--mail")
    file = file_path(output, "--output") if output else report_file()
    with dagster_home.kept_instance() as instance:
        found = gather(defs.get_repository_def(), instance, scope_of_project(transfers_folder()))
    size = write_report(found, file)
    if not json_:
        click.echo(f"Wrote the report to {file}, {size / 1e6:.1f} MB.")
    if recipients:
        _mail(file, found, recipients)
    if json_:
        print_json({"file": str(file), "bytes": size, "mailed_to": recipients.split(",") if recipients else []})
    elif recipients:
        click.echo(f"Mailed it to {recipients}.")


def _mail(file: Path, found: Report, recipients: str) -> None:
    from klaviyo_pipeline import environment
    from klaviyo_pipeline.alerts.messages import mail_with_page
    from klaviyo_pipeline.alerts.smtp import MailServer, send
    from klaviyo_pipeline.status import wording

    sender = environment.ALERT_MAIL_FROM.value or recipients.split(",")[0]
    subject = f"Klaviyo report of {wording.minute(found.at)} UTC"
    text, page = wording.verdict(found.status), file.read_bytes()
    message = mail_with_page(subject, text, page, name=file.name, sender=sender, recipients=recipients)
    send(message, MailServer.of_environment())
