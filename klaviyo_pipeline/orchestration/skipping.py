"""Skipped steps: the key lacks a scope, or the revision lacks the data source. The log and the catalog say so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg

SKIPPED = "skipped"
"""The metadata of an asset's observation that says why a load was skipped."""
SKIPPED_LOAD = "Skipped: "
"""How the message of a skipped load begins."""


def skip(context: dg.AssetExecutionContext, key: dg.AssetKey, reason: str) -> Iterator[Any]:
    """End a step without an output, and record the reason. Dependent steps are skipped too."""
    context.log.warning(said := f"{SKIPPED_LOAD}{reason}")
    context.log_event(dg.AssetObservation(key, description=said, metadata={SKIPPED: reason}))
    yield from ()


def skipped_in(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """The reasons of skipped loads of a run, by the last part of the asset's key."""
    reasons = {}
    for event in result.all_events:
        if event.event_type is dg.DagsterEventType.ASSET_OBSERVATION:
            observation = event.asset_observation_data.asset_observation
            if SKIPPED in observation.metadata:
                reasons[observation.asset_key.path[-1]] = str(observation.metadata[SKIPPED].value)
    return reasons
