"""Child tables: rows that stand in the rows of a load, landed in its transaction.

A child row lives as long as a row of the load holds it. So of every row that is read, the child rows that it does not
hold any more are gone; and where the load replaces rows, those whose parent is gone are gone as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from klaviyo_pipeline.warehouse.batch import BATCH, PARENTS, TEMPORARY, AmongParents, Job, around, mask
from klaviyo_pipeline.warehouse.deciding import DECIDED
from klaviyo_pipeline.warehouse.land_request import REPLACING, ChildRows, LandRequest, Sweep
from klaviyo_pipeline.warehouse.parts import Span
from klaviyo_pipeline.warehouse.rows import Incoming
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")
Land = Callable[["duckdb.DuckDBPyConnection", LandRequest, Incoming], T]


def land_children(job: Job, load: LandRequest, *, decided: bool, land: Land[T]) -> tuple[T, ...]:
    """Lands the children of a load whose rows have been gathered, or merged (``decided``).

    Rows that were superseded within the load, or that the table has in a newer version, do not count. The temporary
    tables of the load are gone afterwards.
    """
    import pyarrow as pa

    if not load.children:
        return ()
    counted = f"WHERE seq NOT IN (SELECT seq FROM {DECIDED} WHERE action = 'older')" if decided else ""
    job.con.execute(f"CREATE TEMP TABLE {PARENTS} AS SELECT seq, k0 AS id FROM {BATCH} {counted}")
    marks = mask(job, f"SELECT seq FROM {PARENTS}")
    outcomes = []
    requests = [_request(load, child, job) for child in load.children]
    for child, request in zip(load.children, requests, strict=True):
        _drop_temporary(job.con)
        there = set(child.columns) <= set(job.incoming.schema.names)  # a load without rows has no columns
        batches = map(child.rows_of, job.incoming.reader(child.columns, marks)) if there else iter(())
        rows = Incoming(pa.RecordBatchReader.from_batches(child.schema, batches))
        try:
            outcomes.append(land(job.con, request, rows))
        finally:
            rows.close()
    return tuple(outcomes)


def _request(load: LandRequest, child: ChildRows, job: Job) -> LandRequest:
    whole = _is_whole(load)
    gone_too = job.target if load.written and load.mode in REPLACING else None
    anywhere = whole or gone_too is not None or not child.partition_key
    sweep = Sweep() if whole else Sweep(parents=AmongParents(child.parent_column, gone_too))
    return LandRequest(
        table=child.table,
        rows=(),
        mode=child.mode,
        source=child.source,
        run_id=load.run_id,
        extract_id=load.extract_id,
        partition_key=child.partition_key,
        count_ranges=load.count_ranges if child.partition_key else (),
        # A child has the time of its parent, which is fixed.
        around=None if anywhere else around(job, Span(), child.partition_key),
        sweep=None if child.mode is WriteMode.APPEND else sweep,
        window=load.window,
        filter_field=load.filter_field,
        revision=load.revision,
        requests=None if load.written else load.requests,
        duration_s=None if load.written else load.duration_s,
        details=load.details,
        owner=child.owner,
        shrink=child.shrink,
        origin=load.origin,
    )


def _is_whole(load: LandRequest) -> bool:
    """Whether the load's rows are all that there are."""
    if load.sweep is not None:
        return load.sweep.among is None
    return load.written and load.mode in REPLACING and not load.partitions


def _drop_temporary(con: duckdb.DuckDBPyConnection) -> None:
    prefix, kept = (name.rpartition(".")[2] for name in (TEMPORARY, PARENTS))
    found = con.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall()
    for (name,) in found:
        if name.startswith(prefix) and name != kept:
            con.execute(f"DROP TABLE temp.main.{name}")
