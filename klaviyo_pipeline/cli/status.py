"""`status`: is everything in, fresh, and free of errors?"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import click

from klaviyo_pipeline.cli.account import of_account
from klaviyo_pipeline.cli.folder import transfers_folder
from klaviyo_pipeline.cli.output import as_json, print_json, print_table, printable
from klaviyo_pipeline.status import wording

if TYPE_CHECKING:
    from klaviyo_pipeline.status.model import Status, TableStatus

PATIENCE_S = 30.0
"""A monitor wants an answer soon. A load holds the database for moments."""


@click.command()
@click.option("--problems", is_flag=True, help="Show only the tables that need a person.")
@of_account
@as_json
def status(problems: bool, account: str | None, json_: bool) -> None:
    """Show the state of every table of all accounts, or of one: rows, times, lag, next run, and the last error.

    Exit code 1 if a table was never loaded, is late, or failed to load last, or an account is wrong; 0 otherwise. The
    lag is measured from the end of the newest window that has landed. A table is late by its asset's freshness policy;
    a transfer is late if a scheduled run has not landed an hour after its time.
    """
    from klaviyo_pipeline.definitions import defs
    from klaviyo_pipeline.orchestration import dagster_home
    from klaviyo_pipeline.status.gather import gather, of_one
    from klaviyo_pipeline.status.scope import scope_of_project

    with dagster_home.kept_instance() as instance:
        scope = scope_of_project(transfers_folder()).patient(PATIENCE_S)
        found = of_one(gather(defs.get_repository_def(), instance, scope), account)
    shown = found.problems if problems else found.tables
    if json_:
        print_json({**asdict(found), "tables": [asdict(table) for table in shown], "ok": not found.problems})
    else:
        _print(found, shown)
    sys.exit(1 if found.problems else 0)


def _print(found: Status, shown: Sequence[TableStatus]) -> None:
    print_table(wording.HEADERS, [wording.row(table) for table in shown])
    for sentence in (*wording.errors(replace(found, tables=shown)), *wording.sentences(found)):
        click.echo(printable(sentence))
