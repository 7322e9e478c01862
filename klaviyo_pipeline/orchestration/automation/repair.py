"""Reads days and lists again whose counts differ from Klaviyo's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.loads.completeness import ranges_of
from klaviyo_pipeline.orchestration.account import DEFAULT, Naming
from klaviyo_pipeline.orchestration.own_runs import execute_here
from klaviyo_pipeline.orchestration.partitions import range_tags
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    from klaviyo_pipeline.loads.reconciliation import MemberDifference, Reconciliation


def repair_events(
    job: dg.JobDefinition,
    found: Reconciliation,
    *,
    instance: dg.DagsterInstance | None = None,
    also: Sequence[str] = (),
    run_config: Mapping[str, Any] | None = None,
    accept_shrink: bool = False,
    naming: Naming = DEFAULT,
) -> list[dg.ExecuteInProcessResult]:
    """Read the days that differ again, adjacent days in one run.

    A run merges missing and changed rows. It replaces a day that has rows which Klaviyo does not count, in one
    transaction.

    Args:
        job: A job that has the asset ``klaviyo/events``, such as ``defs.resolve_implicit_global_asset_job_def()``.
        found: The result of ``reconcile_events``.
        instance: The Dagster instance that records the runs.
        also: Data sources to read again that depend on events: event_metrics, event_profiles.
        run_config: More run config, such as loggers.
        accept_shrink: Clear any number of rows. Without it, a day that would lose too many rows fails.
        naming: The account that was compared.
    """
    keys = [naming.asset_key(SOURCES[name]) for name in ("events", *also)]
    surplus = set(found.surplus_days)
    results = []
    for days, mode in (
        (set(found.differing_days) - surplus, WriteMode.MERGE),
        (surplus, WriteMode.REPLACE),
    ):
        config = {"write_mode": mode.value, "accept_shrink": accept_shrink}
        ops = {"__".join(key.path): {"config": config} for key in keys}
        for low, high in ranges_of(days):
            results.append(
                execute_here(
                    job,
                    instance,
                    asset_selection=keys,
                    tags=range_tags(low, high),
                    run_config={**(run_config or {}), "ops": ops},
                    raise_on_error=False,
                )
            )
    return results


def repair_members(
    job: dg.JobDefinition,
    found: Sequence[MemberDifference],
    *,
    instance: dg.DagsterInstance | None = None,
    run_config: Mapping[str, Any] | None = None,
    accept_shrink: bool = False,
    naming: Naming = DEFAULT,
) -> dg.ExecuteInProcessResult | None:
    """Read the members of the lists that differ again, and mark those who left; None if no list differs.

    A deleted list cannot be read: a run of all lists marks its members. ``accept_shrink`` marks any number of
    members. Without it, a list that would lose too many members fails.
    """
    lists = [each.list_id for each in found if each.klaviyos is not None]
    if not found:
        return None
    config: dict[str, Any] = {"accept_shrink": accept_shrink}
    if len(lists) == len(found):
        config["list_ids"] = lists
    key = naming.asset_key(SOURCES["list_profiles"])
    return execute_here(
        job,
        instance,
        asset_selection=[key],
        run_config={
            **(run_config or {}),
            "ops": {"__".join(key.path): {"config": {"incremental": False, **config}}},
        },
        raise_on_error=False,
    )
