"""Computes a chart's values in DuckDB. Only the sums leave the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from klaviyo_pipeline.charts.model import MOST_BINS, Chart, Series, Step, bins_between, step_for
from klaviyo_pipeline.warehouse.local_days import local_day

if TYPE_CHECKING:
    import duckdb

MOST_SERIES = 6
OTHERS = "all others"
_HOUR_US = 3_600_000_000
_LONGEST = timedelta(days=30 * MOST_BINS)
"""A chart goes no further back: one row of the year 1 would make it thousands of months."""
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Counted:
    """Rows to sum up over time.

    Attributes:
        title: The chart's title; ``{step}`` in it becomes hour, day, week or month.
        query: SQL that gives the columns ``instant`` (TIMESTAMPTZ), or ``day`` (DATE, in the chart's time zone),
            ``series`` (VARCHAR) and ``amount`` (any number).
        is_level: Whether a value includes all before it: members of a list rather than people who joined.
        by_day: Whether the query gives days rather than instants.
    """

    title: str
    query: str
    is_level: bool = False
    by_day: bool = False

    @property
    def time(self) -> str:
        """The time column."""
        return "day" if self.by_day else "instant"


def chart_of(
    con: duckdb.DuckDBPyConnection,
    counted: Counted,
    start: datetime,
    end: datetime,
    zone: ZoneInfo,
    *,
    loaded: tuple[datetime, datetime] | None = None,
    step: Step | None = None,
) -> Chart:
    """Sums up a query's rows over ``[start, end)``: the largest series by name, the others as one.

    Args:
        con: A connection whose session time zone is UTC.
        counted: The rows.
        start: The chart's beginning; it is moved to where a day, week or month begins.
        end: The chart's end.
        zone: The time zone in which days begin and hours are named.
        loaded: The window of a run, to mark.
        step: The length of a bin; by default one that suits the period.
    """
    step = step or step_for(start, end)
    if counted.by_day and step is Step.HOUR:
        step = Step.DAY
    bins = bins_between(max(start, end - _LONGEST), end, step, zone)
    day, bounds = "day", (bins[0].date(), (end - _MICROSECOND).astimezone(zone).date())
    if not counted.by_day:
        day, bounds = local_day(zone, "instant", bins[0], end), (bins[0], end - _MICROSECOND)
    # Hours as microseconds, since fetching TIMESTAMPTZ as a Python value would need pytz; days are local.
    binned = f"epoch_us(instant) // {_HOUR_US} * {_HOUR_US}"
    if step is not Step.HOUR:
        binned = f"date_trunc('{step.value}', {day})::DATE"
    rows = con.execute(
        f"""
        SELECT coalesce(series, '') AS series, {binned} AS bin, sum(amount)::DOUBLE AS amount
        FROM ({counted.query})
        WHERE {counted.time} <= $last AND ({counted.time} >= $first OR $is_level)
        GROUP BY ALL
        """,
        {"first": bounds[0], "last": bounds[1], "is_level": counted.is_level},
    ).fetchall()
    first = bins[0].astimezone(UTC)
    values: dict[str, dict[datetime, float]] = defaultdict(lambda: defaultdict(float))
    for name, found, amount in rows:
        values[name][max(_begins(found, zone), first)] += amount
    series = [_series(name, found, bins, counted.is_level) for name, found in values.items()]
    return Chart(
        counted.title.format(step=step.value), step, bins, _largest(series), zone.key, loaded, counted.is_level
    )


def _begins(found: int | date, zone: ZoneInfo) -> datetime:
    """The start of a bin, in UTC."""
    if isinstance(found, date):
        return datetime.combine(found, time(), zone).astimezone(UTC)
    return datetime.fromtimestamp(found / 1e6, UTC)


def _series(name: str, found: Mapping[datetime, float], bins: tuple[datetime, ...], is_level: bool) -> Series:
    # By instants: an hour that clocks go through twice is two hours.
    values = [found.get(each.astimezone(UTC), 0.0) for each in bins]
    return Series(name, tuple(accumulate(values) if is_level else values))


def _largest(series: list[Series]) -> tuple[Series, ...]:
    """The largest series first, and those without room in the legend as one."""
    ranked = sorted(series, key=lambda each: (-sum(map(abs, each.values)), each.name))
    if len(ranked) <= MOST_SERIES:
        return tuple(ranked)
    rest = [each.values for each in ranked[MOST_SERIES - 1 :]]
    return (*ranked[: MOST_SERIES - 1], Series(OTHERS, tuple(map(sum, zip(*rest, strict=True)))))
