"""`check`: everything that a run will need, looked at before one needs it."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from klaviyo_pipeline.cli.output import as_json, print_json, printable


@click.command()
@as_json
def check(json_: bool) -> None:
    """Check settings, transfers, the database, and every account that is used. Exit code 1 if anything is wrong."""
    from klaviyo_pipeline.transfers.setup_check import check_all

    findings = check_all()
    if json_:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            click.echo(printable(f"{'ok    ' if finding.ok else 'WRONG '} {finding.what}: {finding.text}"))
    sys.exit(0 if all(finding.ok for finding in findings) else 1)
