"""What a landing did to each of several ranges of time: the run's partitions. A query or two for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from klaviyo_pipeline.warehouse.local_days import search
from klaviyo_pipeline.warehouse.sql import fold, literal, quote
from klaviyo_pipeline.warehouse.tables import DELETED_AT, Column

if TYPE_CHECKING:
    import duckdb

Span = tuple[datetime, datetime]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ACTIONS = ("insert", "update", "equal", "older")


@dataclass
class RangeCounts:
    """Rows whose time lies in one range.

    ``total_rows`` is what the table has of the range afterwards, the others are as in ``LandingResult``.
    """

    rows_fetched: int = 0
    rows_repeated: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    total_rows: int = 0


def range_number(time: str, ranges: Sequence[Span]) -> str:
    """The SQL expression for the number of the half-open range that a time lies in; NULL for none.

    Args:
        time: A SQL expression of a type that casts to TIMESTAMPTZ.
        ranges: Aware times, in order and without overlap.
    """
    bounds, numbers = list[int](), [-1]
    for number, (start, end) in enumerate(ranges):
        low, high = ((each - _EPOCH) // _MICROSECOND for each in (start, end))
        if bounds and bounds[-1] == low:
            numbers[-1] = number
        else:
            bounds.append(low)
            numbers.append(number)
        bounds.append(high)
        numbers.append(-1)
    at = f"epoch_us(CAST({time} AS TIMESTAMPTZ))"
    return f"CASE WHEN {time} IS NOT NULL THEN nullif({search(at, bounds, numbers)}, -1) END"


class Tally:
    """Counts by range while a landing is at work, within its transaction."""

    def __init__(self, con: duckdb.DuckDBPyConnection, table: str, column: str | None, ranges: Sequence[Span]) -> None:
        """Takes the quoted table, its time column (None: nothing is counted) and the ranges."""
        self._con, self._table, self._ranges = con, table, ranges
        self.column = column
        self._before: dict[int, int] | None = None

    @classmethod
    def of(
        cls,
        con: duckdb.DuckDBPyConnection,
        table: str,
        columns: Sequence[Column],
        column: str | None,
        ranges: Sequence[Span],
    ) -> Tally:
        """Counts by a column, if the table has it and there are ranges."""
        known = {fold(each.name) for each in columns}
        return cls(con, table, column if column and ranges and fold(column) in known else None, ranges)

    def before(self) -> None:
        """Looks at the table before a replace clears it."""
        self._before = self._rows()

    def unchanged(self) -> tuple[RangeCounts, ...]:
        """The counts of a landing that wrote nothing."""
        rows = self._rows()
        return tuple(RangeCounts(total_rows=rows.get(number, 0)) for number in self._numbers())

    def after(
        self, fetched: Mapping[int, int], batch: str, decided: str | None, swept_at: datetime | None
    ) -> tuple[RangeCounts, ...]:
        """The counts of a landing.

        Args:
            fetched: Rows that came, by range.
            batch: The rows without repetitions.
            decided: The same rows with what becomes of each; None if each is inserted.
            swept_at: When rows that had gone were marked; None if none were.
        """
        if self.column is None:
            return ()
        found = self._con.execute(
            f"SELECT range_number, {'action' if decided else literal('insert')}, count(*) "
            f"FROM {decided or batch} GROUP BY ALL"
        ).fetchall()
        actions = {(number, action): rows for number, action, rows in found}
        rows = self._rows()
        marked = self._rows(f"{DELETED_AT} = ?", swept_at) if swept_at else {}
        counts = []
        for number in self._numbers():
            inserted, updated, equal, older = (actions.get((number, each), 0) for each in _ACTIONS)
            came = fetched.get(number, 0)
            counts.append(
                RangeCounts(
                    rows_fetched=came,
                    rows_repeated=came - inserted - updated - equal - older,
                    inserted=inserted,
                    updated=updated,
                    unchanged=equal + older,
                    # What was there before a replace and what it inserted is still there, or was cleared.
                    deleted=marked.get(number, 0)
                    if self._before is None
                    else self._before.get(number, 0) + inserted - rows.get(number, 0),
                    total_rows=rows.get(number, 0),
                )
            )
        return tuple(counts)

    def _numbers(self) -> range:
        return range(len(self._ranges) if self.column else 0)

    def _rows(self, condition: str = "true", *parameters: datetime) -> dict[int, int]:
        """How many rows the table has of each range, by its number; of those that meet a condition in SQL."""
        if self.column is None:
            return {}
        at = quote(self.column)
        inside = f"CAST({at} AS TIMESTAMPTZ) >= ? AND CAST({at} AS TIMESTAMPTZ) < ?"
        query = f"SELECT {range_number(at, self._ranges)} AS number, count(*) FROM {self._table} "
        query += f"WHERE {inside} AND {condition}"
        bounds = [self._ranges[0][0], self._ranges[-1][1]]
        return dict(self._con.execute(f"{query} GROUP BY number", [*bounds, *parameters]).fetchall())
