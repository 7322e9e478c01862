"""Rewrites values of tables that have landed, in one transaction, and every byte of the old ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from klaviyo_pipeline.warehouse import ledger
from klaviyo_pipeline.warehouse.interface import transaction
from klaviyo_pipeline.warehouse.ledger import LEDGER
from klaviyo_pipeline.warehouse.purging import check_purgeable, purge
from klaviyo_pipeline.warehouse.sql import quote
from klaviyo_pipeline.warehouse.tables import existing_columns, full_name, has_table

if TYPE_CHECKING:
    from datetime import datetime

    import duckdb

    from klaviyo_pipeline.warehouse.interface import Warehouse

Change = Callable[[str, str, bool], str | None]
"""Makes of a column's name, its text, and whether that is JSON, the new text."""
_CHANGED = "temp.main._klaviyo_pipeline_rewritten"
_ROWS_AT_ONCE = 50_000


def rewrite(
    database: Warehouse,
    schema: str,
    columns: Callable[[str], Sequence[str]],
    change: Callable[[str], Change | None],
    now: datetime,
) -> dict[str, int]:
    """Rewrite columns of the tables in a schema that loads have written.

    Args:
        database: The database; it is purged if a value changes.
        schema: The schema.
        columns: The columns to rewrite, by data source.
        change: What makes the new texts, by data source; None for a data source whose tables stay.
        now: The time for the ledger (aware).

    Returns:
        How many values changed, by table.

    Raises:
        WarehouseError: The database cannot be read or written. Nothing changed.
    """
    check_purgeable(database)
    counts: dict[str, int] = {}
    with database.writing() as con, transaction(con):
        for table, data_source in _tables(con, schema):
            by = change(data_source)
            there = {column.name: column.type for column in existing_columns(con, schema, table)}
            wanted = [name for name in columns(data_source) if name in there]
            if by is None or not wanted:
                continue
            full = full_name(con, schema, table)
            count = sum(_rewritten(con, full, name, there[name], by) for name in wanted)
            if count:
                counts[f"{schema}.{table}"] = count
        for table, count in counts.items():
            ledger.record(
                con, ledger.Entry("privacy", table, table_name=table, details={"values": count}, landed_at=now)
            )
    if counts:
        purge(database)
    return counts


def _tables(con: duckdb.DuckDBPyConnection, schema: str) -> list[tuple[str, str]]:
    """The tables of a schema that loads have written, with their data sources."""
    if not has_table(con, LEDGER.schema, LEDGER.name):
        return []
    found = con.execute(
        "SELECT DISTINCT table_name, coalesce(data_source, source) FROM "
        f"{full_name(con, LEDGER.schema, LEDGER.name)} WHERE kind = 'load' AND starts_with(table_name, ?) ORDER BY ALL",
        [f"{schema}."],
    ).fetchall()
    return [(table.removeprefix(f"{schema}."), data_source) for table, data_source in found]


def _rewritten(con: duckdb.DuckDBPyConnection, full: str, name: str, kind: str, by: Change) -> int:
    """How many values of a column were rewritten."""
    if kind not in ("VARCHAR", "JSON"):  # of these values nothing but null is made
        where = f"{quote(name)} IS NOT NULL"
        count = int(con.execute(f"SELECT count(*) FROM {full} WHERE {where}").fetchall()[0][0])
        con.execute(f"UPDATE {full} SET {quote(name)} = NULL WHERE {where}")
        return count
    count, first = 0, 0
    last = int(con.execute(f"SELECT coalesce(max(rowid), -1) FROM {full}").fetchall()[0][0])
    while first <= last:
        rows = con.execute(
            f"SELECT rowid, CAST({quote(name)} AS VARCHAR) FROM {full} "
            f"WHERE rowid BETWEEN ? AND ? AND {quote(name)} IS NOT NULL",
            [first, first + _ROWS_AT_ONCE - 1],
        ).fetchall()
        first += _ROWS_AT_ONCE
        made = [(row, by(name, text, kind == "JSON"), text) for row, text in rows]
        changed = [(row, new) for row, new, old in made if new != old]
        if not changed:
            continue
        set_texts(con, full, name, changed)
        count += len(changed)
    return count


def set_texts(
    con: duckdb.DuckDBPyConnection, full: str, column: str, changed: Sequence[tuple[int, str | None]]
) -> None:
    """Give rows of a table, each by its row id, another text in a column."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE {_CHANGED} (row_at BIGINT, said VARCHAR)")
    con.execute(
        f"INSERT INTO {_CHANGED} SELECT unnest(?), unnest(?)",
        [[row for row, _ in changed], [text for _, text in changed]],
    )
    con.execute(f"UPDATE {full} AS t SET {quote(column)} = c.said FROM {_CHANGED} AS c WHERE t.rowid = c.row_at")
