"""Running a transfer now, in this process, with a record of it in Dagster's storage."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline.orchestration.assets.metadata import ROW_COUNTS
from klaviyo_pipeline.orchestration.failures import reason_of_step
from klaviyo_pipeline.transfers.definitions import job_of, window_config
from klaviyo_pipeline.transfers.loading import op_name, spec_of

if TYPE_CHECKING:
    import dagster as dg

    from klaviyo_pipeline.transfers.file.reading import TransferFile

_INTERRUPTED = re.compile("DagsterExecutionInterruptedError|KeyboardInterrupt|Query interrupted")
"""How Ctrl-C ends a run: in Dagster, in Python, and in a statement of DuckDB."""


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended."""

    run_id: str
    success: bool
    message: str
    metadata: dict[str, Any]


def run(
    file: TransferFile,
    instance: dg.DagsterInstance,
    *,
    start: str | None = None,
    end: str | None = None,
    accept_shrink: bool = False,
    log_level: str = "INFO",
) -> RunOutcome:
    """Run a transfer until its rows have landed.

    Args:
        file: The transfer.
        instance: Where the run is recorded.
        start: Read from here on, ISO 8601; by default where the last run ended.
        end: Read up to here, ISO 8601; by default up to now.
        accept_shrink: Land a read that has far fewer rows than the table; without it such a run fails.
        log_level: Which of the run's messages are shown.

    Raises:
        KeyboardInterrupt: if a person stopped the run.
    """
    import dagster as dg

    from klaviyo_pipeline.orchestration.assets.build import build_asset
    from klaviyo_pipeline.orchestration.assets.io_manager import KlaviyoDuckDBIOManager
    from klaviyo_pipeline.orchestration.console import console
    from klaviyo_pipeline.orchestration.own_runs import execute_here
    from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource

    duckdb = KlaviyoDuckDBResource()
    definitions = dg.Definitions(
        assets=[build_asset(spec_of(file))],
        jobs=[job_of(file)],
        resources={"klaviyo": KlaviyoResource(), "duckdb": duckdb, "io_manager": KlaviyoDuckDBIOManager(duckdb=duckdb)},
        executor=dg.in_process_executor,
        loggers={"console": console},
    )
    config = window_config(file.name, start=start, end=end)
    if accept_shrink:
        config.setdefault("ops", {}).setdefault(op_name(file.name), {}).setdefault("config", {})["accept_shrink"] = True
    if (start or end) and not file.transfer.incremental:
        config["ops"][op_name(file.name)]["config"]["incremental"] = True
    config["loggers"] = {"console": {"config": {"log_level": log_level, "outcomes": False}}}
    result = execute_here(definitions.resolve_job_def(file.name), instance, run_config=config, raise_on_error=False)
    message = why_failed(result)
    if stopped_by_a_person(message):
        raise KeyboardInterrupt(message)
    return RunOutcome(result.run_id, result.success, message, metadata_of(result))


def stopped_by_a_person(message: str) -> bool:
    """Whether a failed run's sentence is that of Ctrl-C."""
    return _INTERRUPTED.search(message) is not None


def metadata_of(result: dg.ExecuteInProcessResult, key: dg.AssetKey | None = None) -> dict[str, Any]:
    """What a run says of its last materialization, with the rows of all its partitions; empty if there is none.

    Tables, such as the first rows, are left out.

    With a key, only that asset's count.
    """
    from dagster import TableMetadataValue

    metadata: dict[str, Any] = {}
    rows: Counter[str] = Counter()
    for event in result.get_asset_materialization_events():
        if key not in (None, event.asset_key):
            continue
        said = event.materialization.metadata
        metadata = {name: each.value for name, each in said.items() if not isinstance(each, TableMetadataValue)}
        rows.update({name: metadata[name] for name in ROW_COUNTS if name in metadata})
    return {**metadata, **rows}


def why_failed(result: dg.ExecuteInProcessResult) -> str:
    """What a failed run says, in one sentence; blank for one that succeeded."""
    if result.success:
        return ""
    reasons = (reason_of_step(event.step_failure_data) for event in result.all_events if event.is_step_failure)
    return next(filter(None, reasons), "the run failed")
