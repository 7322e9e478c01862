"""The newest load of each table, from the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from klaviyo_pipeline.times import from_microseconds
from klaviyo_pipeline.warehouse.errors import TableShapeError
from klaviyo_pipeline.warehouse.ledger import LEDGER
from klaviyo_pipeline.warehouse.sql import quote
from klaviyo_pipeline.warehouse.tables import existing_columns, full_name

if TYPE_CHECKING:
    import duckdb


_OF_EVERY_VERSION = {
    *("entry", "landed_at", "kind", "source", "table_name", "window_end"),
    *("inserted", "updated", "deleted", "total_rows", "requests", "duration_s"),
}
"""Columns that the ledger of every version of this package has."""


@dataclass(frozen=True)
class LatestLoad:
    """The newest load into a table under one name.

    Attributes:
        landed_at: When it was committed, UTC.
        until: The end of the newest window that any of its loads has landed, UTC; a read without a window counts as one
            that ends at its commit.
        rows: Rows of the table after it.
        requests: Requests that it took.
        fetch_s: Seconds that its fetch took.
        account: Klaviyo's public id of the account; blank if it is not known.
        revision: The API revision that answered; blank if it is not known.
    """

    landed_at: datetime
    until: datetime
    rows: int
    requests: int
    fetch_s: float
    account: str
    revision: str


def latest_loads(con: duckdb.DuckDBPyConnection) -> Mapping[tuple[str, str], LatestLoad]:
    """The newest loads by the load's name and the table (``schema.name``); empty without a ledger.

    Raises:
        TableShapeError: if another program made the ledger.
    """
    there = _columns(con)
    if not there:
        return {}
    account = "arg_max(account, entry)" if "account" in there else "NULL"
    rows = con.execute(
        "SELECT source, table_name, epoch_us(max(landed_at)), epoch_us(max(coalesce(window_end, landed_at))), "
        f"arg_max(total_rows, entry), arg_max(requests, entry), arg_max(duration_s, entry), {account}, "
        "arg_max(revision, entry) "
        f"FROM {full_name(con, LEDGER.schema, LEDGER.name)} "
        "WHERE kind = 'load' AND table_name IS NOT NULL GROUP BY ALL"
    ).fetchall()
    return {
        (source, table): LatestLoad(
            landed_at=from_microseconds(landed),
            until=from_microseconds(until),
            rows=total or 0,
            requests=requests or 0,
            fetch_s=seconds or 0.0,
            account=named or "",
            revision=revision or "",
        )
        for source, table, landed, until, total, requests, seconds, named, revision in rows
    }


def first_day_loaded(con: duckdb.DuckDBPyConnection) -> datetime | None:
    """The start of the earliest partitions that a load has landed, UTC; None if no load had partitions."""
    if not existing_columns(con, LEDGER.schema, LEDGER.name):
        return None
    found = con.execute(
        f"SELECT epoch_us(min(window_start)) FROM {full_name(con, LEDGER.schema, LEDGER.name)} "
        "WHERE kind = 'load' AND json_array_length(partitions) > 0"
    ).fetchall()
    return None if found[0][0] is None else from_microseconds(found[0][0])


def changes_since(con: duckdb.DuckDBPyConnection, moment: datetime) -> list[tuple[str, int, int, int, int, int]]:
    """What loads have changed after a moment (aware): table, loads, rows inserted, updated and deleted, rows now.

    Raises:
        TableShapeError: if another program made the ledger.
    """
    if not _columns(con):
        return []
    return con.execute(
        "SELECT table_name, count(*), coalesce(sum(inserted), 0)::BIGINT, coalesce(sum(updated), 0)::BIGINT, "
        "coalesce(sum(deleted), 0)::BIGINT, coalesce(arg_max(total_rows, entry), 0) "
        f"FROM {full_name(con, LEDGER.schema, LEDGER.name)} "
        "WHERE kind = 'load' AND table_name IS NOT NULL AND landed_at > ? GROUP BY table_name ORDER BY min(entry)",
        [moment],
    ).fetchall()


def _columns(con: duckdb.DuckDBPyConnection) -> set[str]:
    """The ledger's columns; none without a ledger."""
    there = {column.name for column in existing_columns(con, LEDGER.schema, LEDGER.name)}
    if there and (lacking := sorted(_OF_EVERY_VERSION - there)):
        raise TableShapeError(
            f"The table {LEDGER.plain_name} lacks {', '.join(lacking)}, so another program made it. "
            "Use another database."
        )
    return there


def newest_time(
    con: duckdb.DuckDBPyConnection, schema: str, table: str, column: str, not_after: datetime
) -> datetime | None:
    """The latest time in a column up to a moment (aware), UTC; None without rows, or without such a column.

    Later times are left out, because stores send events with dates in the future.
    """
    if column not in {each.name for each in existing_columns(con, schema, table)}:
        return None
    name = quote(column)
    found = con.execute(
        f"SELECT epoch_us(max({name})) FROM {full_name(con, schema, table)} WHERE {name} <= ?", [not_after]
    ).fetchall()
    return None if found[0][0] is None else from_microseconds(found[0][0])
