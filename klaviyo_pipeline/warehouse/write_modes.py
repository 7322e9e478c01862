"""The four write modes, and the sweep that marks what is gone. Only INSERT, UPDATE and DELETE, and no PRIMARY KEY.

`batch` gathers the narrow facts of the rows, `deciding` compares them with the table, and here the table is written:
the rows chosen are streamed into it. A wide row is never joined, sorted or buffered, so that memory stays small and
the lock short (200,000 events of 1.3 kB, all unchanged: 0.5 s; MERGE with the wide rows: 1.8 s and 400 MB more).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from klaviyo_pipeline.warehouse.batch import (
    BATCH,
    STREAM,
    SYSTEM,
    TEMPORARY,
    Among,
    AmongParents,
    Job,
    Range,
    mask,
    same_key,
    stream,
)
from klaviyo_pipeline.warehouse.deciding import DECIDED, chosen_in, found_in, found_spans
from klaviyo_pipeline.warehouse.parts import rows_at_once, spans_of_rows
from klaviyo_pipeline.warehouse.sql import fold, quote, quoted_list
from klaviyo_pipeline.warehouse.tables import DELETED_AT, LOADED_AT, RUN_ID

_KEPT = f"{TEMPORARY}_kept"
_REVIVED = "d.was_deleted AND d.action IN ('equal', 'older')"
_UPDATED = "d.action = 'update'"


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


def append(job: Job) -> Counts:
    """Inserts the batch."""
    return Counts(inserted=_write(job, f"SELECT seq FROM {BATCH}"))


def replace(job: Job, scope: Sequence[Range | Among | AmongParents]) -> Counts:
    """Clears the scope (nothing: the whole table), then inserts the batch.

    Within partitions a key that lives outside the scope is cleared there too: its row has moved (a profile
    that was updated again), and an id must not be in the table twice.
    """
    conditions = [each.condition() for each in scope]
    condition = " AND ".join(sql for sql, _ in conditions) or "true"
    parameters = [value for _, values in conditions for value in values]
    deleted = job.scalar(f"DELETE FROM {job.target} WHERE {condition}", parameters)
    if scope and job.key:
        for part in job.seq_spans():
            rows = f"(FROM {BATCH} WHERE {part.condition('seq')})"
            deleted += job.scalar(f"DELETE FROM {job.target} AS t USING {rows} AS b WHERE {same_key(job)}")
    return Counts(inserted=_write(job, f"SELECT seq FROM {BATCH}"), deleted=int(deleted))


def merge(job: Job) -> Counts:
    """Inserts new keys and rewrites changed rows; equal rows and newer versions in the table stay as they are.

    It follows ``deciding.decide``. Row ids hold until the first row is written.
    """
    found = dict(job.con.execute(f"SELECT action, count(*) FROM {DECIDED} GROUP BY action").fetchall())
    counts = Counts(
        inserted=found.get("insert", 0),
        updated=found.get("update", 0),
        unchanged=found.get("equal", 0) + found.get("older", 0),
        revived=job.scalar(f"SELECT count(*) FROM {DECIDED} WHERE was_deleted"),
    )
    if counts.revived:
        # Those that are rewritten are revived by that.
        for part in found_spans(job):
            job.con.execute(
                f"UPDATE {job.target} SET {DELETED_AT} = NULL, {LOADED_AT} = ?, {RUN_ID} = ? WHERE "
                f"{part.condition('rowid')} AND rowid IN (SELECT place FROM {chosen_in(part, _REVIVED)})",
                [job.now, job.run_id],
            )
    others = _not_carried(job)
    if counts.updated:
        if others:
            _keep(job, others)
        for part in found_spans(job):
            job.con.execute(
                f"DELETE FROM {job.target} WHERE {part.condition('rowid')} "
                f"AND rowid IN (SELECT place FROM {chosen_in(part, _UPDATED)})"
            )
    if counts.inserted or counts.updated:
        _write(job, f"SELECT seq FROM {DECIDED} WHERE action IN ('insert', 'update')")
    if counts.updated and others:
        _give_back(job, others)
    return counts


def _keep(job: Job, names: Sequence[str]) -> None:
    """Sets values aside that rewritten rows keep."""
    values = ", ".join(f"t.{quote(name)} AS v{i}" for i, name in enumerate(names))
    some = " OR ".join(f"t.{quote(name)} IS NOT NULL" for name in names)
    job.fill(
        _KEPT,
        (
            f"SELECT f.seq, {values} FROM {job.target} AS t JOIN {chosen_in(part, _UPDATED)} AS f "
            f"ON t.rowid = f.place WHERE {part.condition('t.rowid')} AND ({some})"
            for part in found_spans(job)
        ),
    )


def _give_back(job: Job, names: Sequence[str]) -> None:
    """Gives rewritten rows what was set aside. A key that was there several times has one of each column's values."""
    numbers = range(len(names))
    keys = ", ".join(f"k{i}" for i in range(len(job.key)))
    width = " + ".join(f"coalesce(strlen(CAST(v{i} AS VARCHAR)), 0)" for i in numbers)
    row_bytes = job.scalar(f"SELECT coalesce(avg({width}), 0) FROM {_KEPT}")
    for part in spans_of_rows(job.con, _KEPT, "seq", rows_at_once(job.con, row_bytes)):
        kept = (
            f"(SELECT {keys}, {', '.join(f'any_value(v{i}) AS v{i}' for i in numbers)} "
            f"FROM (FROM {_KEPT} WHERE {part.condition('seq')}) AS v "
            f"JOIN (SELECT seq, {keys} FROM {BATCH} WHERE {part.condition('seq')}) AS b USING (seq) GROUP BY {keys})"
        )
        job.con.execute(
            f"MERGE INTO {job.target} AS t USING {kept} AS b ON {same_key(job)} WHEN MATCHED THEN UPDATE SET "
            + ", ".join(f"{quote(name)} = b.v{i}" for i, name in enumerate(names))
        )


def sweep(job: Job, among: Among | AmongParents | None) -> int:
    """Marks the rows in scope (None: all) that the batch has not, and that were not marked before, as deleted now.

    It follows ``deciding.find`` and precedes any writing of rows, since row ids hold until then.

    Returns:
        How many were marked.
    """
    scope, parameters = among.condition("t.") if among else ("true", [])
    if job.around:
        scope = f"{job.around.condition()} AND {scope}"
    marked = 0
    for part in found_spans(job):
        marked += job.scalar(
            f"UPDATE {job.target} AS t SET {DELETED_AT} = ? WHERE t.{DELETED_AT} IS NULL AND {scope} "
            f"AND {part.condition('t.rowid')} AND t.rowid NOT IN (SELECT place FROM {found_in(part)})",
            [job.now, *parameters],
        )
    return marked


def _not_carried(job: Job) -> list[str]:
    """The table's columns that the rows don't carry: a rewritten row keeps its values there."""
    carried = {fold(column.name) for column, _ in job.carried()} | SYSTEM
    return [column.name for column in job.columns if fold(column.name) not in carried]


def _write(job: Job, chosen: str) -> int:
    """Streams the chosen rows (a query for their ``seq``) into the table."""
    carried = job.carried()
    names = quoted_list([column.name for column, _ in carried] + [LOADED_AT, RUN_ID])
    values = ", ".join([*(job.value(column, name) for column, name in carried), "CAST(? AS TIMESTAMPTZ)", "?"])
    with stream(job, [name for _, name in carried], mask(job, chosen)):
        return int(
            job.scalar(f"INSERT INTO {job.target} ({names}) SELECT {values} FROM {STREAM}", [job.now, job.run_id])
        )
