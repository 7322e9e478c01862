"""The four write modes, and the sweep that marks what is gone. Only INSERT, DELETE and MERGE, and no PRIMARY KEY.

A landing looks at its rows twice. First only at keys, versions and a fingerprint of the content, which are kept in
a narrow temporary table (the *batch*) and decide what becomes of each row. Then the rows that are to be
written are streamed into the table. A wide row is never joined, sorted or buffered, so that memory stays small
and the lock short (200,000 events of 1.3 kB, all unchanged: 0.5 s; MERGE with the wide rows: 1.8 s and 400 MB more).

Two rows count as equal if DuckDB's 64-bit hashes of all their columns are: a change goes unseen once in 2^64. Rows that
differ in the text of JSON columns alone are compared by what the JSON says: another order of keys is no change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline.warehouse.errors import RowsError
from klaviyo_pipeline.warehouse.json_content import content_digest
from klaviyo_pipeline.warehouse.range_counts import range_number
from klaviyo_pipeline.warehouse.rows import SEQ, Incoming
from klaviyo_pipeline.warehouse.sql import fold, quote, quoted_list
from klaviyo_pipeline.warehouse.tables import DELETED_AT, LOADED_AT, RUN_ID, Column

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

BATCH = "temp.main._klaviyo_pipeline_batch"
DECIDED = "temp.main._klaviyo_pipeline_decided"
_KEPT = "temp.main._klaviyo_pipeline_kept"
_STREAM = "_klaviyo_pipeline_stream"
_SYSTEM = {LOADED_AT, RUN_ID, DELETED_AT}


class WriteMode(StrEnum):
    """What a load does to the rows that are there."""

    APPEND = "append"
    REPLACE = "replace"
    REPLACE_ON_NEW_DATA = "replace_on_new_data"
    MERGE = "merge"


@dataclass
class Counts:
    """What became of the rows. In the replace modes every row written is inserted, every row cleared deleted."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    revived: int = 0


@dataclass(frozen=True)
class Gathered:
    """What became of the rows that came: so many remain; the others lay outside the trims, or repeated a key.

    ``by_range`` has the rows inside the trims by the number of the job's range that they lie in.
    """

    rows: int
    outside: int
    repeated: int
    by_range: Mapping[int, int] = field(default_factory=dict)


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
class Among:
    """Rows whose ``column`` has one of the values."""

    column: str
    values: tuple[str, ...]

    def condition(self, prefix: str = "") -> tuple[str, list[Any]]:
        """The SQL condition and its parameters."""
        return f"coalesce(list_contains(?, CAST({prefix}{quote(self.column)} AS VARCHAR)), false)", [list(self.values)]

    def described(self) -> str:
        """The scope in words."""
        return f"{self.column} {', '.join(self.values[:5])}{' …' if len(self.values) > 5 else ''}"


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

    def carried(self) -> list[tuple[Column, str]]:
        """The table's columns that the rows carry, each with its name there (which may differ in case)."""
        names = {fold(name): name for name, kind in self.incoming_types.items() if kind != '"NULL"'}
        return [
            (column, names[fold(column.name)])
            for column in self.columns
            if fold(column.name) in names and fold(column.name) not in _SYSTEM
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
    texts = _json_texts(job)
    content = [job.value(c, n) for c, n in _content(job) if (c, n) not in texts]
    hashed = [f"{_hash(content)} AS fingerprint", f"{_hash([quote(n) for _, n in texts])} AS spelling"]
    hashed = hashed if fingerprint else []
    ranged = [f"{range_number(job.expression(job.ranged), job.ranges)} AS range_number"] if job.ranged else []
    needed = [n for c, n in carried if hashed or fold(c.name) in _narrow(job)]
    trims = [trim.condition() for trim in _as_incoming(job)]
    where = " AND ".join(f"coalesce({sql}, true)" for sql, _ in trims) or "true"
    with _stream(job, needed):
        job.con.execute(
            f"CREATE TEMP TABLE {BATCH} AS SELECT {', '.join([f'{SEQ} AS seq', *keys, *version, *hashed, *ranged])} "
            f"FROM {_STREAM} WHERE {where}",
            [bound for _, bounds in trims for bound in bounds],
        )
    inside = rows = int(job.scalar(f"SELECT count(*) FROM {BATCH}"))
    by_range = dict(
        job.con.execute(f"SELECT range_number, count(*) FROM {BATCH} GROUP BY ALL").fetchall() if ranged else ()
    )
    if job.key:
        _refuse_missing_keys(job)
        _keep_one_of_each(job)
        rows = int(job.scalar(f"SELECT count(*) FROM {BATCH}"))
    return Gathered(rows, job.incoming.rows_seen - inside, inside - rows, by_range)


def append(job: Job) -> Counts:
    """Inserts the batch."""
    return Counts(inserted=_write(job, f"SELECT seq FROM {BATCH}"))


def replace(job: Job, scope: Sequence[Range | Among]) -> Counts:
    """Clears the scope (nothing: the whole table), then inserts the batch.

    Within partitions a key that lives outside the scope is cleared there too: its row has moved (a profile
    that was updated again), and an id must not be in the table twice.
    """
    conditions = [each.condition() for each in scope]
    condition = " AND ".join(sql for sql, _ in conditions) or "true"
    parameters = [value for _, values in conditions for value in values]
    deleted = job.scalar(f"DELETE FROM {job.target} WHERE {condition}", parameters)
    if scope and job.key:
        deleted += job.scalar(f"DELETE FROM {job.target} AS t USING {BATCH} AS b WHERE {same_key(job)}")
    return Counts(inserted=_write(job, f"SELECT seq FROM {BATCH}"), deleted=int(deleted))


def merge(job: Job) -> Counts:
    """Inserts new keys and rewrites changed rows; equal rows and newer versions in the table stay as they are."""
    _decide(job)
    if job.scalar(f"SELECT count(*) FROM {DECIDED} WHERE action = 'respelled'"):
        _settle_respelled(job)
    found = dict(job.con.execute(f"SELECT action, count(*) FROM {DECIDED} GROUP BY action").fetchall())
    counts = Counts(
        inserted=found.get("insert", 0),
        updated=found.get("update", 0),
        unchanged=found.get("equal", 0) + found.get("older", 0),
        revived=job.scalar(f"SELECT count(*) FROM {DECIDED} WHERE was_deleted"),
    )
    if counts.updated:
        changed = f"(SELECT b.* FROM {BATCH} AS b JOIN {DECIDED} USING (seq) WHERE action = 'update')"
        others = _not_carried(job)
        if others:
            aliases = ", ".join(f"any_value(t.{quote(name)}) AS {quote(name)}" for name in others)
            keys = ", ".join(f"b.k{i}" for i in range(len(job.key)))
            job.con.execute(
                f"CREATE TEMP TABLE {_KEPT} AS SELECT {keys}, {aliases} FROM {job.target} AS t, {changed} AS b "
                f"WHERE {same_key(job)} AND ({' OR '.join(f't.{quote(name)} IS NOT NULL' for name in others)}) "
                f"GROUP BY {keys}"
            )
        job.con.execute(f"DELETE FROM {job.target} AS t USING {changed} AS b WHERE {same_key(job)}")
    if counts.inserted or counts.updated:
        _write(job, f"SELECT seq FROM {DECIDED} WHERE action IN ('insert', 'update')")
    if counts.updated and others:
        job.con.execute(
            f"MERGE INTO {job.target} AS t USING {_KEPT} AS b ON {same_key(job)} WHEN MATCHED THEN UPDATE SET "
            + ", ".join(f"{quote(name)} = b.{quote(name)}" for name in others)
        )
    if counts.revived:
        # Those that were rewritten are revived already.
        job.con.execute(
            f"MERGE INTO {job.target} AS t USING (SELECT b.* FROM {BATCH} AS b JOIN {DECIDED} USING (seq) "
            f"WHERE was_deleted AND action IN ('equal', 'older')) AS b ON {same_key(job)} "
            f"WHEN MATCHED THEN UPDATE SET {DELETED_AT} = NULL, {LOADED_AT} = ?, {RUN_ID} = ?",
            [job.now, job.run_id],
        )
    return counts


def sweep(job: Job, among: Among | None) -> int:
    """Marks the rows in scope (None: all) that the batch has not, and that were not marked before, as deleted now.

    Returns:
        How many were marked.
    """
    scope, parameters = among.condition("t.") if among else ("true", [])
    keys = ", ".join(f"t.{quote(key)} AS k{i}" for i, key in enumerate(job.key))
    gone = (
        f"SELECT DISTINCT {keys} FROM {job.target} AS t ANTI JOIN {BATCH} AS b ON {same_key(job)} "
        f"WHERE t.{DELETED_AT} IS NULL AND {scope}"
    )
    return int(
        job.scalar(
            f"MERGE INTO {job.target} AS t USING ({gone}) AS b ON {same_key(job)} "
            f"WHEN MATCHED AND t.{DELETED_AT} IS NULL THEN UPDATE SET {DELETED_AT} = ?",
            [*parameters, job.now],
        )
    )


def same_key(job: Job) -> str:
    return " AND ".join(f"t.{quote(key)} = b.k{i}" for i, key in enumerate(job.key))


def _narrow(job: Job) -> set[str]:
    """The columns that are read even when no fingerprint is wanted."""
    names = [*job.key, *filter(None, (job.version, job.ranged)), *(trim.column for trim in job.trims)]
    return {fold(name) for name in names}


def _not_carried(job: Job) -> list[str]:
    """The table's columns that the rows don't carry: a rewritten row keeps its values there."""
    carried = {fold(column.name) for column, _ in job.carried()} | _SYSTEM
    return [column.name for column in job.columns if fold(column.name) not in carried]


def _as_incoming(job: Job) -> Iterator[Range]:
    """The trims, by the names that the columns have in the rows."""
    names = {fold(column.name): name for column, name in job.carried()}
    for trim in job.trims:
        if fold(trim.column) in names:
            yield Range(names[fold(trim.column)], trim.spans)


def _decide(job: Job) -> None:
    """Compares the batch with the table. A key that is there several times (appended) becomes one row again."""
    texts = _json_texts(job)
    content = [f"t.{quote(c.name)}" for c, n in _content(job) if (c, n) not in texts]
    spelling = [f"t.{quote(c.name)}" for c, _ in texts]
    version = f"max(t.{quote(job.version)})" if job.version and job.expression(job.version) != "NULL" else "NULL"
    marked = any(column.name == DELETED_AT for column in job.columns)
    older = "f.version > b.version" if version != "NULL" else "false"
    job.con.execute(
        f"CREATE TEMP TABLE {DECIDED} AS SELECT b.seq, CASE WHEN f.seq IS NULL THEN 'insert' "
        f"WHEN {older} THEN 'older' WHEN f.times > 1 OR f.fingerprint <> b.fingerprint THEN 'update' "
        "WHEN f.spelling = b.spelling THEN 'equal' ELSE 'respelled' END AS action, "
        f"coalesce(f.was_deleted, false) AS was_deleted FROM {BATCH} AS b LEFT JOIN (SELECT b.seq, count(*) AS times, "
        f"{version} AS version, any_value({_hash(content)}) AS fingerprint, any_value({_hash(spelling)}) AS spelling, "
        f"{f'bool_and(t.{DELETED_AT} IS NOT NULL)' if marked else 'false'} AS was_deleted "
        f"FROM {job.target} AS t JOIN {BATCH} AS b ON {same_key(job)} GROUP BY b.seq) AS f USING (seq)"
    )


def _content(job: Job) -> list[tuple[Column, str]]:
    """The columns that decide whether a row has changed: all that the rows carry, but for the key."""
    keys = {fold(key) for key in job.key}
    return [(column, name) for column, name in job.carried() if fold(column.name) not in keys]


def _json_texts(job: Job) -> list[tuple[Column, str]]:
    """Those of them that are JSON and come as text."""
    return [(c, n) for c, n in _content(job) if c.type == "JSON" and job.incoming_types[n] in ("JSON", "VARCHAR")]


def _hash(expressions: Sequence[str]) -> str:
    return f"hash({', '.join(expressions)})" if expressions else "0::UBIGINT"


def _settle_respelled(job: Job) -> None:
    """Decides about rows that differ in the text of JSON columns alone, by what the JSON says."""
    import pyarrow as pa

    texts, chosen = _json_texts(job), f"SELECT seq FROM {DECIDED} WHERE action = 'respelled'"
    came = dict[int, bytes]()
    for batch in job.incoming.reader([name for _, name in texts], _mask(job, chosen)):
        *columns, seqs = (column.to_pylist() for column in batch.columns)
        came.update((seq, content_digest(row)) for seq, *row in zip(seqs, *columns, strict=True))
    there = job.con.execute(
        f"SELECT b.seq, {', '.join(f't.{quote(column.name)}' for column, _ in texts)} "
        f"FROM {job.target} AS t JOIN (FROM {BATCH} WHERE seq IN ({chosen})) AS b ON {same_key(job)}"
    )
    equal = list[int]()
    while rows := there.fetchmany(1000):
        equal += [seq for seq, *row in rows if content_digest(row) == came[seq]]
    settled = pa.table({"seq": pa.array(equal, pa.int64())})
    job.con.register(_STREAM, settled.to_reader())
    job.con.execute(
        f"UPDATE {DECIDED} SET action = CASE WHEN seq IN (SELECT seq FROM {_STREAM}) THEN 'equal' ELSE 'update' END "
        "WHERE action = 'respelled'"
    )
    job.con.unregister(_STREAM)


def _refuse_missing_keys(job: Job) -> None:
    missing = " OR ".join(f"k{i} IS NULL" for i in range(len(job.key)))
    found = job.scalar(f"SELECT count(*) FROM {BATCH} WHERE {missing}")
    if found:
        raise RowsError(
            f"{found} of the rows for {job.target} have no value in their primary key ({', '.join(job.key)}), so they "
            "can't be told apart from others. Nothing was changed. Correct the rows, or declare another key."
        )


def _keep_one_of_each(job: Job) -> None:
    keys = ", ".join(f"k{i}" for i in range(len(job.key)))
    order = "version DESC NULLS LAST, seq DESC" if job.version else "seq DESC"
    job.con.execute(
        f"DELETE FROM {BATCH} WHERE seq IN (SELECT seq FROM {BATCH} "
        f"WHERE ({keys}) IN (SELECT ({keys}) FROM {BATCH} GROUP BY {keys} HAVING count(*) > 1) "
        f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {order}) > 1)"
    )


def _write(job: Job, chosen: str) -> int:
    """Streams the chosen rows (a query for their ``seq``) into the table."""
    carried = job.carried()
    names = quoted_list([column.name for column, _ in carried] + [LOADED_AT, RUN_ID])
    values = ", ".join([*(job.value(column, name) for column, name in carried), "CAST(? AS TIMESTAMPTZ)", "?"])
    with _stream(job, [name for _, name in carried], _mask(job, chosen)):
        return int(
            job.scalar(f"INSERT INTO {job.target} ({names}) SELECT {values} FROM {_STREAM}", [job.now, job.run_id])
        )


def _mask(job: Job, chosen: str) -> pa.BooleanArray:
    """One flag for each row of the stream, up to the last chosen one.

    The stream is filtered by it before DuckDB sees it: a join would put the wide rows into its hash table.
    """
    import pyarrow as pa

    flags = job.con.sql(
        f"SELECT c.seq IS NOT NULL AS chosen FROM range((SELECT coalesce(max(seq), -1) + 1 FROM ({chosen}))) AS r(seq) "
        f"LEFT JOIN ({chosen}) AS c USING (seq) ORDER BY r.seq"
    ).to_arrow_table()
    return pa.chunked_array(flags.column(0).chunks, pa.bool_()).combine_chunks()


@contextmanager
def _stream(job: Job, columns: Sequence[str], keep: pa.BooleanArray | None = None) -> Iterator[None]:
    """The incoming rows as a view, to be read once, by one thread.

    There is one reader. Two threads wait for each other, and each writes half-filled row groups that the checkpoint
    then joins: 50,000 profiles take twice the time and half as much space again.
    """
    threads = job.scalar("SELECT current_setting('threads')")
    job.con.execute("SET threads = 1")
    job.con.register(_STREAM, job.incoming.reader(columns, keep))
    yield
    # Not after an error: the transaction is aborted then, and its rollback removes the view.
    job.con.unregister(_STREAM)
    job.con.execute(f"SET threads = {int(threads)}")
