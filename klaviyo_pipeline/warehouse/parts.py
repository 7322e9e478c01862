"""How a large batch is cut, so that no statement needs more than a share of ``memory_limit``.

A join of DuckDB spills, but first it takes all the memory that is free, and then the table that it writes and the next
operator have none: "failed to pin block". So what a statement hashes is kept to an eighth of the limit (a quarter was
too much for keys of 1 kB at 64 MB). Rows of the batch are cut by ``seq``, rows of the table by row id: both are in the
order of the data, so a part reads only its own.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import duckdb

SHARE = 0.125
ROW_BYTES = 64
"""What a row costs in a hash table without its key: hash, pointers, row id, and room to grow."""
_BLOCKS, _BLOCK_ROWS = 10, 10_000
_UNITS = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


@dataclass(frozen=True)
class Span:
    """Numbers from ``start`` up to but without ``end``; None is unbounded."""

    start: int | None = None
    end: int | None = None

    def condition(self, column: str) -> str:
        """The SQL condition that a column's number lies in it."""
        bounds = [f"{column} >= {self.start:d}"] if self.start is not None else []
        bounds += [f"{column} < {self.end:d}"] if self.end is not None else []
        return " AND ".join(bounds) or "true"


def memory_limit(con: duckdb.DuckDBPyConnection) -> int:
    """The session's memory limit in bytes."""
    amount, unit = con.execute("SELECT current_setting('memory_limit')").fetchall()[0][0].split()
    return int(float(amount) * _UNITS[unit])


@contextmanager
def more_memory(con: duckdb.DuckDBPyConnection, more_bytes: int) -> Iterator[None]:
    """Raises the session's memory limit by so many bytes, for a statement that can neither spill nor be cut."""
    limit = memory_limit(con)
    con.execute("SET memory_limit = ?", [f"{limit + more_bytes} bytes"])
    try:
        yield
    finally:
        con.execute("SET memory_limit = ?", [f"{limit} bytes"])


def share_bytes(con: duckdb.DuckDBPyConnection) -> float:
    """The share of the memory that one statement may fill."""
    return memory_limit(con) * SHARE


def rows_at_once(con: duckdb.DuckDBPyConnection, key_bytes: float = 0.0) -> int:
    """How many rows a statement may hash, with keys of so many bytes on average."""
    return max(1, int(share_bytes(con) / (ROW_BYTES + key_bytes)))


def spans_of(last: int, rows: int | None) -> list[Span]:
    """The numbers from 0 to ``last`` in spans of so many; None: one span of all numbers."""
    return _between(range(rows, last + 1, rows)) if rows else [Span()]


def spans_of_rows(con: duckdb.DuckDBPyConnection, table: str, column: str, rows: int | None) -> list[Span]:
    """Spans of a column's numbers, each with at most so many rows of the table; they cover all numbers.

    A number that more rows have is a span of its own. None: one span of all numbers.
    """
    if not rows:
        return [Span()]
    step = max(1, min(rows // _BLOCKS, _BLOCK_ROWS))
    counts = con.execute(f"SELECT {column} // {step} AS block, count(*) FROM {table} GROUP BY block ORDER BY block")
    cuts, held = list[int](), 0
    for block, count in counts.fetchall():
        if held and held + count > rows:
            cuts.append(block * step)
            held = 0
        held += count
    return _between(cuts)


def _between(cuts: Iterable[int]) -> list[Span]:
    bounds = [None, *cuts, None]
    return [Span(start, end) for start, end in pairwise(bounds)]
