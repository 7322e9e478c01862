"""What a fetched load asks of the warehouse: which rows go, which stay, and what the ledger remembers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline.klaviyo.extract.pieces import days_of
from klaviyo_pipeline.klaviyo.extract.report import ReportRequest
from klaviyo_pipeline.loads.children import child_rows
from klaviyo_pipeline.loads.request import Range, replaced_ranges
from klaviyo_pipeline.loads.table import not_answered, table_of
from klaviyo_pipeline.redaction import redact_values
from klaviyo_pipeline.warehouse.batch import Days
from klaviyo_pipeline.warehouse.land_request import ChildRows, LandRequest, Sweep, TimeRange
from klaviyo_pipeline.warehouse.ledger import CHOSEN
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.extract.model import ExtractRequest, StagedExtract
    from klaviyo_pipeline.loads.model import Load, StagedLoad


def land_request(ready: StagedLoad, staged: StagedExtract) -> LandRequest:
    """The landing of what was fetched of a load: all of it, or a part."""
    load, request = ready.load, staged.request
    wanted, window = load.request, request.window
    over = request.time_field if not request.is_whole or staged.until else None
    parts, end = ready.parts, staged.until or window.end
    watermark = parts.watermark(staged) if parts else staged.watermark
    read, by = (window.start, watermark), over.name if over else None
    if parts is not None and parts.is_whole and staged.until is None:
        read, by = (None, watermark), None  # with the last part everything is read
    by_itself = wanted.source.child is not None
    return LandRequest(
        table=table_of(request.source, load.place.schema) if by_itself else load.table,
        rows=staged.files,
        mode=wanted.write_mode,
        source=load.ledger_name,
        run_id=load.run_id,
        extract_id=staged.extract_id,
        trim=TimeRange(over.column, window.start, end) if over and over.column else None,
        partition_key=wanted.partition_key,
        partitions=() if by_itself else _partitions(load, request),
        count_ranges=load.count_ranges,
        version_column=request.source.version_column,
        fixed_time=request.source.fixed_time,
        sweep=days_swept(load, staged) or sweep_of(load, request),
        unknown=not_answered(request.columns, staged.revision),
        window=read if load.moves_watermark else None,
        filter_field=by,
        revision=staged.revision,
        requests=staged.traffic.requests,
        duration_s=staged.duration_s,
        origin=load.origin,
        owner=ready.owner,
        shrink=ready.shrink,
        children=_children(ready, staged),
        staged_only=tuple(column.name for column in request.staged_only),
        written=not by_itself,
        people=request.people,
        details=plain_details(
            {
                **load.details,
                **(parts.details(staged) if parts else {}),
                "options": sorted(request.options),
                "ids": request.ids,
                **({CHOSEN: load.chosen} if load.chosen is not None else {}),
                "whole": request.is_whole,
                "retries": staged.traffic.retries,
                "stopped": str(staged.stopped) if staged.stopped else None,
                "unknown_attributes": staged.findings.unknown,
                "type_misfits": staged.findings.misfits,
            }
        ),
    )


def _children(ready: StagedLoad, staged: StagedExtract) -> tuple[ChildRows, ...]:
    load, request, mine = ready.load, staged.request, ready.load.request.source
    if mine.child is not None:
        shrink = ready.shrink if request.is_whole else None
        mode = load.request.write_mode
        return (child_rows(mine, load.place, staged, ready.owner, name=load.ledger_name, mode=mode, shrink=shrink),)
    return tuple(
        child_rows(child, replace(load.place, table=child.name), staged, ready.owner) for child in request.children
    )


def plain_details(values: Mapping[str, Any]) -> dict[str, Any]:
    """Details as plain JSON without secrets, for the ledger."""
    return redact_values(json.loads(json.dumps(values, default=str)))  # type: ignore[no-any-return]


def sweep_of(load: Load, request: ExtractRequest) -> Sweep | None:
    """What the extract is the full truth of: the table, or the rows of the parents that were read."""
    source, some = request.source, None
    if source.fan_out is not None and request.ids is not None:
        some = Sweep(source.fan_out.id_column, request.ids)
    in_part = not request.is_whole or not load.moves_watermark
    if source.choice is not None and request.chosen is not None and load.request.replaces and in_part:
        # A window, or a run of others than the load's own, clears only theirs.
        return Sweep(source.choice.column, request.chosen)
    if source.shows_deletions and request.is_whole and load.request.write_mode is WriteMode.MERGE:
        return some or Sweep()
    if load.request.source.child is not None:
        return Sweep() if request.is_whole and load.request.replaces else None
    # A run of other parents than the load's own clears only theirs.
    return some if load.request.replaces and not load.moves_watermark else None


def days_swept(load: Load, staged: StagedExtract) -> Sweep | None:
    """The days and metrics that were read, of rows by dimensions: rows of other combinations in them are gone.

    Klaviyo attributes events up to hours later. An event then counts for another combination, and the one that it
    counted for before may have no events left, so that answers lack it.
    """
    request = staged.request
    source = request.source
    if source.report is None or not source.report.by or load.request.write_mode is not WriteMode.MERGE:
        return None
    assert isinstance(request, ReportRequest)
    assert request.zone is not None
    assert source.fan_out is not None
    read = dict.fromkeys(stream.split(" ")[0] for stream in staged.rows_by_stream)
    return Sweep(source.fan_out.id_column, tuple(read), days=Days("date", *days_of(request.window, request.zone)))


def _partitions(load: Load, request: ExtractRequest) -> tuple[Range, ...]:
    """What a replace clears; otherwise the run's partitions, for the ledger."""
    if load.request.replaces:
        return replaced_ranges(request, load.request.partition_key)
    known = load.partition is not None and load.request.partition_key and not request.is_whole
    return (load.partition,) if known and load.partition is not None else ()
