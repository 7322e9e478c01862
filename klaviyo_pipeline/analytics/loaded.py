"""A session's view of the loaded tables: by their plain names, with fingerprints of their days."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from klaviyo_pipeline.analytics.amounts import MACROS as AMOUNT_MACROS
from klaviyo_pipeline.analytics.metric_roles import role_of
from klaviyo_pipeline.analytics.steps import DAYS
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.loads.table import DUCKDB_TYPES
from klaviyo_pipeline.warehouse.errors import TableMissingError
from klaviyo_pipeline.warehouse.local_days import FIRST_YEAR, LAST_YEAR, local_day
from klaviyo_pipeline.warehouse.sql import quote, quoted_list
from klaviyo_pipeline.warehouse.tables import DELETED_AT, LOADED_AT, existing_columns, full_name

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from klaviyo_pipeline.analytics.tables import AnalyticsTable

MACROS = (
    *AMOUNT_MACROS,
    "order_number(properties) AS coalesce(text_property(properties, 'OrderId'), "
    "text_property(properties, 'Order ID'), text_property(properties, '$event_id'))",
)
_TIMES = {
    "events": ("datetime",),
    "campaigns": ("send_time",),
    "list_profiles": ("joined_group_at", DELETED_AT),
    "profiles": ("created",),
    "consents": ("last_updated",),
    "list_counts": ("observed_at",),
    "segment_counts": ("observed_at",),
    "suppressions": ("suppressed_at", DELETED_AT),
}
"""The times that SQL files take the day of."""
_MARGIN = timedelta(days=2)
"""A local day lies within this of the same day in UTC."""


@dataclass(frozen=True)
class Fingerprint:
    """The fingerprint of a day's rows: their number, and the sum of the hashes of their witness columns."""

    rows: int
    hashes: str


Fingerprints = Mapping[date | None, Fingerprint]
"""The days of a loaded table; None for rows without a time."""


class Loaded:
    """The loaded tables that an analytics table reads, in one session.

    Args:
        con: The session.
        table: The table to build.
        schema: The schema of the loaded tables.
        zone: The account's time zone: where days begin.

    Raises:
        TableMissingError: if a table that it reads has not been loaded.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, table: AnalyticsTable, schema: str, zone: ZoneInfo) -> None:
        self._con, self._table, self._schema = con, table, schema
        _check_sources(con, table, schema)
        for source in table.made_from:
            self._show(source)
        con.execute(f"CREATE OR REPLACE TEMP MACRO day_of(instant) AS {local_day(zone, 'instant', *self._span())}")
        for macro in MACROS:
            con.execute(f"CREATE OR REPLACE TEMP MACRO {macro}")
        self.roles = self._note_roles() if "metrics" in table.made_from else {}

    def fingerprints(self, source: str) -> Fingerprints:
        """The fingerprints of a loaded table's days, of those that ``show_days`` left."""
        days = DAYS[source]
        found = self._con.execute(
            f"SELECT day_of({days.time}), count(*), sum(hash({', '.join(days.witnesses)}))::VARCHAR "
            f"FROM {quote(source)} GROUP BY ALL"
        ).fetchall()
        return {day: Fingerprint(rows, hashes) for day, rows, hashes in found}

    def days_of_metrics(self, metric_ids: Iterable[str]) -> set[date | None]:
        """The days on which there are events of these metrics."""
        wanted = list(metric_ids)
        if not wanted:
            return set()
        query = "SELECT DISTINCT day_of(datetime) FROM events WHERE list_contains(?, metric_id)"
        return {row[0] for row in self._con.execute(query, [wanted]).fetchall()}

    def show_days(self, source: str, first: date | None, last: date | None) -> None:
        """Leave only the rows of these days, both included, in a loaded table; None for those without a time."""
        column = DAYS[source].time
        if first is None or last is None:
            self._show(source, f"WHERE {column} IS NULL")
            return
        # By time first, so that DuckDB skips what lies elsewhere.
        low, high = (_shifted(first, -_MARGIN), _shifted(last, _MARGIN))
        self._show(
            source,
            f"WHERE {column} BETWEEN TIMESTAMPTZ '{low}' AND TIMESTAMPTZ '{high}' "
            f"AND day_of({column}) BETWEEN DATE '{first}' AND DATE '{last}'",
        )

    def show_all(self, source: str) -> None:
        """Show all rows of a loaded table again."""
        self._show(source)

    def rows(self, sql: str) -> pa.RecordBatchReader:
        """The rows of a query over the loaded tables."""
        return self._con.sql(sql).to_arrow_reader()

    def _show(self, source: str, condition: str = "") -> None:
        """A loaded table with the columns that it has, and those that an option left out as nulls."""
        there = [column.name for column in existing_columns(self._con, self._schema, source)]
        wanted = {column.name: DUCKDB_TYPES[column.type] for column in SOURCES[source].columns}
        wanted |= {DELETED_AT: "TIMESTAMPTZ", LOADED_AT: "TIMESTAMPTZ"}
        absent = [f"NULL::{kind} AS {quote(name)}" for name, kind in wanted.items() if name not in there]
        self._con.execute(
            f"CREATE OR REPLACE TEMP VIEW {quote(source)} AS SELECT {', '.join([quoted_list(there), *absent])} "
            f"FROM {full_name(self._con, self._schema, source)} {condition}"
        )

    def _span(self) -> tuple[datetime, datetime]:
        """Between which times the days of the loaded tables lie."""
        columns = [(source, column) for source in self._table.made_from for column in _TIMES.get(source, ())]
        every = " UNION ALL ".join(f"SELECT min({c}) AS low, max({c}) AS high FROM {s}" for s, c in columns)
        low, high = self._con.execute(f"SELECT year(min(low)), year(max(high)) FROM ({every})").fetchall()[0]
        first, last = (min(max(year or FIRST_YEAR, FIRST_YEAR), LAST_YEAR) for year in (low, high))
        return datetime(first, 1, 1, tzinfo=UTC), datetime(last, 12, 31, tzinfo=UTC)

    def _note_roles(self) -> dict[str, str]:
        """The metrics that have a role, also as a table for SQL files."""
        names = self._con.execute("SELECT id, max(name) FROM metrics WHERE id IS NOT NULL GROUP BY id").fetchall()
        roles = {metric_id: role for metric_id, name in names if (role := role_of(name))}
        self._con.execute("CREATE OR REPLACE TEMP TABLE metric_roles (metric_id VARCHAR, role VARCHAR)")
        if roles:
            self._con.executemany("INSERT INTO metric_roles VALUES (?, ?)", list(roles.items()))
        return roles


def missing_sources(table: AnalyticsTable, schema: str, missing: Iterable[str]) -> TableMissingError:
    """The error that names the missing tables."""
    names = list(missing)
    assets = " and ".join(f"klaviyo/{name}" for name in names)
    return TableMissingError(
        f"{table.name} is made from {_listed(table.made_from)} in schema {schema}, but {_listed(names)} "
        f"{'is' if len(names) == 1 else 'are'} not there yet: materialize {assets} first."
    )


def _check_sources(con: duckdb.DuckDBPyConnection, table: AnalyticsTable, schema: str) -> None:
    missing = [name for name in table.made_from if not existing_columns(con, schema, name)]
    if missing:
        raise missing_sources(table, schema, missing)


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _shifted(day: date, by: timedelta) -> datetime:
    try:
        return datetime.combine(day, time(), UTC) + by
    except OverflowError:
        return datetime.combine(day, time(), UTC)
