"""Schedules, sensors and conditions: what they ask for at a tick, and what the runs that they ask for do."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from klaviyo_pipeline.orchestration.assets.build import build_assets
from klaviyo_pipeline.orchestration.automation.schedules import DEEP_DAYS, TAG, automation_definitions
from klaviyo_pipeline.orchestration.partitions import daily_partitions
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.incremental.support import QUIET, Project, loads, put_event
from klaviyo_pipeline_tests.orchestration.conftest import World

SCHEDULES = [f"klaviyo_{name}_schedule" for name in ("checks", "daily", "hourly", "sweep", "weekly")]
SENSORS = ["automation_conditions", "new_metrics"]
NOON = datetime(2026, 11, 20, 12, 7, tzinfo=UTC)
FOLLOWING = ("event_metrics", "event_profiles")


class Ticking:
    """The project's schedules and sensors over a world, with an instance on disk; runs are noted in memory."""

    def __init__(self, world: World, instance: dg.DagsterInstance) -> None:
        self.project, self.instance = Project(world), instance
        self.definitions = self.project.definitions
        self.repository = self.definitions.get_repository_def()

    def tick(self, name: str, at: datetime = NOON) -> list[dg.RunRequest] | str:
        """What a schedule asks for, or why for nothing."""
        schedule = self.repository.get_schedule_def(f"klaviyo_{name}_schedule")
        context = dg.build_schedule_context(self.instance, scheduled_execution_time=at, repository_def=self.repository)
        found = schedule.evaluate_tick(context)
        return list(found.run_requests or []) or str(found.skip_message)

    def run(self, name: str, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """The run that was asked for."""
        return self.repository.get_job(name).execute_in_process(
            asset_selection=list(request.asset_selection) if request.asset_selection else None,
            instance=self.project.instance,
            tags=dict(request.tags),
            run_config={**QUIET, **dict(request.run_config)},
            raise_on_error=False,
        )

    def tick_and_run(self, name: str, at: datetime = NOON) -> None:
        requests = self.tick(name, at)
        assert isinstance(requests, list), requests
        for request in requests:
            assert self.run(f"klaviyo_{name}", request).success


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as made:
        yield made


@pytest.fixture
def ticking(world: World, instance: dg.DagsterInstance) -> Ticking:
    return Ticking(world, instance)


def sources(request: dg.RunRequest) -> set[str]:
    return {key.path[-1] for key in request.asset_selection or ()}


def days(request: dg.RunRequest) -> tuple[str | None, str | None]:
    return tuple(request.tags.get(f"dagster/asset_partition_range_{end}") for end in ("start", "end"))  # type: ignore[return-value]


@pytest.mark.parametrize(("switch", "running"), [(None, False), ("off", False), ("on", True), ("ON", True)])
def test_one_switch_turns_everything_on(switch: str | None, running: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KLAVIYO_AUTOMATION", raising=False)
    if switch is not None:
        monkeypatch.setenv("KLAVIYO_AUTOMATION", switch)

    made = automation_definitions(daily_partitions("2024-01-01", "UTC"))

    parts: list[Any] = [*(made.schedules or ()), *(made.sensors or ())]
    assert sorted(part.name for part in parts) == sorted([*SCHEDULES, *SENSORS])
    assert {part.default_status.value for part in parts} == {"RUNNING" if running else "STOPPED"}
    assert all(part.description for part in parts)


def test_ticks_are_staggered_and_come_once_however_clocks_change() -> None:
    made = automation_definitions(daily_partitions("2024-01-01", "America/New_York"))
    zone, ticks = ZoneInfo("America/New_York"), dict[str, list[datetime]]()
    for schedule in made.schedules or ():
        assert isinstance(schedule, dg.ScheduleDefinition)
        assert schedule.execution_timezone == "America/New_York"
        start = datetime(2026, 10, 28, tzinfo=zone)
        found = schedule_execution_time_iterator(start.timestamp(), str(schedule.cron_schedule), zone.key)
        end = start.astimezone(UTC) + timedelta(days=14)
        ticks[schedule.name] = list(itertools.takewhile(lambda tick: tick.astimezone(UTC) < end, found))  # noqa: B023

    counts = {name: len(found) for name, found in ticks.items()}
    assert counts == dict(zip(SCHEDULES, (14, 14, 14 * 24, 2, 2), strict=True))
    assert len({found[0].minute for found in ticks.values()}) == len(ticks)
    assert all(found[0].minute % 15 for found in ticks.values())


def test_hourly_reads_each_lookback_up_to_today(ticking: Ticking) -> None:
    events, others = ticking.tick("hourly")

    assert (sources(events), days(events)) == ({"events", *FOLLOWING}, ("2026-11-13", "2026-11-20"))
    assert (sources(others), days(others)) == ({"profiles", "campaigns"}, ("2026-11-19", "2026-11-20"))


def test_hourly_today_is_that_of_the_storage_timezone(world: World, instance: dg.DagsterInstance) -> None:
    world.timezone = "Asia/Tokyo"

    events, _others = Ticking(world, instance).tick("hourly", datetime(2026, 11, 20, 15, 7, tzinfo=UTC))

    assert days(events) == ("2026-11-14", "2026-11-21")


def test_hourly_when_ticked_twice_then_the_second_inserts_nothing(ticking: Ticking) -> None:
    world = ticking.project.world
    ticking.tick_and_run("hourly")
    before = world.state()

    ticking.tick_and_run("hourly", NOON + timedelta(hours=1))

    assert sorted(world.column("SELECT id FROM klaviyo.events")) == world.ids("events", "2026-11-13", "2026-11-21")
    assert world.sql("SELECT count(*) = 0 FROM klaviyo.profiles") == [(False,)]
    assert world.state() == before
    second = [loads(world, name)[1] for name in ("events", *FOLLOWING, "profiles", "campaigns")]
    assert [(load["inserted"], load["updated"], load["deleted"]) for load in second] == [(0, 0, 0)] * 5


def test_hourly_when_the_last_run_is_under_way_then_is_skipped_and_says_so(ticking: Ticking) -> None:
    events, others = ticking.tick("hourly")
    run = ticking.instance.create_run_for_job(
        ticking.repository.get_job("klaviyo_hourly"), tags=dict(events.tags), status=dg.DagsterRunStatus.STARTED
    )

    again = ticking.tick("hourly", NOON + timedelta(hours=1))

    assert [sources(request) for request in again if isinstance(request, dg.RunRequest)] == [sources(others)]
    ticking.instance.create_run_for_job(
        ticking.repository.get_job("klaviyo_hourly"), tags=dict(others.tags), status=dg.DagsterRunStatus.STARTING
    )
    said = ticking.tick("hourly", NOON + timedelta(hours=2))
    assert isinstance(said, str)
    assert f"{events.tags[TAG]} is still active, in run {run.run_id}." in said


def test_daily_goes_on_where_it_ended_and_weekly_finds_what_is_gone(ticking: Ticking) -> None:
    world = ticking.project.world
    ticking.tick_and_run("daily")
    assert world.run("campaigns", config={"incremental": False}).success
    everybody = world.sql("SELECT count(*) FROM klaviyo.list_profiles")
    member, template, campaign = world.truth("members")[0], world.ids("templates")[0], world.ids("campaigns")[0]
    world.sandbox.store.remove_member(member["list_id"], member["profile_id"])
    world.sandbox.store.delete("templates", template)
    world.sandbox.store.delete("campaigns", campaign)
    late = put_event(world, (NOON - timedelta(days=30)).isoformat())

    ticking.tick_and_run("daily", NOON + timedelta(days=1))
    assert world.sql("SELECT count(*) FROM klaviyo.list_profiles WHERE _deleted_at IS NULL") == everybody
    assert [load["window_start"] is None for load in loads(world, "list_profiles")] == [True, False]

    ticking.tick_and_run("weekly")
    for name, gone in (("templates", template), ("campaigns", campaign)):
        assert world.column(f"SELECT id FROM klaviyo.{name} WHERE _deleted_at IS NOT NULL") == [gone]
    left = "SELECT list_id, profile_id FROM klaviyo.list_profiles WHERE _deleted_at IS NOT NULL"
    assert world.sql(left) == [(member["list_id"], member["profile_id"])]
    assert late in world.column("SELECT id FROM klaviyo.events")
    assert late in world.column("SELECT event_id FROM klaviyo.event_metrics")


def test_weekly_asks_for_all_nine(ticking: Ticking) -> None:
    by_day, whole = ticking.tick("weekly")

    assert sources(by_day) | sources(whole) == set(CORE)
    assert days(by_day) == ((NOON - timedelta(days=DEEP_DAYS)).date().isoformat(), "2026-11-20")
    assert days(whole) == (None, None)


def test_checks_run_by_themselves_once_a_day(ticking: Ticking) -> None:
    world = ticking.project.world
    assert world.run("lists").success

    (request,) = ticking.tick("checks")

    assert request.asset_selection is None
    result = ticking.run("klaviyo_checks", request)
    assert result.success
    assert len(loads(world, "lists")) == 1
    found = {(each.asset_key.path[-1], each.check_name): each for each in result.get_asset_check_evaluations()}
    assert {asset for asset, _check in found} == set(CORE)
    assert found["lists", "primary_key_is_unique"].metadata["rows_looked_at"].value == len(world.ids("lists"))


def test_partitions_that_begin_later_than_the_lookback_are_all_that_is_asked_for(
    instance: dg.DagsterInstance,
) -> None:
    made = automation_definitions(daily_partitions("2026-11-18", "UTC"))
    schedule = next(each for each in made.schedules or () if each.name == "klaviyo_hourly_schedule")
    assert isinstance(schedule, dg.ScheduleDefinition)

    found = schedule.evaluate_tick(dg.build_schedule_context(instance, scheduled_execution_time=NOON))

    assert found.run_requests
    assert days(found.run_requests[0]) == ("2026-11-18", "2026-11-20")


def test_days_of_events_that_were_loaded_by_hand_are_followed_by_conditions(world: World) -> None:
    project = Project(world)
    assets = build_assets(daily_partitions("2026-11-10", "UTC"))
    definitions = dg.Definitions(assets=assets, resources=project.definitions.resources)
    instance = project.instance
    before = dg.evaluate_automation_conditions(definitions, instance)
    event = dg.AssetKey(["klaviyo", "events"])
    for day in ("2026-11-14", "2026-11-16"):
        instance.report_runless_asset_event(dg.AssetMaterialization(event, partition=day))

    after = dg.evaluate_automation_conditions(definitions, instance, cursor=before.cursor)

    assert before.total_requested == 0
    for name in FOLLOWING:
        assert after.get_requested_partitions(dg.AssetKey(["klaviyo", name])) == {"2026-11-14", "2026-11-16"}
    assert after.total_requested == 4


def test_every_asset_has_a_freshness_policy_of_its_cadence() -> None:
    for definition in build_assets(daily_partitions("2024-01-01", "UTC")):
        (spec,) = definition.specs
        policy = spec.freshness_policy
        assert policy is not None
        hours = policy.warn_window.to_timedelta() / timedelta(hours=1)  # type: ignore[attr-defined]
        assert hours == (3 if spec.partitions_def is not None else 36)
