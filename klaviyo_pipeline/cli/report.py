"""`report`: one HTML file about the tables."""

from __future__ import annotations

import click

from klaviyo_pipeline.cli.folder import transfers_folder


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    help="The HTML file.  [default: KLAVIYO_REPORT, else klaviyo-report.html beside the database]",
)
def report(output: str | None) -> None:
    """Write the report: one HTML file that opens from disk without a network.

    It has the state of every table, charts over the last 90 days, the comparison with Klaviyo's own counts, the results
    of checks, and what changed since yesterday. It has sums and names of metrics, campaigns, flows and lists, and no
    data about people.
    """
    from klaviyo_pipeline.definitions import defs
    from klaviyo_pipeline.orchestration import dagster_home
    from klaviyo_pipeline.paths import file_path
    from klaviyo_pipeline.report.assets import report_file, write_report
    from klaviyo_pipeline.report.gather import gather

    file = file_path(output, "--output") if output else report_file()
    with dagster_home.kept_instance() as instance:
        found = gather(defs.get_repository_def(), instance, transfers_folder())
    size = write_report(found, file)
    click.echo(f"Wrote the report to {file}, {size / 1e6:.1f} MB.")
