"""What a landing is asked to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline.warehouse.batch import Among, AmongParents, Around, Days
from klaviyo_pipeline.warehouse.errors import LoadError
from klaviyo_pipeline.warehouse.names import check_schema, check_table
from klaviyo_pipeline.warehouse.ownership import Owner
from klaviyo_pipeline.warehouse.rows import StagedFile
from klaviyo_pipeline.warehouse.sandbox_rows import Origin
from klaviyo_pipeline.warehouse.shrinking import ShrinkLimits
from klaviyo_pipeline.warehouse.tables import Table
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa

    from klaviyo_pipeline.people import People

REPLACING = (WriteMode.REPLACE, WriteMode.REPLACE_ON_NEW_DATA)


@dataclass(frozen=True)
class TimeRange:
    """The half-open range ``[start, end)`` of a time column, in aware datetimes; None is unbounded."""

    column: str
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True)
class Sweep:
    """Says that the extract is the full truth of the table, or of the rows whose ``column`` is among ``values``.

    With ``days`` it is so for these days only.

    In merge mode rows in that scope that the extract has not are marked ``_deleted_at``. In the replace modes only
    rows in that scope are cleared. Rows of a child table are in scope by their ``parents`` instead.
    """

    column: str | None = None
    values: tuple[str, ...] = ()
    parents: AmongParents | None = None
    days: Days | None = None

    @property
    def among(self) -> Among | AmongParents | None:
        """The rows in scope; None for all."""
        return self.parents or (Among(self.column, self.values, self.days) if self.column is not None else None)


@dataclass(frozen=True, kw_only=True)
class ChildRows:
    """Rows for a table of their own that stand in the rows of a load, and land with them.

    What a row of the load does not hold any more is marked ``_deleted_at``, or cleared in the replace modes.

    Args:
        table: Where they go.
        source: Their name in the ledger.
        columns: The columns of the load's rows that they are made from.
        parent_column: The column that names the row they stand in.
        schema: Of what ``rows_of`` gives.
        rows_of: Makes them from a batch of the load's rows.
        mode: What happens to rows that are there.
        partition_key: The time column by which rows are counted.
        owner: Whose rows they are.
        shrink: How much of the table the load may take away without consent.
    """

    table: Table
    source: str
    columns: tuple[str, ...]
    parent_column: str
    schema: pa.Schema
    rows_of: Callable[[pa.RecordBatch], pa.RecordBatch]
    mode: WriteMode = WriteMode.MERGE
    partition_key: str | None = None
    owner: Owner | None = None
    shrink: ShrinkLimits | None = None


@dataclass(frozen=True)
class LandRequest:
    """Rows, and what is to be done with them.

    Args:
        table: Where they go.
        rows: Staged files, an Arrow table or reader, or a pandas data frame. Columns are matched by name;
            those that the table lacks are added; a rewritten row keeps its value in columns that are not given.
        mode: What happens to rows that are there.
        source: The source's name in the ledger.
        run_id: Written to every row and to the ledger.
        extract_id: Names this extract: one extract is appended to a table at most once, so a retry is safe.
        trim: Rows outside are dropped; rows without the time are kept.
        partition_key: The time column by which the table is partitioned.
        partitions: The half-open ranges that a replace clears and refills; none: the whole table.
        count_ranges: Half-open ranges of the partition key, in order, for each of which rows are counted as well.
        version_column: A row never goes back to a lower value in it; an equal one with other content does update.
        fixed_time: A time that never changes for a key. In a large table a merge looks for the keys of its rows only
            between their earliest and their latest time (and among rows without one), so that it costs no more there.
        around: Where in time the rows of the table lie that the landing can be about; None: anywhere.
        sweep: What the extract is the full truth of.
        unknown: Columns that the rows have, but that their source could not fill: a rewritten row keeps its values.
        window: What was read, as ``[start, end)``; its end is where the next incremental run starts.
        filter_field: The field that the window filters by.
        revision: The API revision that answered.
        rows_fetched: Rows that the source returned; by default those that came.
        requests: Requests that it took.
        duration_s: Seconds that the fetch took.
        details: Whatever else the ledger is to remember, as JSON.
        owner: The data source and account of the rows; None for rows of any other origin.
        shrink: How much the landing may take away; None for no limit.
        origin: Where the rows come from; None for rows that were made from others.
        children: Rows of other tables that stand in these rows, landed in the same transaction.
        staged_only: Columns that the rows have for their children alone; the table gets none of them.
        written: Whether the rows are written. If not, only their children are.
        people: Whom the fetch has left out because they were erased; None for rows of any other origin.
    """

    table: Table
    rows: Sequence[StagedFile | Path | str] | pa.Table | pa.RecordBatchReader | pd.DataFrame
    mode: WriteMode
    source: str
    run_id: str
    extract_id: str
    trim: TimeRange | None = None
    partition_key: str | None = None
    partitions: tuple[tuple[datetime, datetime], ...] = ()
    count_ranges: tuple[tuple[datetime, datetime], ...] = ()
    version_column: str | None = None
    fixed_time: str | None = None
    around: Around | None = None
    sweep: Sweep | None = None
    unknown: tuple[str, ...] = ()
    window: tuple[datetime | None, datetime | None] | None = None
    filter_field: str | None = None
    revision: str | None = None
    rows_fetched: int | None = None
    requests: int | None = None
    duration_s: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    owner: Owner | None = None
    shrink: ShrinkLimits | None = None
    origin: Origin | None = None
    children: tuple[ChildRows, ...] = ()
    staged_only: tuple[str, ...] = ()
    written: bool = True
    people: People | None = None


def check(load: LandRequest) -> None:
    """Refuses a request that contradicts itself.

    Raises:
        LoadError: It does.
        TableNameError: There can be no such schema or table.
    """
    check_schema(load.table.schema)
    check_table(load.table.name)
    name = load.table.plain_name
    if load.mode is WriteMode.MERGE and not load.table.primary_key:
        raise LoadError(f"{name} can't be merged without a primary key: declare one, or use append or replace.")
    if load.mode in REPLACING and load.partitions and not load.partition_key:
        raise LoadError(f"{name}: partitions can't be replaced without a partition_key: name the time column.")
    if load.sweep and load.mode is WriteMode.APPEND:
        raise LoadError(f"{name}: an append can't find deleted rows: use merge or replace, or no sweep.")
    if load.sweep and load.mode is WriteMode.MERGE and (load.trim or load.partitions):
        raise LoadError(f"{name}: a load cut to a time range is not the full truth: give a sweep or a range, not both.")
    bounds = [*(load.window or ()), *(bound for span in load.partitions for bound in span)]
    bounds += [load.trim.start, load.trim.end] if load.trim else []
    naive = [bound for bound in bounds if bound is not None and bound.tzinfo is None]
    if naive:
        raise LoadError(f"{name}: the time {naive[0]} has no time zone: use aware datetimes, e.g. in UTC.")
