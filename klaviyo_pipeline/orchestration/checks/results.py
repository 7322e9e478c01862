"""Results of checks: those that could not run, and the latest ones in Dagster's records."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import dagster as dg


def could_not_run(key: dg.AssetCheckKey, error: Exception) -> dg.AssetCheckResult:
    """A check that cannot run reports a warning and does not fail the load."""
    return dg.AssetCheckResult(
        passed=False,
        asset_key=key.asset_key,
        check_name=key.name,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"The check could not run: {error}",
    )


def latest_result(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> tuple[Any, datetime] | None:
    """The latest result of a check, a type that Dagster does not export, and its time (UTC); None without one."""
    record = instance.get_latest_asset_check_evaluation_record(key)
    entry = record.event if record is not None else None
    if entry is None or entry.dagster_event_type is not dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        return None
    return entry.get_dagster_event().asset_check_evaluation_data, datetime.fromtimestamp(entry.timestamp, UTC)
