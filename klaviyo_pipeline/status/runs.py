"""What Dagster knows of loads: why the last run failed or was skipped, and when the next one is due."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorStatus

from klaviyo_pipeline.orchestration.automation.ticks import next_tick, ticks_between
from klaviyo_pipeline.orchestration.failures import reason_of_run, reason_of_step
from klaviyo_pipeline.orchestration.skipping import SKIPPED

if TYPE_CHECKING:
    from dagster import RepositoryDefinition, RunRecord

_MOST_FAILED_RUNS = 50
_HEARTBEAT = timedelta(minutes=5)
GRACE = timedelta(hours=1)
"""A scheduled run may take so long until its rows have landed."""
_LOOK_BACK = timedelta(days=32)


@dataclass(frozen=True)
class Failure:
    """Why a run did not load a table, and when (UTC)."""

    reason: str
    at: datetime
    was_skipped: bool = False


@dataclass(frozen=True)
class Due:
    """A schedule's next tick, and the last one whose run must have landed by now; UTC."""

    next: datetime
    landed_by_now: datetime | None


def failures(instance: dg.DagsterInstance) -> Mapping[str, Failure]:
    """The newest failures by the asset's key (``klaviyo/events``), from the last failed runs."""
    found: dict[str, Failure] = {}
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE])
    for record in instance.get_run_records(failed, limit=_MOST_FAILED_RUNS):
        at = datetime.fromtimestamp(record.end_time or record.update_timestamp.timestamp(), UTC)
        for asset, reason in _failed_in(instance, record):
            found.setdefault(asset, Failure(reason, at))
    return found


def _failed_in(instance: dg.DagsterInstance, record: RunRecord) -> Iterator[tuple[str, str]]:
    """The assets that a run did not load, with the reason."""
    run = record.dagster_run
    steps = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    told = False
    for entry in steps:
        event = entry.get_dagster_event()
        told = True
        yield (event.step_key or "").replace("__", "/"), reason_of_step(event.step_failure_data)
    if not told:
        reason = reason_of_run(instance, run.run_id) or "The run failed without a reason."
        yield from ((key.to_user_string(), reason) for key in run.asset_selection or ())


def skipped(instance: dg.DagsterInstance, key: dg.AssetKey) -> Failure | None:
    """Why and when a run last skipped a load; None if none did."""
    records = instance.fetch_observations(key, limit=1).records
    if not records or records[0].asset_observation is None:
        return None
    reason = records[0].asset_observation.metadata.get(SKIPPED)
    at = datetime.fromtimestamp(records[0].timestamp, UTC)
    return Failure(str(reason.value), at, was_skipped=True) if reason is not None else None


def due(repository: RepositoryDefinition, instance: dg.DagsterInstance, now: datetime) -> Mapping[str, Due]:
    """The ticks of schedules that are on, by the asset's key; the soonest of several schedules."""
    states = {state.instigator_name: state.status for state in instance.all_instigator_state()}
    found: dict[str, Due] = {}
    for schedule in repository.schedule_defs:
        default = schedule.default_status is dg.DefaultScheduleStatus.RUNNING
        status = states.get(schedule.name, InstigatorStatus.DECLARED_IN_CODE)
        if status is InstigatorStatus.STOPPED or (status is InstigatorStatus.DECLARED_IN_CODE and not default):
            continue
        ticks = _ticks(schedule, now)
        for key in repository.get_job(schedule.job_name).asset_layer.executable_asset_keys:
            asset = key.to_user_string()
            if asset not in found or ticks.next < found[asset].next:
                found[asset] = ticks
    return found


def _ticks(schedule: dg.ScheduleDefinition, now: datetime) -> Due:
    crons = [schedule.cron_schedule] if isinstance(schedule.cron_schedule, str) else list(schedule.cron_schedule)
    zone = schedule.execution_timezone or "UTC"
    following = next_tick(crons, zone, now).astimezone(UTC)
    before = [tick for cron in crons for tick in ticks_between(cron, zone, now - _LOOK_BACK, now - GRACE)]
    return Due(following, max(before, default=None))


def daemon_runs(instance: dg.DagsterInstance, now: datetime) -> bool:
    """Whether Dagster's daemon for schedules has lately said that it runs."""
    heartbeat: Any = instance.get_daemon_heartbeats().get("SCHEDULER")
    return heartbeat is not None and now - datetime.fromtimestamp(heartbeat.timestamp, UTC) < _HEARTBEAT


def first_line(text: str) -> str:
    """The first line of a text."""
    return text.strip().split("\n", 1)[0]
