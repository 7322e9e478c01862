"""Schedules whose runs start some time after their tick. The window of a run ends at the tick.

Dagster ticks only by cron expressions, so a delay becomes a shifted expression: ``10 0 * * *`` with a delay of an hour
and a half is ``40 1 * * *``. The delay counts on the clock of the schedule's time zone, also when clocks change. A tick
of the shifted expression belongs to the tick of the original expression that is nearest to the time minus the delay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from klaviyo_pipeline.orchestration.automation.cron import check_cron, delayed
from klaviyo_pipeline.orchestration.automation.ticks import ticks_between

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition


def tick_of(at: datetime, cron: str, timezone: str, delay: timedelta) -> datetime:
    """The tick of ``cron`` that a tick of the delayed schedule belongs to, in UTC."""
    # In UTC: two times of one zone are compared and subtracted by their clocks, whatever happens to these in between.
    at = at.astimezone(UTC)
    if not delay:
        return at
    wanted, margin = at - delay, timedelta(hours=2)
    for before in (margin, max(margin, delay)):
        ticks = ticks_between(check_cron(cron), timezone, wanted - before, min(at, wanted + margin))
        if ticks:
            # Of two that are equally near, the later one.
            return min(reversed(ticks), key=lambda tick: abs(tick - wanted))
    return wanted


def tick_schedule(
    *,
    name: str,
    job: dg.JobDefinition | UnresolvedAssetJobDefinition,
    cron: str,
    timezone: str,
    delay: timedelta,
    running: bool,
    run_config: Callable[[datetime], Mapping[str, Any] | str],
    tags: Mapping[str, str],
    description: str,
) -> dg.ScheduleDefinition:
    """A schedule with one run for each tick. The run config depends on the original tick.

    Args:
        name: The schedule's name.
        job: The job to run.
        cron: When ticks fall.
        timezone: The time zone of the ticks, an IANA name.
        delay: The time between a tick and its run.
        running: Whether the schedule is on at first. A person can change that in Dagster.
        run_config: Returns the run's config for the end of its window, or the reason for no run.
        tags: The run's tags.
        description: For people.
    """

    def evaluate(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        tick = tick_of(context.scheduled_execution_time, cron, timezone, delay)
        config = run_config(tick)
        if isinstance(config, str):
            return dg.SkipReason(config)
        return dg.RunRequest(
            run_key=tick.isoformat(), run_config=config, tags={**tags, "klaviyo/tick": tick.isoformat()}
        )

    return dg.ScheduleDefinition(
        name=name,
        job=job,
        cron_schedule=delayed(cron, delay),
        execution_timezone=timezone,
        execution_fn=evaluate,
        default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
        description=description,
    )
