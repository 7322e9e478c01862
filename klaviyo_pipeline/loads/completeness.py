"""The landed days of a data source by the ledger, compared with Dagster's partition status."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from klaviyo_pipeline import clock
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.times import start_of
from klaviyo_pipeline.warehouse import ledger

if TYPE_CHECKING:
    import duckdb

    from klaviyo_pipeline.warehouse.interface import Warehouse

DAY = timedelta(days=1)
Span = ledger.Span
DayRange = tuple[date, date]
"""A first and a last day, both included."""


@dataclass(frozen=True)
class LandedDays:
    """The days of a period: landed completely, in part, or not at all. Today can only have landed in part."""

    complete: tuple[date, ...]
    partial: tuple[date, ...]
    missing: tuple[date, ...]
    spans: tuple[Span, ...]
    """What has landed, as the ledger has it: half-open, a start of None is from ever."""

    def disagreeing(self, materialized: Iterable[str]) -> tuple[date, ...]:
        """Days of the period that Dagster shows as materialized (by partition key) but that have not landed.

        Such days come from a run whose config had other times than its partition, or from a database that was
        replaced or restored.
        """
        shown = set(materialized)
        return tuple(day for day in self.missing if day.isoformat() in shown)


def landed_days(
    database: Warehouse,
    source: Source,
    table: str,
    zone: ZoneInfo,
    first: date | None = None,
    last: date | None = None,
    *,
    ledger_name: str | None = None,
    chosen: Collection[str] | None = None,
    now: datetime | None = None,
) -> LandedDays:
    """The days of a data source that have landed in a table, by the ledger.

    Args:
        database: The database; it may not exist yet.
        source: The data source.
        table: The table as ``schema.name``.
        zone: The storage time zone.
        first: The first day; by default the first day with a landed window.
        last: The last day, by default and at most today.
        ledger_name: The load's name in the ledger; the source's name by default.
        chosen: Names or ids of what the rows are limited to, such as metrics; None for all rows.
        now: The current time.
    """
    with database.reading_if_made() as con:
        spans = [] if con is None else spans_in(con, source, table, ledger_name, chosen)
    return days_of(spans, zone, first, last, now=now)


def spans_in(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    table: str,
    ledger_name: str | None = None,
    chosen: Collection[str] | None = None,
) -> list[Span]:
    """What has landed of a data source in a table, by the ledger, in the caller's session; in order."""
    field = source.time_fields[0].name if source.time_fields else None
    return ledger.covered_in(con, ledger_name or source.name, table, filter_field=field, chosen=chosen)


def days_of(
    spans: Sequence[Span],
    zone: ZoneInfo,
    first: date | None = None,
    last: date | None = None,
    *,
    now: datetime | None = None,
) -> LandedDays:
    """The days that these spans cover; see `landed_days`."""
    today = (now or clock.now()).astimezone(zone).date()
    if first is None:
        starts = [start for start, _end in spans if start is not None]
        if not starts:
            return LandedDays((), (), (), tuple(spans))
        first = min(starts).astimezone(zone).date()
    complete, partial, missing = [], [], []
    for day in _days(first, min(last or today, today)):
        start, end = start_of(day, zone), start_of(day + DAY, zone)
        if any(covers(span, start, end) for span in spans):
            complete.append(day)
        elif any((low is None or low < end) and high > start for low, high in spans):
            partial.append(day)
        else:
            missing.append(day)
    return LandedDays(tuple(complete), tuple(partial), tuple(missing), tuple(spans))


def covers(span: Span, start: datetime, end: datetime) -> bool:
    """Whether a landed span holds all of ``[start, end)``."""
    return (span[0] is None or span[0] <= start) and end <= span[1]


def ranges_of(days: Iterable[date]) -> list[DayRange]:
    """Days as ranges without gaps, in order."""
    ranges: list[DayRange] = []
    for day in sorted(set(days)):
        if ranges and ranges[-1][1] + DAY == day:
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    return ranges


def spoken(days: Sequence[date], most: int = 10) -> str:
    """Days in words: ``2026-11-01 to 2026-11-03, 2026-11-07``."""
    ranges = ranges_of(days)
    named = [first.isoformat() if first == last else f"{first} to {last}" for first, last in ranges[:most]]
    return ", ".join(named) + (f" and {len(ranges) - most} more" if len(ranges) > most else "")


def _days(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += DAY
