"""Landing: rows into a table and a line into the ledger, in one transaction, or nothing at all."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from klaviyo_pipeline import clock
from klaviyo_pipeline.warehouse import batch, child_tables, deciding, erased, ledger, ownership, shrinking, write_modes
from klaviyo_pipeline.warehouse.batch import BATCH, Among, AmongParents, Gathered, Job, Range
from klaviyo_pipeline.warehouse.errors import RowsError, without_values
from klaviyo_pipeline.warehouse.interface import Warehouse
from klaviyo_pipeline.warehouse.land_request import REPLACING, ChildRows, LandRequest, Sweep, TimeRange, check
from klaviyo_pipeline.warehouse.range_counts import RangeCounts, Tally
from klaviyo_pipeline.warehouse.rows import Incoming
from klaviyo_pipeline.warehouse.sandbox_rows import keep_apart
from klaviyo_pipeline.warehouse.sql import fold
from klaviyo_pipeline.warehouse.tables import (
    DELETED_AT,
    DELETED_AT_COLUMN,
    SYSTEM_COLUMNS,
    Column,
    check_names,
    divide_by_day,
    existing_columns,
    full_name,
    shape,
    typed_path,
)
from klaviyo_pipeline.warehouse.write_modes import Counts, WriteMode

if TYPE_CHECKING:
    import duckdb

__all__ = ["ChildRows", "LandRequest", "LandingResult", "Sweep", "TimeRange", "land", "land_within"]


@dataclass(frozen=True)
class LandingResult:
    """What a landing did.

    Every row fetched is inserted, updated, unchanged, outside the window (or the partitions that are replaced), or
    repeats the key of another row that came. After a skipped append all of these are 0.

    ``table_path`` is the table as a person can type it. ``skipped``: nothing was written, since there was nothing new
    (replace_on_new_data) or the extract had been appended before. ``duration_s`` is how long the database was
    held, ``lock_wait_s`` how long it was waited for. ``by_range`` has the counts of each of the load's
    ``count_ranges``; it is empty if the table has no such column. ``parts`` is 1, or how many landings are summed here.
    ``children`` is what became of the rows of each child table, in the load's order.
    """

    table_path: str
    rows_fetched: int
    rows_outside_window: int
    rows_repeated: int
    inserted: int
    updated: int
    unchanged: int
    deleted: int
    revived: int
    total_rows: int
    duration_s: float
    lock_wait_s: float
    skipped: bool
    added_columns: tuple[str, ...]
    by_range: tuple[RangeCounts, ...] = ()
    parts: int = 1
    children: tuple[LandingResult, ...] = ()


def land(database: Warehouse, load: LandRequest) -> LandingResult:
    """Lands rows and their ledger line in one transaction; on any failure everything stays as it was.

    Only new columns of a large table, of which a transaction would hold too much in memory, come before it and stay.
    A repeated replace of identical rows leaves the same rows with a new ``_loaded_at``; a repeated merge leaves the
    table untouched.

    Raises:
        LoadError: The load contradicts itself.
        TableNameError: There can be no such schema or table.
        TableShapeError: The table exists with an incompatible shape.
        RowsError: A value does not fit its column, or a row lacks its key.
        StageDamagedError: A staged page is not as it was written, or people were erased meanwhile: fetch again.
        StagedFileError: A staged file is missing or torn.
        ShrinkError: The rows are so many fewer than the table's that it takes consent.
        OwnerError: The table has rows of another data source or account.
        MixedRowsError: The database has a sandbox's rows and these are an account's, or the other way round.
        DatabaseBusyError: Others held the file for too long.
        WarehouseError: Anything else that went wrong with the file.
    """
    check(load)
    incoming = Incoming(load.rows)
    _release_memory()
    asked = opened = time.monotonic()

    def attempt(con: duckdb.DuckDBPyConnection) -> tuple[_Outcome, list[str]]:
        nonlocal opened
        opened, incoming.failure = time.monotonic(), None
        with _explained(load, incoming):
            if load.origin is not None:
                keep_apart(con, database.name, load.origin)
            if load.people is not None:
                erased.check_same(con, load.table.schema, load.people)
            outcome = land_within(con, load, incoming, may_commit=True)
        return outcome, [typed_path(con, each.table) for each in _tables(load)]

    try:
        outcome, paths = database.transacting(attempt, *(each.table.plain_name for each in _tables(load)))
    finally:
        incoming.close()
    held_s, waited_s = time.monotonic() - opened, opened - asked
    children = tuple(
        _result(child, path, held_s, waited_s) for child, path in zip(outcome.children, paths[1:], strict=False)
    )
    return replace(_result(outcome, paths[0], held_s, waited_s), children=children)


@contextmanager
def _explained(load: LandRequest, incoming: Incoming) -> Iterator[None]:
    """Raises what broke the stream of rows off, and errors of DuckDB about a value without the value."""
    try:
        yield
    except BaseException as error:
        cause = incoming.failure or error
        if isinstance(cause, _unfit()):
            raise RowsError(
                f"A row for {load.table.plain_name} does not fit its column, and nothing was changed. "
                f"Correct the rows or declare another type. The cause: {without_values(cause)}"
            ) from None
        if cause is not error:
            raise cause from error
        raise


def _release_memory() -> None:
    """Gives back what Arrow keeps of memory that the fetch has freed: DuckDB takes up to its limit beside it."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


def _tables(load: LandRequest) -> list[LandRequest | ChildRows]:
    """What the load writes."""
    return [load, *load.children] if load.written else list(load.children)


def _result(outcome: _Outcome, path: str, held_s: float, waited_s: float) -> LandingResult:
    return LandingResult(
        table_path=path,
        rows_fetched=outcome.rows_fetched,
        rows_outside_window=outcome.gathered.outside,
        rows_repeated=outcome.gathered.repeated,
        inserted=outcome.counts.inserted,
        updated=outcome.counts.updated,
        unchanged=outcome.counts.unchanged,
        deleted=outcome.counts.deleted,
        revived=outcome.counts.revived,
        total_rows=outcome.total_rows,
        duration_s=held_s,
        lock_wait_s=waited_s,
        skipped=outcome.skipped,
        added_columns=outcome.added_columns,
        by_range=outcome.by_range,
    )


def _unfit() -> tuple[type[Exception], ...]:
    """What DuckDB and Arrow raise about a value. They quote it, and it may be personal: it goes no further."""
    import duckdb
    import pyarrow as pa

    return duckdb.DataError, duckdb.InvalidInputException, duckdb.ConstraintException, pa.ArrowException


@dataclass(frozen=True)
class _Outcome:
    counts: Counts
    gathered: Gathered
    rows_fetched: int
    total_rows: int
    skipped: bool
    added_columns: tuple[str, ...]
    by_range: tuple[RangeCounts, ...] = ()
    children: tuple[_Outcome, ...] = ()


def land_within(
    con: duckdb.DuckDBPyConnection, load: LandRequest, incoming: Incoming, *, may_commit: bool = False
) -> _Outcome:
    """Lands rows and their ledger line within the caller's transaction; what ``land`` does once the file is open.

    With ``may_commit`` new columns of a large table come in transactions of their own before it.
    """
    if not load.written:
        return _land_children_only(con, load, incoming)
    table = load.table
    target = full_name(con, table.schema, table.name)
    existing = existing_columns(con, table.schema, table.name)
    if load.mode is WriteMode.APPEND and ledger.was_landed(con, table, load.extract_id):
        tally = Tally.of(con, target, existing, load.partition_key, load.count_ranges)
        return _Outcome(
            Counts(),
            Gathered(0, 0, 0),
            load.rows_fetched or 0,
            _count(con, target),
            skipped=True,
            added_columns=(),
            by_range=tally.unchanged(),
        )
    if load.owner:
        ownership.refuse_strangers(ownership.history(con, table), table, load.mode, load.owner)

    types = _types(con, load, incoming)
    wanted = _wanted(load, types)
    check_names(table, wanted)
    columns, added = shape(con, table, wanted, existing, may_commit=may_commit)
    if load.fixed_time and not existing:
        divide_by_day(con, target, load.fixed_time)
    tally = Tally.of(con, target, columns, load.partition_key, load.count_ranges)
    # Joins as they are written here: the small batch is hashed, the table or the stream passes by.
    con.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")
    job = Job(
        con=con,
        incoming=incoming,
        incoming_types=types,
        target=target,
        columns=columns,
        key=table.primary_key,
        version=load.version_column,
        trims=_trims(load),
        now=clock.now(),
        run_id=load.run_id,
        plain_name=table.plain_name,
        ranges=load.count_ranges,
        ranged=tally.column,
        around=load.around,
    )
    rows_before = _count(con, target)
    merging = load.mode is WriteMode.MERGE and rows_before > 0
    if merging and not load.sweep and rows_before > deciding.SMALL_TABLE_ROWS:
        job = replace(job, fixed_time=load.fixed_time)
    gathered = batch.gather(job, fingerprint=merging)
    job = replace(job, at_once=gathered.at_once)
    incoming.check_complete()
    skipped = load.mode is WriteMode.REPLACE_ON_NEW_DATA and gathered.rows == 0
    scope = _scope(load)
    may_shrink = load.shrink and not skipped and (load.mode in REPLACING or (merging and load.sweep))
    if merging or may_shrink:
        deciding.find(job)
    if load.shrink and may_shrink:
        shrinking.check(job, load.shrink, scope, load.mode, gathered.rows)
    replacing = load.mode in REPLACING and not skipped
    if replacing:
        tally.before()
    if skipped:
        counts = Counts()
        if existing:
            con.rollback()
            con.begin()
            added = ()
    elif merging:
        deciding.decide(job)
        swept = write_modes.sweep(job, load.sweep.among) if load.sweep else 0
        counts = write_modes.merge(job)
        counts.deleted = swept
    elif replacing:
        counts = write_modes.replace(job, scope)
    else:
        counts = write_modes.append(job)
    con.execute("RESET disabled_optimizers")
    total_rows = _count(con, target)
    fetched = incoming.rows_seen if load.rows_fetched is None else load.rows_fetched
    _record(con, load, counts, gathered, fetched, total_rows, job.now)
    by_range = (
        tally.unchanged()
        if skipped
        else tally.after(
            gathered.by_range, BATCH, deciding.DECIDED if merging else None, job.now if load.sweep and merging else None
        )
    )
    children = () if skipped else child_tables.land_children(job, load, decided=merging, land=land_within)
    return _Outcome(counts, gathered, fetched, total_rows, skipped, added, by_range, children)


def _land_children_only(con: duckdb.DuckDBPyConnection, load: LandRequest, incoming: Incoming) -> _Outcome:
    """Gathers the rows, of each key one, and lands what stands in them."""
    columns = (*load.table.columns, *SYSTEM_COLUMNS)
    job = Job(
        con=con,
        incoming=incoming,
        incoming_types=_types(con, load, incoming),
        target="",
        columns=columns,
        key=load.table.primary_key,
        version=load.version_column,
        trims=_trims(load),
        now=clock.now(),
        run_id=load.run_id,
        plain_name=load.table.plain_name,
    )
    batch.gather(job, fingerprint=False)
    incoming.check_complete()
    (outcome,) = child_tables.land_children(job, load, decided=False, land=land_within)
    return outcome


def _types(con: duckdb.DuckDBPyConnection, load: LandRequest, incoming: Incoming) -> dict[str, str]:
    """The rows' columns with their types, without those that are there for children."""
    types = incoming.types(con) | dict.fromkeys(load.unknown, '"NULL"')
    return {name: kind for name, kind in types.items() if name not in load.staged_only}


def _wanted(load: LandRequest, types: Mapping[str, str]) -> tuple[Column, ...]:
    """The columns that the table must have: declared, then new ones among the rows, then the pipeline's own."""
    own = [*SYSTEM_COLUMNS, *([DELETED_AT_COLUMN] if load.sweep else [])]
    reserved = {column.name for column in SYSTEM_COLUMNS} | {DELETED_AT}
    declared = [column for column in load.table.columns if fold(column.name) not in {c.name for c in own}]
    known = {fold(column.name) for column in declared} | reserved
    new = [
        Column(name, _column_type(kind)) for name, kind in types.items() if fold(name) not in known and kind != '"NULL"'
    ]
    return (*declared, *new, *own)


def _column_type(incoming: str) -> str:
    """The column type for undeclared rows: what is nested becomes JSON, what is naive stays naive."""
    if incoming.endswith("]") or incoming.startswith(("STRUCT", "MAP", "UNION")):
        return "JSON"
    if incoming.startswith("ENUM"):
        return "VARCHAR"
    return "TIMESTAMP" if incoming in ("TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS") else incoming


def _scope(load: LandRequest) -> list[Range | Among | AmongParents]:
    """What the rows are the full truth of, and so what a replace clears; nothing: the whole table."""
    scope: list[Range | Among | AmongParents] = []
    if load.partition_key and load.partitions:
        scope.append(Range(load.partition_key, load.partitions))
    if load.sweep and load.sweep.among:
        scope.append(load.sweep.among)
    return scope


def _trims(load: LandRequest) -> tuple[Range, ...]:
    trims = [Range(load.trim.column, ((load.trim.start, load.trim.end),))] if load.trim else []
    if load.mode in REPLACING and load.partition_key and load.partitions:
        trims.append(Range(load.partition_key, load.partitions))
    return tuple(trims)


def _count(con: duckdb.DuckDBPyConnection, target: str) -> int:
    return int(con.execute(f"SELECT count(*) FROM {target}").fetchall()[0][0])


def _record(
    con: duckdb.DuckDBPyConnection,
    load: LandRequest,
    counts: Counts,
    gathered: Gathered,
    rows_fetched: int,
    total_rows: int,
    now: datetime,
) -> None:
    start, end = load.window or (None, None)
    ledger.record(
        con,
        ledger.Entry(
            kind="load",
            source=load.source,
            table_name=load.table.plain_name,
            write_mode=load.mode.value,
            filter_field=load.filter_field,
            window_start=start,
            window_end=end,
            partitions=load.partitions,
            rows_fetched=rows_fetched,
            rows_outside_window=gathered.outside,
            rows_repeated=gathered.repeated,
            inserted=counts.inserted,
            updated=counts.updated,
            unchanged=counts.unchanged,
            deleted=counts.deleted,
            revived=counts.revived,
            total_rows=total_rows,
            requests=load.requests,
            run_id=load.run_id,
            extract_id=load.extract_id,
            revision=load.revision,
            duration_s=load.duration_s,
            details=load.details,
            data_source=load.owner.data_source if load.owner else None,
            account=load.owner.account if load.owner else None,
            account_key=load.owner.account_key if load.owner else None,
            landed_at=now,
        ),
    )
