"""`status`: is everything in, fresh, and free of errors?"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from klaviyo_pipeline.cli.folder import transfers_folder
from klaviyo_pipeline.cli.output import as_json, print_json, print_table, printable

if TYPE_CHECKING:
    from klaviyo_pipeline.status.model import Status, TableStatus

_HEADERS = ["table", "state", "rows", "newest row", "last load", "lag", "late by", "next run", "limit used"]


@click.command()
@click.option("--problems", is_flag=True, help="Show only the tables that need a person.")
@as_json
def status(problems: bool, json_: bool) -> None:
    """Show the state of every table: rows, newest row, last load, lag, next run, and the last error.

    Exit code 1 if a table was never loaded, is late, or failed to load last; 0 otherwise. The lag is measured from the
    end of the newest window that has landed. A table is late by its asset's freshness policy; a transfer is late if a
    scheduled run has not landed an hour after its time.
    """
    from klaviyo_pipeline.definitions import defs
    from klaviyo_pipeline.orchestration import dagster_home
    from klaviyo_pipeline.status.gather import gather

    with dagster_home.kept_instance() as instance:
        found = gather(defs.get_repository_def(), instance, transfers_folder())
    shown = found.problems if problems else found.tables
    if json_:
        print_json({**asdict(found), "tables": [asdict(table) for table in shown], "ok": not found.problems})
    else:
        _print(found, shown)
    sys.exit(1 if found.problems else 0)


def _print(found: Status, shown: Sequence[TableStatus]) -> None:
    print_table(_HEADERS, [_row(table) for table in shown])
    for table in shown:
        if table.error:
            click.echo(printable(f"{table.asset} {table.state}: {table.error}"))
    for quota in found.quotas:
        click.echo(
            f"Quota {quota.quota} of account {quota.account}: {quota.left} of {quota.a_day} requests left today."
        )
    for disk in found.disk:
        click.echo(f"Disk: {disk.bytes / 1e6:,.1f} MB, {disk.what} {disk.path}")
    for warning in found.warnings:
        click.echo(warning)
    bad = len(found.problems)
    click.echo(f"{len(found.tables) - bad} of {len(found.tables)} tables are well." if bad else "All tables are well.")


def _row(table: TableStatus) -> list[Any]:
    return [
        table.table or table.asset,
        table.state.value,
        "" if table.rows is None else f"{table.rows:,}",
        _minute(table.newest_row),
        _minute(table.last_load),
        _length(table.lag_s),
        _length(table.late_s),
        _minute(table.next_run),
        "" if table.rate_limit_used is None else f"{table.rate_limit_used:.0%}",
    ]


def _minute(moment: Any) -> str:  # noqa: ANN401 - a datetime or None
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""


def _length(seconds: float | None) -> str:
    """A length of time in its two largest units: ``3 h 20 min``."""
    if seconds is None:
        return ""
    minutes = int(timedelta(seconds=max(seconds, 0)).total_seconds() // 60)
    days, hours = divmod(minutes // 60, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
