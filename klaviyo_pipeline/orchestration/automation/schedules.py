"""Load schedules: events hourly, slowly changing data daily, a deep reload weekly.

- **Hourly**: events with the data sources that depend on them, and in a parallel run profiles and campaigns. Each load
  covers the days of its lookback, because events come late and attributions change.
- **Daily**: metrics, templates, lists and new members of lists; and every check over all rows, with a comparison with
  Klaviyo's own counts.
- **Weekly**: the last 35 days of events and profiles, because events came up to 17 days late, and attributions are
  final after 30 days. A full read of collections, also of campaigns, finds deletions and people who left a list. A
  full read of profiles is not necessary, because each change moves `updated`. A read of their ids alone, on the next
  day, finds those that are gone.

Schedules are off unless ``KLAVIYO_AUTOMATION`` is on. A person can start and stop each in Dagster's UI. Minutes are odd
and staggered, hours avoid changes of the clock, and a schedule starts no run while its last run is active.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES, comes_along, lookback_days
from klaviyo_pipeline.orchestration.account import DEFAULT, Naming
from klaviyo_pipeline.orchestration.automation.new_metrics import new_metrics_sensor
from klaviyo_pipeline.orchestration.automation.sweeping import SWEEP_JOB, build_sweep_jobs
from klaviyo_pipeline.orchestration.checks.build import CHECKS_JOB, build_checks_job
from klaviyo_pipeline.orchestration.checks.reconciliation import build_reconciliation_jobs
from klaviyo_pipeline.orchestration.partitions import range_tags

HOURLY, DAILY, WEEKLY, NEW_METRICS = "klaviyo_hourly", "klaviyo_daily", "klaviyo_weekly", "klaviyo_new_metrics"
CONDITIONS_SENSOR = "automation_conditions"
TAG = "klaviyo/automation"
DEEP_DAYS = 35
_UNDER_WAY = [
    *(dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING),
    *(dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING),
]


@dataclass(frozen=True)
class ScheduledLoad:
    """The load of one run of a schedule.

    Attributes:
        name: The name of such runs. Two of them never run at once.
        sources: The data sources.
        days_back: Days before today when its partitions begin; None for sources without partitions.
        config: Run config by data source.
    """

    name: str
    sources: tuple[str, ...]
    days_back: int | None = None
    config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def hourly_loads(naming: Naming = DEFAULT) -> list[ScheduledLoad]:
    """The sources with day partitions, grouped by lookback. Sources that depend on events are in their group."""
    by_lookback: dict[int, list[str]] = {}
    for source in _chosen(naming):
        if source.partitioned_by_day:
            by_lookback.setdefault(lookback_days(source), []).append(source.name)
    return [ScheduledLoad(f"hourly: {', '.join(names)}", tuple(names), days) for days, names in by_lookback.items()]


def daily_loads(naming: Naming = DEFAULT) -> list[ScheduledLoad]:
    """The other sources. Of lists and segments only new members: a full read finds the people who left."""
    names = [source.name for source in _chosen(naming) if not source.partitioned_by_day]
    members = [source.name for source in _chosen(naming) if source.fan_out and source.time_fields]
    return [ScheduledLoad("daily", tuple(names), config={name: {"incremental": True} for name in members})]


def weekly_loads(naming: Naming = DEFAULT) -> list[ScheduledLoad]:
    """All sources, over more days or in full."""
    by_day = [source.name for source in _chosen(naming) if source.partitioned_by_day]
    whole = [source.name for source in _chosen(naming) if source.shows_deletions and source.time_fields]
    along = {source.name for source in _chosen(naming) if comes_along(source, naming.chosen())}
    config = {name: {"incremental": False} for name in whole if name not in along}
    others = [source.name for source in _chosen(naming) if not source.partitioned_by_day]
    loads = (
        ScheduledLoad("weekly: by day", tuple(by_day), DEEP_DAYS, _only(by_day, config)),
        ScheduledLoad("weekly: whole", tuple(others), config=_only(others, config)),
    )
    return [load for load in loads if load.sources]


def _chosen(naming: Naming) -> list[Source]:
    return [SOURCES[name] for name in naming.chosen()]


def _only(names: Iterable[str], config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: config[name] for name in names if name in config}


def automation_definitions(partitions: dg.TimeWindowPartitionsDefinition, naming: Naming = DEFAULT) -> dg.Definitions:
    """Jobs, schedules and sensors, running from the start if the account's automation is on."""
    running = naming.choices.is_automatic()
    chosen = naming.chosen()
    by_day = [source.name for source in _chosen(naming) if source.partitioned_by_day]
    hourly = _job(naming, HOURLY, by_day, "Loads the latest days of events, profiles and campaigns.")
    daily = _job(
        naming,
        DAILY,
        [name for name in chosen if name not in by_day],
        "Loads slowly changing data: metrics, templates, lists and others.",
    )
    weekly = _job(
        naming, WEEKLY, chosen, f"Reloads the last {DEEP_DAYS} days and whole collections, and finds deleted rows."
    )
    of_events = [name for name in ("metrics", "events", "event_metrics") if name in chosen]
    latest = _job(naming, NEW_METRICS, of_events, "Loads the metrics and the latest events.")
    checks = [build_checks_job(naming)]
    sweeps = build_sweep_jobs(naming)

    def latest_days(now: datetime) -> Mapping[str, str]:
        return _range_tags(partitions, now, SOURCES["events"].lookback_days)

    return dg.Definitions(
        jobs=[*hourly, *daily, *weekly, *latest, *checks, *build_reconciliation_jobs(naming), *sweeps],
        schedules=[
            _schedule(job, naming, name, naming.choices.crons.get(when, cron), loads, partitions, running)
            for jobs, name, when, cron, loads in (
                (hourly, HOURLY, "hourly", "7 * * * *", hourly_loads),
                (daily, DAILY, "daily", "23 4 * * *", daily_loads),
                (weekly, WEEKLY, "weekly", "41 5 * * 6", weekly_loads),
                (checks, CHECKS_JOB, "checks", "53 6 * * *", lambda _naming: [ScheduledLoad("checks", ())]),
                (sweeps, SWEEP_JOB, "sweep", "17 7 * * 0", lambda _naming: [ScheduledLoad("sweep", ())]),
            )
            for job in jobs
        ],
        sensors=[
            *(
                new_metrics_sensor(job, latest_days, running=running, naming=naming)
                for job in latest
                if "metrics" in chosen
            ),
            dg.AutomationConditionSensorDefinition(
                naming.sensor_name(CONDITIONS_SENSOR),
                target=_watched(naming),
                default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
                description="Loads assets that depend on newly loaded ones, by their automation conditions.",
            ),
        ],
    )


def _job(naming: Naming, name: str, sources: Sequence[str], description: str) -> list[Any]:
    """The job; none without data sources."""
    keys = [naming.asset_key(SOURCES[source]) for source in sources]
    return [dg.define_asset_job(naming.name_of(name), selection=keys, description=description)] if keys else []


def _watched(naming: Naming) -> dg.AssetSelection:
    """The assets whose conditions count: all of the project's, or those of the account only."""
    if naming.alone and not naming.guest:
        return dg.AssetSelection.all()
    loaded = dg.AssetSelection.assets(*(naming.asset_key(source) for source in _chosen(naming)))
    # By keys, because accounts can share a group.
    return loaded | dg.AssetSelection.key_prefixes(list(naming.analytics_prefix))


def _schedule(
    job: Any,  # noqa: ANN401
    naming: Naming,
    name: str,
    cron: str,
    loads: Callable[[Naming], Sequence[ScheduledLoad]],
    partitions: dg.TimeWindowPartitionsDefinition,
    running: bool,
) -> dg.ScheduleDefinition:
    """A schedule that starts a run of each load, unless its last run is active."""

    def evaluate(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        at = context.scheduled_execution_time
        busy, wanted = [], loads(naming)
        for load in wanted:
            earlier = context.instance.get_runs(
                dg.RunsFilter(tags={TAG: _tag(naming, load)}, statuses=_UNDER_WAY), limit=1
            )
            if earlier:
                busy.append(f"{load.name} is still active, in run {earlier[0].run_id}.")
                context.log.info("Skipped: %s", busy[-1])
            else:
                yield _request(naming, load, at, partitions)
        if len(busy) == len(wanted):
            yield dg.SkipReason(" ".join(busy))

    return dg.ScheduleDefinition(
        name=f"{naming.name_of(name)}_schedule",
        job=job,
        cron_schedule=cron,
        execution_timezone=naming.choices.cron_timezone or partitions.timezone,
        execution_fn=evaluate,
        default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
        description=job.description,
    )


def _tag(naming: Naming, load: ScheduledLoad) -> str:
    """The name of a load among those of all accounts."""
    return load.name if not naming.guest else f"{naming.account} {load.name}"


def _request(
    naming: Naming, load: ScheduledLoad, at: datetime, partitions: dg.TimeWindowPartitionsDefinition
) -> dg.RunRequest:
    keys = {name: naming.asset_key(SOURCES[name]) for name in {*load.sources, *load.config}}
    tags = _range_tags(partitions, at, load.days_back) if load.days_back is not None else {}
    ops = {"__".join(keys[name].path): {"config": dict(config)} for name, config in load.config.items()}
    return dg.RunRequest(
        run_key=f"{_tag(naming, load)} {at.isoformat()}",
        run_config={"ops": ops} if ops else {},
        tags={**tags, TAG: _tag(naming, load)},
        asset_selection=[keys[name] for name in load.sources] or None,
    )


def _range_tags(partitions: dg.TimeWindowPartitionsDefinition, at: datetime, days_back: int) -> dict[str, str]:
    """Tags of a run over the partitions of the last days up to a time, in the storage time zone."""
    today = at.astimezone(ZoneInfo(partitions.timezone)).date()
    first = max(today - timedelta(days=days_back), partitions.start.date())
    return range_tags(min(first, today), today)
