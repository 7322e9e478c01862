"""The rows of one landing: which of them count, and what of them decides. Wide values stay in the stream.

A landing looks at its rows twice. The first time it keeps only keys, versions and a fingerprint of the content, in a
narrow temporary table (the *batch*). The batch decides which rows are written; only these are read again, in full.

Two rows count as equal if DuckDB's 64-bit hashes of all their columns are: a change goes unseen once in 2^64. Rows that
differ in the text of JSON columns alone are compared by what the JSON says: another order of keys is no change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline.warehouse import parts
from klaviyo_pipeline.warehouse.errors import RowsError
from klaviyo_pipeline.warehouse.range_counts import range_number
from klaviyo_pipeline.warehouse.rows import SEQ, Incoming
from klaviyo_pipeline.warehouse.sql import fold, literal, quote
from klaviyo_pipeline.warehouse.tables import DELETED_AT, LOADED_AT, RUN_ID, Column

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

TEMPORARY = "temp.main._klaviyo_pipeline"
BATCH = f"{TEMPORARY}_batch"
STREAM = "_klaviyo_pipeline_stream"
_FLAGGED_ROWS = 100_000
_LONG_KEY_BYTES = 10_000
"""Batches that fit with keys of this length are not measured."""
SYSTEM = {LOADED_AT, RUN_ID, DELETED_AT}


@dataclass(frozen=True)
class Gathered:
    """What became of the rows that came: so many remain; the others lay outside the trims, or repeated a key.

    ``by_range`` has the rows inside the trims by the number of the job's range that they lie in. ``at_once`` is how
    many of the rows a statement may hash; None for all of them.
    """

    rows: int
    outside: int
    repeated: int
    by_range: Mapping[int, int] = field(default_factory=dict)
    at_once: int | None = None


@dataclass(frozen=True)
class Range:
    """Rows whose ``column`` lies in one of the half-open ranges; None is unbounded."""

    column: str
    spans: tuple[tuple[datetime | None, datetime | None], ...]

    def condition(self, prefix: str = "") -> tuple[str, list[datetime]]:
        """The SQL condition and its parameters."""
        at = f"CAST({prefix}{quote(self.column)} AS TIMESTAMPTZ)"
        spans, parameters = [], []
        for start, end in self.spans:
            bounds = [f"{at} >= ?"] * (start is not None) + [f"{at} < ?"] * (end is not None)
            spans.append(f"({' AND '.join(bounds) or 'true'})")
            parameters += [bound for bound in (start, end) if bound is not None]
        return f"({' OR '.join(spans)})", parameters

    def described(self) -> str:
        """The scope in words."""
        spans = (
            f"{start.isoformat() if start else ''} to {end.isoformat() if end else ''}" for start, end in self.spans
        )
        return f"{self.column} {', '.join(spans)}"


@dataclass(frozen=True)
class Days:
    """The days from ``first`` to ``last``, both included, of a column of dates."""

    column: str
    first: date
    last: date


@dataclass(frozen=True)
class Among:
    """Rows whose ``column`` has one of the values; with ``days``, only those of the days, both included."""

    column: str
    values: tuple[str, ...]
    days: Days | None = None

    def condition(self, prefix: str = "") -> tuple[str, list[Any]]:
        """The SQL condition and its parameters."""
        sql = f"coalesce(list_contains(?, CAST({prefix}{quote(self.column)} AS VARCHAR)), false)"
        if self.days is None:
            return sql, [list(self.values)]
        day = f"{prefix}{quote(self.days.column)}"
        return f"({sql} AND {day} BETWEEN ? AND ?)", [list(self.values), self.days.first, self.days.last]

    def described(self) -> str:
        """The scope in words."""
        days = f" from {self.days.first} to {self.days.last}" if self.days else ""
        return f"{self.column} {', '.join(self.values[:5])}{' …' if len(self.values) > 5 else ''}{days}"


PARENTS = f"{TEMPORARY}_parents"
"""Of a load whose rows hold those of other tables: the rows that count, by ``seq`` and ``id``."""


@dataclass(frozen=True)
class AmongParents:
    """Rows of a child table whose ``column`` names a row of the load, or one that ``table`` does not have any more."""

    column: str
    table: str | None = None

    def condition(self, prefix: str = "") -> tuple[str, list[Any]]:
        """The SQL condition and its parameters."""
        at = f"{prefix}{quote(self.column)}"
        gone = f" OR {at} NOT IN (SELECT id FROM {self.table} WHERE id IS NOT NULL)" if self.table else ""
        return f"({at} IN (SELECT id FROM {PARENTS}){gone})", []

    def described(self) -> str:
        """The scope in words."""
        return f"rows whose {self.column} was read"


@dataclass(frozen=True)
class Around:
    """Rows whose ``column`` lies between two times, both included, or has none."""

    column: str
    first: str
    last: str

    @staticmethod
    def asked(time: str) -> str:
        """The SQL expressions over some rows from whose values `of` makes where they lie."""
        return f"CAST(min({time}) AS VARCHAR), CAST(max({time}) AS VARCHAR), count(*) - count({time})"

    @classmethod
    def of(cls, column: str, first: object, last: object, without: object) -> Around | None:
        """Where the rows lie; None (anywhere) if there are none, or some have no time."""
        return None if without or first is None else cls(column, str(first), str(last))

    def condition(self) -> str:
        """The SQL condition for a row ``t`` of the table."""
        at = f"CAST(t.{quote(self.column)} AS TIMESTAMPTZ)"
        return (
            f"({at} BETWEEN {literal(self.first)}::TIMESTAMPTZ AND {literal(self.last)}::TIMESTAMPTZ OR {at} IS NULL)"
        )


@dataclass(frozen=True)
class Job:
    """One landing at work: rows on the left, a table of known shape on the right."""

    con: duckdb.DuckDBPyConnection
    incoming: Incoming
    incoming_types: dict[str, str]
    target: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    version: str | None
    trims: tuple[Range, ...]
    now: datetime
    run_id: str
    plain_name: str
    ranges: tuple[tuple[datetime, datetime], ...] = ()
    ranged: str | None = None
    """The time column by which rows are counted for each of the ranges."""
    at_once: int | None = None
    """How many rows of the batch a statement may hash; None for all of them."""
    fixed_time: str | None = None
    """The time column that never changes for a key, if the table is to be read only around the times of the batch."""
    around: Around | None = None
    """Where all rows of the table lie that the landing can be about; None: anywhere."""

    def carried(self) -> list[tuple[Column, str]]:
        """The table's columns that the rows carry, each with its name there (which may differ in case)."""
        names = {fold(name): name for name, kind in self.incoming_types.items() if kind != '"NULL"'}
        return [
            (column, names[fold(column.name)])
            for column in self.columns
            if fold(column.name) in names and fold(column.name) not in SYSTEM
        ]

    def value(self, column: Column, name: str) -> str:
        """The SQL expression that makes a row's value one of the column's type."""
        incoming = self.incoming_types[name]
        if incoming == column.type:
            return quote(name)
        if column.type == "JSON" and incoming != "VARCHAR":
            return f"CASE WHEN {quote(name)} IS NOT NULL THEN to_json({quote(name)}) END"
        return f"CAST({quote(name)} AS {column.type})"

    def expression(self, name: str) -> str:
        """The SQL expression for a column by its name in the table; NULL if the rows don't carry it."""
        return next((self.value(c, n) for c, n in self.carried() if fold(c.name) == fold(name)), "NULL")

    def fill(self, table: str, queries: Iterable[str]) -> None:
        """Makes a temporary table of the rows of one or more queries."""
        for number, query in enumerate(queries):
            self.con.execute(f"{f'INSERT INTO {table}' if number else f'CREATE TEMP TABLE {table} AS'} {query}")

    def seq_spans(self) -> list[parts.Span]:
        """The parts of the batch, by ``seq``."""
        last = self.scalar(f"SELECT coalesce(max(seq), 0) FROM {BATCH}") if self.at_once else 0
        return parts.spans_of(last, self.at_once)

    def scalar(self, sql: str, parameters: Sequence[Any] = ()) -> Any:  # noqa: ANN401
        """Runs a statement for its single value."""
        return self.con.execute(sql, list(parameters)).fetchall()[0][0]


def gather(job: Job, *, fingerprint: bool) -> Gathered:
    """Reads keys, versions and fingerprints into the batch: trimmed, each key once (newest version, then last seen).

    Raises:
        RowsError: Rows lack their primary key.
    """
    carried = job.carried()
    keys = [f"{job.expression(key)} AS k{i}" for i, key in enumerate(job.key)]
    version = [f"{job.expression(job.version)} AS version"] if job.version else []
    texts = json_texts(job)
    compared = [job.value(c, n) for c, n in content(job) if (c, n) not in texts]
    hashes = [f"{hashed(compared)} AS fingerprint", f"{hashed([quote(n) for _, n in texts])} AS spelling"]
    hashes = hashes if fingerprint else []
    fixed = [f"CAST({job.expression(job.fixed_time)} AS TIMESTAMPTZ) AS fixed_time"] if job.fixed_time else []
    ranged = [f"{range_number(job.expression(job.ranged), job.ranges)} AS range_number"] if job.ranged else []
    selected = [f"{SEQ} AS seq", *keys, *version, *fixed, *hashes, *ranged]
    needed = [n for c, n in carried if hashes or fold(c.name) in _narrow(job)]
    trims = [trim.condition() for trim in _as_incoming(job)]
    where = " AND ".join(f"coalesce({sql}, true)" for sql, _ in trims) or "true"
    with stream(job, needed):
        job.con.execute(
            f"CREATE TEMP TABLE {BATCH} AS SELECT {', '.join(selected)} FROM {STREAM} WHERE {where}",
            [bound for _, bounds in trims for bound in bounds],
        )
    inside = rows = int(job.scalar(f"SELECT count(*) FROM {BATCH}"))
    by_range = dict(
        job.con.execute(f"SELECT range_number, count(*) FROM {BATCH} GROUP BY ALL").fetchall() if ranged else ()
    )
    at_once = None
    if job.key:
        _refuse_missing_keys(job)
        at_once = _rows_at_once(job, inside)
        _keep_one_of_each(job, -(-inside // at_once) if at_once else 1)
        rows = int(job.scalar(f"SELECT count(*) FROM {BATCH}"))
    return Gathered(rows, job.incoming.rows_seen - inside, inside - rows, by_range, at_once)


def around(job: Job, part: parts.Span, column: str | None = None) -> Around | None:
    """Where the rows of the table lie that may have a key of a part of the batch; None: anywhere.

    Args:
        job: The landing.
        part: The part.
        column: Another column with the same time, of another table.
    """
    if not job.fixed_time:
        return job.around
    (found,) = job.con.execute(
        f"SELECT {Around.asked('fixed_time')} FROM {BATCH} WHERE {part.condition('seq')}"
    ).fetchall()
    return Around.of(column or job.fixed_time, *found)


def same_key(job: Job) -> str:
    """The condition that a row ``t`` of the table has the key of a row ``b`` of the batch."""
    return " AND ".join(f"t.{quote(key)} = b.k{i}" for i, key in enumerate(job.key))


def content(job: Job) -> list[tuple[Column, str]]:
    """The columns that decide whether a row has changed: all that the rows carry, but for the key."""
    keys = {fold(key) for key in job.key}
    return [(column, name) for column, name in job.carried() if fold(column.name) not in keys]


def json_texts(job: Job) -> list[tuple[Column, str]]:
    """Those of them that are JSON and come as text."""
    return [(c, n) for c, n in content(job) if c.type == "JSON" and job.incoming_types[n] in ("JSON", "VARCHAR")]


def hashed(expressions: Sequence[str]) -> str:
    """The SQL expression for the hash of values."""
    return f"hash({', '.join(expressions)})" if expressions else "0::UBIGINT"


def mask(job: Job, chosen: str) -> pa.BooleanArray:
    """One flag for each row of the stream, up to the last chosen one.

    The stream is filtered by it before DuckDB sees it: a join would put the wide rows into its hash table.
    """
    import numpy as np
    import pyarrow as pa

    flags = np.zeros(job.scalar(f"SELECT coalesce(max(seq), -1) + 1 FROM ({chosen})"), dtype=np.bool_)
    for seqs in job.con.sql(chosen).to_arrow_reader(_FLAGGED_ROWS):
        flags[seqs.column(0).to_numpy()] = True
    return pa.array(flags)


@contextmanager
def stream(job: Job, columns: Sequence[str], keep: pa.BooleanArray | None = None) -> Iterator[None]:
    """The incoming rows as the view ``STREAM``, to be read once."""
    with registered(job, job.incoming.reader(columns, keep)):
        yield


@contextmanager
def registered(job: Job, rows: pa.RecordBatchReader) -> Iterator[None]:
    """A reader's rows as the view ``STREAM``, to be read once, by one thread.

    There is one reader. Two threads wait for each other, and each writes half-filled row groups that the checkpoint
    then joins: 50,000 profiles take twice the time and half as much space again.
    """
    threads = job.scalar("SELECT current_setting('threads')")
    job.con.execute("SET threads = 1")
    job.con.register(STREAM, rows)
    yield
    # Not after an error: the transaction is aborted then, and its rollback removes the view.
    job.con.unregister(STREAM)
    job.con.execute(f"SET threads = {int(threads)}")


def _narrow(job: Job) -> set[str]:
    """The columns that are read even when no fingerprint is wanted."""
    names = [*job.key, *filter(None, (job.version, job.ranged, job.fixed_time)), *(trim.column for trim in job.trims)]
    return {fold(name) for name in names}


def _as_incoming(job: Job) -> Iterator[Range]:
    """The trims, by the names that the columns have in the rows."""
    names = {fold(column.name): name for column, name in job.carried()}
    for trim in job.trims:
        if fold(trim.column) in names:
            yield Range(names[fold(trim.column)], trim.spans)


def _refuse_missing_keys(job: Job) -> None:
    missing = " OR ".join(f"k{i} IS NULL" for i in range(len(job.key)))
    found = job.scalar(f"SELECT count(*) FROM {BATCH} WHERE {missing}")
    if found:
        raise RowsError(
            f"{found} of the rows for {job.target} have no value in their primary key ({', '.join(job.key)}), so they "
            "can't be told apart from others. Nothing was changed. Correct the rows, or declare another key."
        )


def _rows_at_once(job: Job, rows: int) -> int | None:
    if rows <= parts.rows_at_once(job.con, _LONG_KEY_BYTES):
        return None
    length = " + ".join(f"strlen(CAST(k{i} AS VARCHAR))" for i in range(len(job.key)))
    at_once = parts.rows_at_once(job.con, job.scalar(f"SELECT avg({length}) FROM {BATCH}"))
    return at_once if rows > at_once else None


def _keep_one_of_each(job: Job, slices: int) -> None:
    """Looks for repetitions by hash, which is narrow, and only among these by key; in slices of the hashes."""
    keys = ", ".join(f"k{i}" for i in range(len(job.key)))
    order = "version DESC NULLS LAST, seq DESC" if job.version else "seq DESC"
    for number in range(slices):
        among = f"WHERE hash({keys}) % {slices} = {number}" if slices > 1 else ""
        job.con.execute(
            f"DELETE FROM {BATCH} WHERE seq IN (SELECT seq FROM {BATCH} "
            f"WHERE hash({keys}) IN (SELECT hash({keys}) FROM {BATCH} {among} GROUP BY ALL HAVING count(*) > 1) "
            f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {order}) > 1)"
        )
