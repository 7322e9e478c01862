"""The command line: thin calls of library functions. Functions import what they need, so that a command starts fast.

Exit codes: 0 success; 1 a run or a check failed; 2 an argument, a file or a setting is wrong.
"""

from __future__ import annotations

from pathlib import Path

import click

from klaviyo_pipeline.cli.account import account
from klaviyo_pipeline.cli.auth import auth
from klaviyo_pipeline.cli.chart import chart
from klaviyo_pipeline.cli.check import check
from klaviyo_pipeline.cli.copy import copy_
from klaviyo_pipeline.cli.demo import demo, with_sandbox
from klaviyo_pipeline.cli.failing import Commands
from klaviyo_pipeline.cli.init import init
from klaviyo_pipeline.cli.landed import ledger, rewind
from klaviyo_pipeline.cli.load import load
from klaviyo_pipeline.cli.maintain import maintain
from klaviyo_pipeline.cli.person import apply_privacy, erase, export
from klaviyo_pipeline.cli.preview import preview
from klaviyo_pipeline.cli.reconcile import reconcile
from klaviyo_pipeline.cli.report import report
from klaviyo_pipeline.cli.sources import sources
from klaviyo_pipeline.cli.status import status
from klaviyo_pipeline.cli.sweep import sweep
from klaviyo_pipeline.cli.transfer import transfer
from klaviyo_pipeline.sandbox.command import sandbox


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="klaviyo-pipeline", prog_name="klaviyo-pipeline")
def main() -> None:
    """Load Klaviyo into DuckDB as Dagster assets.

    Settings come from the environment, and from a file .env in this folder. Exit codes: 0 success; 1 a run or a check
    failed; 2 an argument, a file or a setting is wrong.
    """
    if Path(".env").is_file():
        from dotenv import load_dotenv

        load_dotenv(".env")


for _command in (
    apply_privacy,
    account,
    auth,
    chart,
    check,
    copy_,
    demo,
    init,
    erase,
    export,
    ledger,
    load,
    maintain,
    preview,
    reconcile,
    report,
    rewind,
    sandbox,
    sources,
    status,
    sweep,
    transfer,
    with_sandbox,
):
    main.add_command(_command)
