"""What becomes of each row of a merge, decided by keys first and then by the content of the rows that match.

Content is read only for the rows of the table that have a key of the batch, found by their row ids. Each statement
below has at most one join or one aggregation over narrow columns, so that these do not share ``memory_limit``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from klaviyo_pipeline.warehouse.batch import (
    BATCH,
    STREAM,
    TEMPORARY,
    Job,
    content,
    hashed,
    json_texts,
    mask,
    registered,
    same_key,
)
from klaviyo_pipeline.warehouse.json_content import content_digest
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
_EQUAL = f"{TEMPORARY}_equal"
_DIGESTED_ROWS = 10_000


def decide(job: Job) -> None:
    """Compares the batch with the table: ``DECIDED`` has the action for each row, ``FOUND`` the table's row ids.

    A key that the table has several times (appended) becomes one row again.
    """
    _find(job)
    _read_content(job)
    older = "k.version > b.version" if _version(job) else "false"
    _make(
        job,
        DECIDED,
        f"SELECT b.seq, CASE WHEN k.seq IS NULL THEN 'insert' WHEN {older} THEN 'older' "
        "WHEN k.times > 1 OR k.fingerprint <> b.fingerprint THEN 'update' "
        "WHEN k.spelling = b.spelling THEN 'equal' ELSE 'respelled' END AS action, "
        f"coalesce(k.was_deleted, false) AS was_deleted FROM {BATCH} AS b LEFT JOIN {_KNOWN} AS k USING (seq)",
    )
    job.con.execute(f"DROP TABLE {_KNOWN}")
    if job.scalar(f"SELECT count(*) FROM {DECIDED} WHERE action = 'respelled'"):
        _settle_respelled(job)


def _make(job: Job, name: str, query: str) -> None:
    job.con.execute(f"CREATE TEMP TABLE {name} AS {query}")


def _version(job: Job) -> str | None:
    return f"t.{quote(job.version)}" if job.version and job.expression(job.version) != "NULL" else None


def _find(job: Job) -> None:
    """The table's rows that have a key of the batch; only keys, versions and marks are read."""
    keys = ", ".join(f"k{i}" for i in range(len(job.key)))
    marked = any(column.name == DELETED_AT for column in job.columns)
    _make(
        job,
        FOUND,
        f"SELECT b.seq, t.rowid AS place, {_version(job) or 'NULL'} AS version, "
        f"{f't.{DELETED_AT} IS NOT NULL' if marked else 'false'} AS was_deleted "
        f"FROM {job.target} AS t JOIN (SELECT seq, {keys} FROM {BATCH}) AS b ON {same_key(job)}",
    )


def _read_content(job: Job) -> None:
    """Fingerprints of the rows found, for each row of the batch."""
    texts = json_texts(job)
    compared = [f"t.{quote(c.name)}" for c, n in content(job) if (c, n) not in texts]
    spelled = [f"t.{quote(c.name)}" for c, _ in texts]
    _make(
        job,
        _CONTENT,
        f"SELECT t.rowid AS place, {hashed(compared)} AS fingerprint, {hashed(spelled)} AS spelling "
        f"FROM {job.target} AS t WHERE t.rowid IN (SELECT place FROM {FOUND})",
    )
    joined = f"{_KNOWN}_rows"
    _make(
        job,
        joined,
        f"SELECT f.seq, f.version, f.was_deleted, c.fingerprint, c.spelling FROM {FOUND} AS f "
        f"JOIN {_CONTENT} AS c USING (place)",
    )
    job.con.execute(f"DROP TABLE {_CONTENT}")
    _make(
        job,
        _KNOWN,
        "SELECT seq, count(*) AS times, max(version) AS version, any_value(fingerprint) AS fingerprint, "
        f"any_value(spelling) AS spelling, bool_and(was_deleted) AS was_deleted FROM {joined} GROUP BY seq",
    )
    job.con.execute(f"DROP TABLE {joined}")


def _settle_respelled(job: Job) -> None:
    """Decides about rows that differ in the text of JSON columns alone, by what the JSON says."""
    import pyarrow as pa

    texts, chosen = json_texts(job), f"SELECT seq FROM {DECIDED} WHERE action = 'respelled'"
    schema = pa.schema([("seq", pa.int64()), ("digest", pa.binary(16))])
    marks = mask(job, chosen)

    def came() -> Iterator[pa.RecordBatch]:
        for batch in job.incoming.reader([name for _, name in texts], marks):
            *columns, seqs = (column.to_pylist() for column in batch.columns)
            yield pa.record_batch([seqs, [content_digest(row) for row in zip(*columns, strict=True)]], schema=schema)

    def there() -> Iterator[pa.RecordBatch]:
        names = quoted_list([column.name for column, _ in texts], "t.")
        found = job.con.execute(
            f"SELECT f.seq, {names} FROM {job.target} AS t "
            f"JOIN (FROM {FOUND} WHERE seq IN ({chosen})) AS f ON t.rowid = f.place"
        )
        while rows := found.fetchmany(_DIGESTED_ROWS):
            yield pa.record_batch([[seq for seq, *_ in rows], [content_digest(row) for _, *row in rows]], schema=schema)

    spool = Incoming(pa.RecordBatchReader.from_batches(schema, there()))
    try:
        with registered(job, pa.RecordBatchReader.from_batches(schema, came())):
            _make(job, _CAME, f"SELECT * FROM {STREAM}")
        with registered(job, spool.reader(["seq", "digest"])):
            _make(job, _EQUAL, f"SELECT c.seq FROM {STREAM} AS s JOIN {_CAME} AS c USING (seq, digest)")
    finally:
        spool.close()
    settled = f"{DECIDED}_settled"
    _make(
        job,
        settled,
        "SELECT d.seq, CASE WHEN d.action <> 'respelled' THEN d.action WHEN e.seq IS NULL THEN 'update' "
        f"ELSE 'equal' END AS action, d.was_deleted FROM {DECIDED} AS d LEFT JOIN {_EQUAL} AS e USING (seq)",
    )
    job.con.execute(f"DROP TABLE {DECIDED}")
    job.con.execute(f"ALTER TABLE {settled} RENAME TO {DECIDED.rpartition('.')[2]}")
