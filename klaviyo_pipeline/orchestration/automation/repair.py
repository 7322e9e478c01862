"""A second reading of just what differs from Klaviyo's counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from klaviyo_pipeline.loads.completeness import ranges_of
from klaviyo_pipeline.orchestration.assets.spec import KEY_PREFIX
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
) -> list[dg.ExecuteInProcessResult]:
    """Read exactly the days that differ again, neighbours in one run.

    Rows that were missing or have changed are merged. A day with rows that Klaviyo does not count (any more) is
    replaced, in one transaction, by what Klaviyo has.

    Args:
        job: A job that has the asset ``klaviyo/events``, such as ``defs.resolve_implicit_global_asset_job_def()``.
        found: What ``reconcile_events`` found.
        instance: Where the runs are recorded.
        also: Data sources that follow from events and are to be read again with them: event_metrics, event_profiles.
        run_config: More run config, such as loggers.
        accept_shrink: Clear days even of all their rows. Without it a day that would lose too many fails.
    """
    keys = [dg.AssetKey([KEY_PREFIX, name]) for name in ("events", *also)]
    surplus = set(found.surplus_days)
    results = []
    for days, mode in (
        (set(found.differing_days) - surplus, WriteMode.MERGE),
        (surplus, WriteMode.REPLACE),
    ):
        config = {"write_mode": mode.value, "accept_shrink": accept_shrink}
        ops = {f"{KEY_PREFIX}__{name}": {"config": config} for name in ("events", *also)}
        for low, high in ranges_of(days):
            results.append(
                job.execute_in_process(
                    asset_selection=keys,
                    instance=instance,
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
) -> dg.ExecuteInProcessResult | None:
    """Read the members of just the lists that differ again, and mark those who left; None if there are none.

    A list that is gone cannot be read: a run of all lists marks its members. ``accept_shrink`` marks members however
    many they are; without it a list that would lose too many fails.
    """
    lists = [each.list_id for each in found if each.klaviyos is not None]
    if not found:
        return None
    config: dict[str, Any] = {"accept_shrink": accept_shrink}
    if len(lists) == len(found):
        config["list_ids"] = lists
    return job.execute_in_process(
        asset_selection=[dg.AssetKey([KEY_PREFIX, "list_profiles"])],
        instance=instance,
        run_config={
            **(run_config or {}),
            "ops": {f"{KEY_PREFIX}__list_profiles": {"config": {"incremental": False, **config}}},
        },
        raise_on_error=False,
    )
