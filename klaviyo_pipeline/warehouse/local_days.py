"""Local days in SQL by Python's time zone rules: DuckDB has rules of its own, and they may be of another year.

A zone's offset from UTC is constant between changes, so it is a search among them: a tree of CASE expressions, which
DuckDB evaluates faster than its own ``timezone()``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from klaviyo_pipeline.warehouse.sql import literal

if TYPE_CHECKING:
    import duckdb

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_YEAR, LAST_YEAR = 1970, 2070
"""Outside, a zone keeps the offset that it has at the end: Klaviyo was founded in 2012."""
_LOOK_EVERY = timedelta(days=3)
"""No zone has changed its clocks twice within so short a time since 1970."""
_MICROSECOND = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)


def local_day(zone: ZoneInfo, instant: str, start: datetime, end: datetime) -> str:
    """The SQL expression for the local DATE of a TIMESTAMPTZ expression, right between two aware times."""
    return f"CAST({local_time(zone, instant, start, end)} AS DATE)"


def local_time(zone: ZoneInfo, instant: str, start: datetime, end: datetime) -> str:
    """The SQL expression for the local TIMESTAMP of a TIMESTAMPTZ expression, right between two aware times."""
    since_epoch = f"epoch_us({instant})"
    starts, offsets = _offsets(zone, _year(start), _year(end))
    return f"make_timestamp({since_epoch} + {search(since_epoch, starts, offsets)})"


def whole_rules(zone: ZoneInfo) -> str:
    """The zone's rules as a text: two zones or versions of the rules with the same text give the same local days."""
    return repr(_offsets(zone, FIRST_YEAR, LAST_YEAR))


def first_disagreement(
    con: duckdb.DuckDBPyConnection, zone: ZoneInfo, start: datetime, end: datetime
) -> datetime | None:
    """The first moment between two aware times at which DuckDB's own rules give another local time; None if none.

    DuckDB's rules decide nothing here, but a person's own SQL may use them. A zone that DuckDB does not know disagrees
    from the start. Looks at every quarter of an hour.
    """
    import duckdb

    quarter_us = 15 * 60 * 1_000_000
    low, high = ((time - _EPOCH) // _MICROSECOND // quarter_us for time in (start, end))
    instant = f"make_timestamptz(quarter * {quarter_us})"
    try:
        ((found,),) = con.execute(
            f"SELECT min(quarter) FROM range(?, ?) AS quarters (quarter) "
            f"WHERE {local_time(zone, instant, start, end)} <> timezone({literal(zone.key)}, {instant})",
            [low, high + 1],
        ).fetchall()
    except duckdb.Error:
        return start
    return None if found is None else _EPOCH + found * quarter_us * _MICROSECOND


def _year(time: datetime) -> int:
    return min(max(time.astimezone(UTC).year, FIRST_YEAR), LAST_YEAR)


def search(value: str, starts: Sequence[int], offsets: Sequence[int]) -> str:
    """The SQL expression for the offset at a value: ``offsets[0]`` below ``starts[0]``, then one from each start on."""
    if len(offsets) == 1:
        return str(offsets[0])
    middle = len(offsets) // 2
    before = search(value, starts[: middle - 1], offsets[:middle])
    after = search(value, starts[middle:], offsets[middle:])
    return f"CASE WHEN {value} < {starts[middle - 1]} THEN {before} ELSE {after} END"


@lru_cache(maxsize=32)
def _offsets(zone: ZoneInfo, first_year: int, last_year: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The instants at which the zone's offset changes, and the offsets: one more, all in microseconds."""
    starts = list[int]()
    low, last = datetime(first_year, 1, 1, tzinfo=UTC), datetime(last_year + 1, 1, 1, tzinfo=UTC)
    offsets = [_offset_at(low, zone)]
    while low < last:
        high = low + _LOOK_EVERY
        if _offset_at(high, zone) != offsets[-1]:
            change = _change_between(low, high, zone)
            starts.append((change - _EPOCH) // _MICROSECOND)
            offsets.append(_offset_at(change, zone))
            high = change
        low = high
    return tuple(starts), tuple(offset // _MICROSECOND for offset in offsets if offset is not None)


def _change_between(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The first whole second after ``low`` with another offset than at ``low``."""
    seconds = range(int((high - low) / _SECOND) + 1)
    before = _offset_at(low, zone)
    found = bisect_right(seconds, False, key=lambda second: _offset_at(low + second * _SECOND, zone) != before)
    return low + found * _SECOND


def _offset_at(instant: datetime, zone: ZoneInfo) -> timedelta | None:
    return instant.astimezone(zone).utcoffset()
