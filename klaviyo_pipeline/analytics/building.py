"""Makes the tables of analytics: DuckDB reads, counts and writes; no row passes through Python."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from klaviyo_pipeline.analytics.amounts import MACROS as AMOUNT_MACROS
from klaviyo_pipeline.analytics.metric_roles import role_of
from klaviyo_pipeline.analytics.tables import UNREADABLE, AnalyticsTable, sql_of
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.loads.table import DUCKDB_TYPES
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.errors import TableMissingError
from klaviyo_pipeline.warehouse.local_days import FIRST_YEAR, LAST_YEAR, local_day
from klaviyo_pipeline.warehouse.sql import quote, quoted_list
from klaviyo_pipeline.warehouse.tables import DELETED_AT, Table, existing_columns, full_name, shape, typed_path

if TYPE_CHECKING:
    import duckdb

_DAYS_OF = {
    "events": ("datetime",),
    "campaigns": ("send_time",),
    "list_profiles": ("joined_group_at", DELETED_AT),
}
"""The times that SQL files take the day of."""
_MACROS = (
    *AMOUNT_MACROS,
    "order_number(properties) AS coalesce(text_property(properties, 'OrderId'), "
    "text_property(properties, 'Order ID'), text_property(properties, '$event_id'))",
)


@dataclass(frozen=True)
class Built:
    """What was made: the table as a person can type it, its rows, and how long the database was held.

    ``unreadable_values`` counts events whose ``$value`` is no amount; None for a table that does not count them.
    """

    table_path: str
    rows: int
    duration_s: float
    unreadable_values: int | None = None


def analytics_schema(schema: str) -> str:
    """The schema of analytics, beside that of what was loaded."""
    return f"{schema}_analytics"


def build(database: Database, table: AnalyticsTable, schema: str, zone: ZoneInfo) -> Built:
    """Make a table anew from what has been loaded, in one transaction: a reader sees the old rows or the new ones.

    Args:
        database: The database.
        table: What to make; it goes to the schema ``analytics_schema(schema)``.
        schema: The schema of what was loaded.
        zone: The account's time zone: where days begin.

    Raises:
        TableMissingError: if a table that it is made from has not been loaded.
        WarehouseError: if the database can not be read or written; the table is as it was.
    """
    with database.writing() as con:
        held_from = time.monotonic()
        _check_sources(con, table, schema)
        _prepare(con, table, schema, zone)
        declared = Table(analytics_schema(schema), table.name, table.columns, (), table.description.split("\n")[0])
        target = full_name(con, declared.schema, declared.name)
        con.begin()
        try:
            shape(con, declared, declared.columns)
            con.execute(f"DELETE FROM {target}")
            con.execute(f"INSERT INTO {target} BY NAME {table.sql}")
            counts_unreadable = any(column.name == UNREADABLE for column in table.columns)
            unreadable = f"coalesce(sum({UNREADABLE}), 0)::BIGINT" if counts_unreadable else "NULL"
            rows, unread = con.execute(f"SELECT count(*), {unreadable} FROM {target}").fetchall()[0]
            con.commit()
        except BaseException:
            con.rollback()
            raise
        return Built(typed_path(con, declared), rows, time.monotonic() - held_from, unread)


def _check_sources(con: duckdb.DuckDBPyConnection, table: AnalyticsTable, schema: str) -> None:
    missing = [name for name in table.made_from if not existing_columns(con, schema, name)]
    if missing:
        assets = " and ".join(f"klaviyo/{name}" for name in missing)
        raise TableMissingError(
            f"{table.name} is made from {_listed(table.made_from)} in schema {schema}, but {_listed(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not there yet: materialize {assets} first."
        )


def _prepare(con: duckdb.DuckDBPyConnection, table: AnalyticsTable, schema: str, zone: ZoneInfo) -> None:
    """What the SQL files refer to: the loaded tables by their plain names, the roles of metrics, a few functions."""
    for source in table.made_from:
        con.execute(f"CREATE TEMP VIEW {quote(source)} AS {_all_columns(con, source, schema)}")
    con.execute(f"CREATE TEMP MACRO day_of(instant) AS {local_day(zone, 'instant', *_span(con, table))}")
    for macro in _MACROS:
        con.execute(f"CREATE TEMP MACRO {macro}")
    if "metrics" in table.made_from:
        names = con.execute("SELECT id, name FROM metrics").fetchall()
        roles = [(metric_id, role) for metric_id, name in names if (role := role_of(name))]
        con.execute("CREATE TEMP TABLE metric_roles (metric_id VARCHAR, role VARCHAR)")
        if roles:
            con.executemany("INSERT INTO metric_roles VALUES (?, ?)", roles)
    for step in table.steps:
        con.execute(f"CREATE TEMP VIEW {quote(step)} AS {sql_of(step)}")


def _span(con: duckdb.DuckDBPyConnection, table: AnalyticsTable) -> tuple[datetime, datetime]:
    """Between which times the days of a table lie."""
    columns = [(source, column) for source in table.made_from for column in _DAYS_OF.get(source, ())]
    every = " UNION ALL ".join(f"SELECT min({column}) AS low, max({column}) AS high FROM {s}" for s, column in columns)
    low, high = con.execute(f"SELECT year(min(low)), year(max(high)) FROM ({every})").fetchall()[0]
    first, last = (min(max(year or FIRST_YEAR, FIRST_YEAR), LAST_YEAR) for year in (low, high))
    return datetime(first, 1, 1, tzinfo=UTC), datetime(last, 12, 31, tzinfo=UTC)


def _all_columns(con: duckdb.DuckDBPyConnection, source: str, schema: str) -> str:
    """A loaded table with the columns that it has, and those that an option left out as nulls."""
    there = [column.name for column in existing_columns(con, schema, source)]
    wanted = {column.name: DUCKDB_TYPES[column.type] for column in SOURCES[source].columns} | {
        DELETED_AT: "TIMESTAMPTZ"
    }
    absent = [f"NULL::{kind} AS {quote(name)}" for name, kind in wanted.items() if name not in there]
    return f"SELECT {', '.join([quoted_list(there), *absent])} FROM {full_name(con, schema, source)}"


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
