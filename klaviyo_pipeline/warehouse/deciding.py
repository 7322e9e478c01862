"""What becomes of each row of a merge, decided by keys first and then by the content of the rows that match.

Content is read only for the rows of the table that have a key of the batch, found by their row ids. Each statement
below has at most one join or one aggregation over narrow columns, and of a large batch it takes a part at a time: parts
of the batch where it joins by key, parts of the table where it reads content, so that each is read once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from klaviyo_pipeline.warehouse.batch import (
    BATCH,
    STREAM,
    TEMPORARY,
    Job,
    around,
    content,
    hashed,
    json_texts,
    mask,
    registered,
    same_key,
)
from klaviyo_pipeline.warehouse.json_content import content_digest
from klaviyo_pipeline.warehouse.parts import Span, spans_of_rows
from klaviyo_pipeline.warehouse.rows import Incoming
from klaviyo_pipeline.warehouse.sql import quote, quoted_list
from klaviyo_pipeline.warehouse.tables import DELETED_AT

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

DECIDED = f"{TEMPORARY}_decided"
FOUND = f"{TEMPORARY}_found"
_CONTENT = f"{TEMPORARY}_content"
_KNOWN = f"{TEMPORARY}_known"
_CAME = f"{TEMPORARY}_came"
_THERE = f"{TEMPORARY}_there"
_EQUAL = f"{TEMPORARY}_equal"
_DIGESTED_ROWS = 10_000
SMALL_TABLE_ROWS = 1_000_000
"""In a table of so many rows a search for keys costs less than 0.1 s, and needs no bound by time."""


def find(job: Job) -> None:
    """Finds the rows of the table that have a key of the batch: ``FOUND`` has their row ids. No wide column is read."""
    keys = ", ".join(f"k{i}" for i in range(len(job.key)))
    marked = any(column.name == DELETED_AT for column in job.columns)
    job.fill(
        FOUND,
        (
            f"SELECT b.seq, t.rowid AS place, {_version(job) or 'NULL'} AS version, "
            f"{f't.{DELETED_AT} IS NOT NULL' if marked else 'false'} AS was_deleted FROM {job.target} AS t "
            f"JOIN (SELECT seq, {keys} FROM {BATCH} WHERE {part.condition('seq')}) AS b ON {same_key(job)} "
            f"WHERE {_among(job, part)}"
            for part in job.seq_spans()
        ),
    )


def _among(job: Job, part: Span) -> str:
    """The condition for rows of the table that may have a key of this part."""
    place = around(job, part)
    return place.condition() if place else "true"


def found_spans(job: Job) -> list[Span]:
    """Spans of the table's row ids that have few enough rows of ``FOUND``; they cover the whole table."""
    return spans_of_rows(job.con, FOUND, "place", job.at_once)


def found_in(part: Span) -> str:
    """The query for a part of ``FOUND``."""
    return f"(FROM {FOUND} WHERE {part.condition('place')})"


def chosen_in(part: Span, condition: str) -> str:
    """The query for a part of ``FOUND``, of the rows for which a condition on ``DECIDED AS d`` holds."""
    return f"(SELECT f.* FROM {DECIDED} AS d JOIN {found_in(part)} AS f USING (seq) WHERE {condition})"


def decide(job: Job) -> None:
    """Compares the batch with the rows found: ``DECIDED`` has the action for each row, and the number of its range.

    A key that the table has several times (appended) becomes one row again.
    """
    _read_content(job)
    older = "k.version > b.version" if _version(job) else "false"
    job.fill(
        DECIDED,
        (
            f"SELECT b.seq, {'b.range_number, ' if job.ranged else ''}"
            f"CASE WHEN k.seq IS NULL THEN 'insert' WHEN {older} THEN 'older' "
            "WHEN k.times > 1 OR k.fingerprint <> b.fingerprint THEN 'update' "
            "WHEN k.spelling = b.spelling THEN 'equal' ELSE 'respelled' END AS action, "
            f"coalesce(k.was_deleted, false) AS was_deleted FROM (FROM {BATCH} WHERE {part.condition('seq')}) AS b "
            f"LEFT JOIN (FROM {_KNOWN} WHERE {part.condition('seq')}) AS k USING (seq)"
            for part in job.seq_spans()
        ),
    )
    job.con.execute(f"DROP TABLE {_KNOWN}")
    if job.scalar(f"SELECT count(*) FROM {DECIDED} WHERE action = 'respelled'"):
        _settle_respelled(job)


def _version(job: Job) -> str | None:
    return f"t.{quote(job.version)}" if job.version and job.expression(job.version) != "NULL" else None


def _read_content(job: Job) -> None:
    """Fingerprints of the rows found, for each row of the batch."""
    texts = json_texts(job)
    compared = [f"t.{quote(c.name)}" for c, n in content(job) if (c, n) not in texts]
    spelled = [f"t.{quote(c.name)}" for c, _ in texts]
    job.fill(
        _CONTENT,
        (
            f"SELECT f.seq, f.version, f.was_deleted, {hashed(compared)} AS fingerprint, {hashed(spelled)} AS spelling "
            f"FROM {job.target} AS t JOIN {found_in(part)} AS f ON t.rowid = f.place WHERE {part.condition('t.rowid')}"
            for part in found_spans(job)
        ),
    )
    job.fill(
        _KNOWN,
        (
            "SELECT seq, count(*) AS times, max(version) AS version, any_value(fingerprint) AS fingerprint, "
            "any_value(spelling) AS spelling, bool_and(was_deleted) AS was_deleted "
            f"FROM {_CONTENT} WHERE {part.condition('seq')} GROUP BY seq"
            for part in job.seq_spans()
        ),
    )
    job.con.execute(f"DROP TABLE {_CONTENT}")


def _settle_respelled(job: Job) -> None:
    """Decides about rows that differ in the text of JSON columns alone, by what the JSON says."""
    _digest_respelled(job)
    settled, spans = f"{DECIDED}_settled", job.seq_spans()
    job.fill(
        _EQUAL,
        (
            f"SELECT c.seq FROM (FROM {_THERE} WHERE {part.condition('seq')}) AS t "
            f"JOIN (FROM {_CAME} WHERE {part.condition('seq')}) AS c USING (seq, digest)"
            for part in spans
        ),
    )
    job.fill(
        settled,
        (
            "SELECT d.* REPLACE (CASE WHEN d.action <> 'respelled' THEN d.action WHEN e.seq IS NULL THEN 'update' "
            f"ELSE 'equal' END AS action) FROM (FROM {DECIDED} WHERE {part.condition('seq')}) AS d "
            f"LEFT JOIN (FROM {_EQUAL} WHERE {part.condition('seq')}) AS e USING (seq)"
            for part in spans
        ),
    )
    for table in (_CAME, _THERE, _EQUAL, DECIDED):
        job.con.execute(f"DROP TABLE {table}")
    job.con.execute(f"ALTER TABLE {settled} RENAME TO {DECIDED.rpartition('.')[2]}")


def _digest_respelled(job: Job) -> None:
    """Digests of these rows' JSON: ``_CAME`` has those of the batch, ``_THERE`` those of the table."""
    import pyarrow as pa

    texts = json_texts(job)
    schema = pa.schema([("seq", pa.int64()), ("digest", pa.binary(16))])
    marks = mask(job, f"SELECT seq FROM {DECIDED} WHERE action = 'respelled'")

    def came() -> Iterator[pa.RecordBatch]:
        for batch in job.incoming.reader([name for _, name in texts], marks):
            *columns, seqs = (column.to_pylist() for column in batch.columns)
            yield pa.record_batch([seqs, [content_digest(row) for row in zip(*columns, strict=True)]], schema=schema)

    def there() -> Iterator[pa.RecordBatch]:
        names = quoted_list([column.name for column, _ in texts], "t.")
        for part in found_spans(job):
            respelled = chosen_in(part, "d.action = 'respelled'")
            found = job.con.execute(
                f"SELECT f.seq, {names} FROM {job.target} AS t JOIN {respelled} AS f ON t.rowid = f.place "
                f"WHERE {part.condition('t.rowid')}"
            )
            while rows := found.fetchmany(_DIGESTED_ROWS):
                digests = [content_digest(row) for _, *row in rows]
                yield pa.record_batch([[seq for seq, *_ in rows], digests], schema=schema)

    spool = Incoming(pa.RecordBatchReader.from_batches(schema, there()))
    try:
        with registered(job, pa.RecordBatchReader.from_batches(schema, came())):
            job.fill(_CAME, [f"SELECT * FROM {STREAM}"])
        with registered(job, spool.reader(["seq", "digest"])):
            job.fill(_THERE, [f"SELECT seq, digest FROM {STREAM}"])
    finally:
        spool.close()
