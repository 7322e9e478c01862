"""A materialization's metadata where a run has several partitions: each has its own rows, the latest what is the run's.

Dagster gives metadata of an output to every partition of a range. A year of days would each show the year's rows, its
requests and its chart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.execution.context.metadata_logging import AssetMetadataHandle, OutputMetadataAccumulator

from klaviyo_pipeline.orchestration.assets.metadata import partition_metadata

if TYPE_CHECKING:
    from klaviyo_pipeline.warehouse.range_counts import RangeCounts

_OF_EVERY_PARTITION = {"dagster/row_count", "dagster/table_name", "storage_timezone", "revision", "window", "skipped"}
"""What is as true of each partition as of the run."""


def partition_ranges(
    partitions: dg.PartitionsDefinition[str] | None, keys: Iterable[str]
) -> tuple[tuple[datetime, datetime], ...]:
    """The half-open range of each partition, in UTC and in the order of the keys; none if partitions are no times."""
    if not isinstance(partitions, dg.TimeWindowPartitionsDefinition):
        return ()
    windows = [partitions.time_window_for_partition_key(key) for key in keys]
    return tuple((window.start.astimezone(UTC), window.end.astimezone(UTC)) for window in windows)


def add_metadata(context: dg.OutputContext, of_run: Mapping[str, Any], counts: Sequence[RangeCounts] = ()) -> None:
    """Add a load's metadata to the materializations that follow from it.

    Args:
        context: The output.
        of_run: About the run as a whole. A range's latest partition has it, and the others what is true of each.
        counts: The rows of each partition, in the order of their keys.
    """
    keys = list(context.asset_partition_keys) if context.has_asset_partitions else []
    each = [partition_metadata(count) for count in counts]
    try:
        step = context.step_context if len(keys) > 1 else None
    except dg.DagsterInvariantViolationError:  # a context that was built by hand has no step
        step = None
    if step is None:
        context.add_output_metadata({**of_run, **(each[-1] if each else {})})
        return
    context.add_output_metadata({name: value for name, value in of_run.items() if name in _OF_EVERY_PARTITION})
    by_key = {key: dict[str, Any](values) for key, values in zip(keys, each, strict=False)}
    once = {name: value for name, value in of_run.items() if name not in _OF_EVERY_PARTITION}
    by_key[keys[-1]] = {**once, **by_key.get(keys[-1], {})}
    # All at once: step.add_asset_metadata makes the keys of the whole range anew for each of them.
    held = dict(step._metadata_accumulator.per_output_metadata)
    for key, values in by_key.items():
        handle = AssetMetadataHandle(asset_key=context.asset_key, partition_key=key)
        held[handle] = {**held.get(handle, {}), **values}
    step._metadata_accumulator = OutputMetadataAccumulator(per_output_metadata=held)
