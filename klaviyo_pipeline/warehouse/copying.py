"""Copies everything from one destination to another, the ledger too: the next run continues where the last ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from klaviyo_pipeline.warehouse.errors import WarehouseError
from klaviyo_pipeline.warehouse.interface import Warehouse, transaction
from klaviyo_pipeline.warehouse.ledger import LEDGER
from klaviyo_pipeline.warehouse.sql import fold, qualified, quoted_list
from klaviyo_pipeline.warehouse.tables import Column, Table, divide_by_day, full_name, has_table, shape

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Copied:
    """What was copied: the rows by table (``schema.name``), and the views, which were not."""

    rows: dict[str, int]
    views: list[str]


@dataclass(frozen=True)
class _Original:
    """A table of the source: its quoted name there, and how it is to be in the target."""

    full: str
    table: Table
    data_source: str


def copy(source: Warehouse, target: Warehouse, by_day: Mapping[str, str]) -> Copied:
    """Copy all tables in one transaction. Loads into the source wait meanwhile if it is a file.

    Args:
        source: The destination to copy from; it does not change.
        target: Where the tables go. It must be empty; it is made if it is missing.
        by_day: Of a data source the time that never changes, by whose days the files of its tables are divided in a
            lake.

    Raises:
        DatabaseMissingError: There is no such source.
        WarehouseError: The target has tables, or a copy does not have all rows. The target has no tables then.
    """
    if fold(source.catalog) == fold(target.catalog):
        raise WarehouseError(
            f"{source.name} and {target.name} have the same name in DuckDB, {source.catalog}, so they cannot be open "
            "together. Rename the file for the copy."
        )
    with target.writing() as con:
        _refuse_tables(con, target)
        with source.lent_to(con):
            originals = _originals(con, source.catalog)
            con.execute(f"USE {qualified(target.catalog, 'main')}")
            with transaction(con):
                rows = {each.table.plain_name: _copy(con, each, by_day) for each in originals}
            return Copied(rows, _views(con, source.catalog))


def _refuse_tables(con: duckdb.DuckDBPyConnection, target: Warehouse) -> None:
    found = con.execute(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE database_name = ? ORDER BY ALL",
        [target.catalog],
    ).fetchall()
    if found:
        raise WarehouseError(
            f"{target.name} has tables already, such as {found[0][0]}, so nothing was copied. Choose an empty "
            "destination."
        )


def _originals(con: duckdb.DuckDBPyConnection, catalog: str) -> list[_Original]:
    """The tables of the source, which is in use."""
    sources = _data_sources(con)
    tables = con.execute(
        "SELECT schema_name, table_name, coalesce(comment, '') FROM duckdb_tables() "
        "WHERE database_name = ? AND NOT temporary ORDER BY ALL",
        [catalog],
    ).fetchall()
    found = []
    for schema, name, comment in tables:
        columns = con.execute(
            "SELECT column_name, data_type, coalesce(comment, '') FROM duckdb_columns() "
            "WHERE database_name = ? AND schema_name = ? AND table_name = ? ORDER BY column_index",
            [catalog, schema, name],
        ).fetchall()
        # In klaviyo.duckdb the tables of schema klaviyo are in main; see `resolve_schema`.
        ours = fold(f"{catalog}.{name}") in sources
        schema_of_ours = catalog if schema == "main" and ours else schema
        named = Table(schema_of_ours, name, tuple(Column(*each) for each in columns), (), comment)
        found.append(_Original(qualified(catalog, schema, name), named, sources.get(fold(named.plain_name), "")))
    return found


def _data_sources(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The data sources of the tables that the ledger knows, by ``schema.name``; blank if it does not say."""
    if not has_table(con, LEDGER.schema, LEDGER.name):
        return {}
    name = full_name(con, LEDGER.schema, LEDGER.name)
    known = {row[0] for row in con.execute(f"DESCRIBE {name}").fetchall()}
    source = "max(data_source)" if "data_source" in known else "NULL"
    rows = con.execute(f"SELECT table_name, {source} FROM {name} WHERE table_name IS NOT NULL GROUP BY ALL").fetchall()
    return {fold(table): data_source or "" for table, data_source in rows}


def _copy(con: duckdb.DuckDBPyConnection, original: _Original, by_day: Mapping[str, str]) -> int:
    table = original.table
    shape(con, table, table.columns)
    target = full_name(con, table.schema, table.name)
    if time := by_day.get(original.data_source):
        divide_by_day(con, target, time)
    names = quoted_list(column.name for column in table.columns)
    con.execute(f"INSERT INTO {target} ({names}) SELECT {names} FROM {original.full}")
    before, after = (con.execute(f"SELECT count(*) FROM {each}").fetchall()[0][0] for each in (original.full, target))
    if before != after:
        raise WarehouseError(f"The copy of {table.plain_name} has {after:,} of {before:,} rows, so nothing was copied.")
    return int(after)


def _views(con: duckdb.DuckDBPyConnection, catalog: str) -> list[str]:
    found = con.execute(
        "SELECT schema_name || '.' || view_name FROM duckdb_views() "
        "WHERE database_name = ? AND NOT internal ORDER BY ALL",
        [catalog],
    ).fetchall()
    return [name for (name,) in found]
