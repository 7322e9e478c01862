"""`ledger` and `rewind`: show the ledger, and move the watermark back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from klaviyo_pipeline import clock
from klaviyo_pipeline.cli.account import of_account
from klaviyo_pipeline.cli.failing import WrongInput
from klaviyo_pipeline.cli.folder import transfers_folder
from klaviyo_pipeline.cli.output import as_json, cell, print_json, print_table

if TYPE_CHECKING:
    from klaviyo_pipeline.warehouse.interface import Warehouse

_database = click.option(
    "--database", default="", help="A DuckDB file or name; by default the database of the transfer or project."
)


@click.command()
@click.argument("source", required=False)
@click.option("-n", "--limit", default=20, show_default=True, type=click.IntRange(1), help="Number of lines to show.")
@_database
@as_json
def ledger(source: str | None, limit: int, database: str, json_: bool) -> None:
    """List the loads in the ledger, newest first: all, or those of SOURCE (a data source or a transfer)."""
    from dataclasses import asdict

    from klaviyo_pipeline.warehouse import ledger as ledgers

    name, file = _named(source, database) if source else (None, _project(database))
    entries = ledgers.history(file, name, limit=limit)
    if json_:
        print_json([asdict(entry) for entry in entries])
        return
    rows = [
        [
            entry.landed_at,
            # An erasure has no source, and its line names its kind in that place.
            entry.source if entry.kind in ("load", entry.source) else f"{entry.source} ({entry.kind})",
            entry.table_name or "all tables",
            entry.write_mode,
            window_text(entry.window_start, entry.window_end) if entry.kind == "load" else cell(entry.window_end),
            entry.rows_fetched,
            entry.rows_outside_window,
            entry.inserted,
            entry.updated,
            entry.deleted,
        ]
        for entry in entries
    ]
    headers = ["landed at", "source", "table", "mode", "window", "fetched", "outside", "inserted", "updated", "deleted"]
    print_table(headers, rows, widest=60)
    if not rows:
        click.echo(f"No load has landed in {file.name} yet.", err=True)


@click.command()
@click.argument("source")
@click.option("--to", required=True, help="The start, ISO 8601.")
@_database
@of_account
@as_json
def rewind(source: str, to: str, database: str, account: str | None, json_: bool) -> None:
    """Set the start of the next incremental run of SOURCE (a data source or a transfer)."""
    from klaviyo_pipeline.accounts.parts import account_parts
    from klaviyo_pipeline.accounts.validation import DEFAULT
    from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
    from klaviyo_pipeline.times import parse_time
    from klaviyo_pipeline.warehouse import ledger as ledgers

    name, file = _named(source, database)
    of = account_parts(account) if account or name in SOURCES else account_parts(DEFAULT)
    if account and not database and name in SOURCES:
        file = of.duckdb.warehouse()
    moment = parse_time(to, of.duckdb.zone, "--to")
    if moment >= clock.now():
        raise WrongInput(f"--to is {to!r}, which lies in the future.")
    if not file.exists():
        raise WrongInput(f"There is no database at {file.name} yet, so you cannot rewind.")
    # Accounts with one database have loads of the same names, into tables of their own.
    own = None if of.name == DEFAULT or name not in SOURCES else f"{of.duckdb.schema_or_default}.{name}"
    ledgers.rewind(file, name, moment, table=own)
    if json_:
        print_json({"source": name, "to": moment, "database": file.name})
    else:
        click.echo(f"The next incremental run of {name} begins at {cell(moment)}.")


def window_text(start: object, end: object) -> str:
    """The text of a window."""
    if end is None:
        return ""
    return f"{cell(start) or 'beginning'} - {cell(end)}".replace(" UTC", "")


def _named(source: str, database: str) -> tuple[str, Warehouse]:
    """A load's name in the ledger, and the database it lands in."""
    from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
    from klaviyo_pipeline.similar import did_you_mean
    from klaviyo_pipeline.transfers.file.model import source_name
    from klaviyo_pipeline.transfers.loading import KEY_PREFIX, ledger_name

    folder = transfers_folder()
    if source_name(source) in SOURCES:
        return source_name(source), _project(database)
    plain = source.removeprefix(f"{KEY_PREFIX}/")
    if folder.path_of(plain) is not None:
        return ledger_name(plain), _project(database or folder.get(plain).transfer.database_file)
    names = (*SOURCES, *(file.name for file in folder.all()))
    raise WrongInput(f"SOURCE is {source!r}, but there is no such data source or transfer{did_you_mean(source, names)}")


def _project(database: str) -> Warehouse:
    from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
    from klaviyo_pipeline.transfers.file.model import database_file

    return KlaviyoDuckDBResource().at(database_file(database)).warehouse()
