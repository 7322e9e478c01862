"""Steps that are skipped because the account or the key does not have what they read: in the log and the catalog."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg

SKIPPED = "skipped"
"""The metadata of an asset's observation that says why a load was skipped."""


def skip(context: dg.AssetExecutionContext, key: dg.AssetKey, reason: str) -> Iterator[Any]:
    """What a step gives that lands nothing: no output, so what follows from it is skipped too; and says why."""
    context.log.warning(f"Skipped: {reason}")
    context.log_event(dg.AssetObservation(key, description=f"Skipped: {reason}", metadata={SKIPPED: reason}))
    yield from ()


def skipped_in(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """Why loads of a run were skipped, by the last part of the asset's key."""
    reasons = {}
    for event in result.all_events:
        if event.event_type is dg.DagsterEventType.ASSET_OBSERVATION:
            observation = event.asset_observation_data.asset_observation
            if SKIPPED in observation.metadata:
                reasons[observation.asset_key.path[-1]] = str(observation.metadata[SKIPPED].value)
    return reasons
