"""Schedules that run a tick later than it falls, over the window that it stands for.

Dagster ticks by cron expressions alone, so a delay becomes a shifted expression: ``10 0 * * *`` an hour and a half
later is ``40 1 * * *``. A delay is counted on the clock of the schedule's time zone, daylight saving or not. Each
tick of the shifted expression stands for the one of the given expression that is nearest to so long before it.
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
    """The tick of ``cron`` that a tick of the delayed schedule stands for, in UTC."""
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
    """A schedule with one run a tick, which knows the tick that it stands for.

    Args:
        name: The schedule's name.
        job: The job to run.
        cron: When ticks fall.
        timezone: The time zone in which they do, an IANA name.
        delay: How much later their runs begin.
        running: Whether the schedule is on unless a person says otherwise in Dagster.
        run_config: The run's config, by the end of the window that a tick stands for; or why there is to be no run.
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
