"""Our counts beside Klaviyo's own: the days and metrics that differ are named, and read again by one command."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from klaviyo_pipeline import clock
from klaviyo_pipeline.klaviyo.endpoints.metric_aggregates import events_by_day
from klaviyo_pipeline.orchestration.automation.repair import repair_events
from klaviyo_pipeline.orchestration.checks.reconciliation import COUNTS_AGREE
from klaviyo_pipeline_tests.incremental.support import QUIET, Project, evaluations, loads, put_event
from klaviyo_pipeline_tests.orchestration.conftest import FIRST_DAY, LAST_DAY, World

DAYS = (FIRST_DAY, LAST_DAY)


@pytest.fixture
def project(world: World) -> Project:
    """The shop's last eight days have landed."""
    made = Project(world)
    made.load("events", days=DAYS)
    return made


def test_counts_when_all_has_landed_then_agree(project: Project) -> None:
    found = project.events_compared()

    assert found.is_even
    assert [day.isoformat() for day in found.days] == [f"2026-11-{n}" for n in range(13, 21)]
    counted = [row for row in project.world.truth("events", DAYS[0], "2026-11-21") if row["metric_id"]]
    assert found.events == len(counted)
    assert found.metrics == len(project.world.ids("metrics"))


def test_events_that_came_late_then_exactly_their_days_and_metrics_are_named_and_read_again(project: Project) -> None:
    world = project.world
    first = put_event(world, "2026-11-14T00:00:00+00:00", "late0001")
    second = put_event(world, "2026-11-17T23:59:59+00:00", "late0002")

    found = project.events_compared()

    metric = world.truth("metrics")[0]
    assert [(each.day, each.metric_id, each.metric_name) for each in found.differences] == [
        (date(2026, 11, 14), metric["id"], metric["name"]),
        (date(2026, 11, 17), metric["id"], metric["name"]),
    ]
    assert all(each.klaviyos == each.ours + 1 for each in found.differences)
    assert found.surplus_days == ()
    results = repair_events(project.job, found, instance=project.instance, run_config=QUIET)
    assert [result.success for result in results] == [True, True]
    windows = [(load["window_start"][:10], load["window_end"][:10]) for load in loads(world, "events")[1:]]
    assert windows == [("2026-11-14", "2026-11-15"), ("2026-11-17", "2026-11-18")]
    assert {first, second} <= set(world.column("SELECT id FROM klaviyo.events"))
    assert project.events_compared().is_even


def test_rows_lost_from_the_table_are_found_and_read_again(project: Project) -> None:
    with project.duckdb.warehouse().writing() as connection:
        connection.execute("DELETE FROM klaviyo.events WHERE datetime::DATE = '2026-11-16'")

    found = project.events_compared()

    assert found.differing_days == (date(2026, 11, 16),)
    assert all(each.ours == 0 for each in found.differences)
    repair_events(project.job, found, instance=project.instance, run_config=QUIET)
    assert project.events_compared().is_even


def test_rows_doubled_or_gone_from_klaviyo_are_found_and_their_day_replaced(project: Project) -> None:
    world = project.world
    day = "2026-11-15"
    gone = next(row["id"] for row in world.truth("events", day, "2026-11-16") if row["metric_id"])
    world.sandbox.store.delete("events", gone)
    with project.duckdb.warehouse().writing() as connection:
        connection.execute("INSERT INTO klaviyo.events FROM klaviyo.events WHERE datetime::DATE = '2026-11-18' LIMIT 3")

    found = project.events_compared()

    assert found.surplus_days == found.differing_days == (date(2026, 11, 15), date(2026, 11, 18))
    repair_events(project.job, found, instance=project.instance, run_config=QUIET)
    assert sorted(world.column("SELECT id FROM klaviyo.events")) == world.ids("events", DAYS[0], "2026-11-21")
    assert project.events_compared().is_even


def test_days_that_have_not_landed_are_not_compared(project: Project) -> None:
    put_event(project.world, "2026-11-10T12:00:00+00:00", "before01")

    found = project.events_compared(date(2026, 11, 1), date(2026, 11, 14))

    assert found.is_even
    assert found.days == (date(2026, 11, 13), date(2026, 11, 14))


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
def test_days_are_those_of_the_storage_timezone(world: World, zone: str) -> None:
    world.timezone = zone
    project = Project(world)
    project.load("events", days=DAYS)
    late = datetime(2026, 11, 17, 0, 0, 1, tzinfo=ZoneInfo(zone))
    put_event(world, late.astimezone(UTC).isoformat(), "late0001")

    found = project.events_compared()

    assert len(found.days) == 8
    assert found.differing_days == (date(2026, 11, 17),)


def test_day_of_25_hours_is_one_day(world: World) -> None:
    world.timezone = "America/New_York"
    for hour in range(72):
        at = datetime(2026, 10, 31, 4, tzinfo=UTC) + timedelta(hours=hour)
        put_event(world, at.isoformat(), f"hourly{hour:02d}")
    project = Project(world)
    project.load("events", days=("2026-10-31", "2026-11-02"))

    found = project.events_compared()

    assert found.is_even
    metric = world.truth("metrics")[0]["id"]
    bounds = (datetime(2026, 10, 31, 4, tzinfo=UTC), datetime(2026, 11, 3, 5, tzinfo=UTC))
    counted = events_by_day(project.klaviyo.client(), metric, *bounds, ZoneInfo("America/New_York"))
    assert counted[date(2026, 11, 1)] == 25


def test_today_is_compared_up_to_the_last_whole_hour_that_landed(world: World) -> None:
    project = Project(world)
    today = clock.now().date()
    project.load("events", days=("2026-11-19", today.isoformat()))

    found = project.events_compared()

    assert found.is_even
    assert found.until is not None
    assert found.until <= clock.now()
    assert (found.until.minute, found.until.second) == (0, 0)
    # What arrives within the hour that is not over yet is nobody's loss.
    put_event(world, found.until.isoformat(), "thishour")
    assert project.events_compared().is_even


def test_stretch_longer_than_a_year_is_asked_in_parts(world: World) -> None:
    project = Project(world)
    assert world.run("events").success
    put_event(world, "2024-02-29T12:00:00+00:00", "longago1")
    put_event(world, "2025-11-30T12:00:00+00:00", "longago2")
    world.sandbox.reset_counts()

    found = project.events_compared(date(2024, 1, 1), date(2026, 11, 20))

    assert found.differing_days == (date(2024, 2, 29), date(2025, 11, 30))
    metrics = len(world.ids("metrics"))
    assert world.sandbox.counts()["endpoints"]["query_metric_aggregates"] == {"200": 3 * metrics}


def test_metric_that_klaviyo_no_longer_has_is_named_and_stops_nothing(project: Project) -> None:
    world = project.world
    metric = next(row["metric_id"] for row in world.truth("events", *DAYS) if row["metric_id"])
    world.sandbox.store.delete("metrics", metric)

    found = project.events_compared()

    assert list(found.not_counted) == [metric]
    assert "does not exist" in found.not_counted[metric]
    assert not [each for each in found.differences if each.metric_id == metric]


def test_nothing_landed_then_nothing_is_compared_and_nothing_asked(world: World) -> None:
    project = Project(world)

    found = project.events_compared()

    assert (found.days, found.is_even) == ((), True)
    assert world.sandbox.counts()["total"] == 0
    assert not world.path.exists()


def test_check_names_days_and_metrics(project: Project) -> None:
    assert project.compare()["events"].passed
    put_event(project.world, "2026-11-14T08:00:00+00:00", "late0001")

    found = project.compare()["events"]

    assert not found.passed
    assert not found.blocking
    assert "on 2026-11-14" in found.description
    assert project.world.truth("metrics")[0]["name"] in found.description
    assert found.metadata["differing_days"].value == ["2026-11-14"]
    assert found.metadata["missing_events"].value == 1
    # Older than the lookback: no run will read this day again by itself.
    assert found.severity is dg.AssetCheckSeverity.ERROR


def test_check_of_a_day_that_the_next_run_reads_again_only_warns(world: World) -> None:
    project = Project(world)
    yesterday = (clock.now() - timedelta(days=1)).date().isoformat()
    project.load("events", days=("2026-11-19", yesterday))
    put_event(world, f"{yesterday}T12:00:00+00:00", "late0001")

    found = project.compare()["events"]

    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.WARN


def test_check_does_not_run_along_with_a_load_unless_asked_to(world: World) -> None:
    project = Project(world)

    result = project.load("events", days=("2026-11-18", "2026-11-18"))

    assert evaluations(result, COUNTS_AGREE) == {}
    assert "query_metric_aggregates" not in world.sandbox.counts()["endpoints"]


def test_check_when_klaviyo_refuses_then_says_so_and_fails_no_run(project: Project) -> None:
    project.world.sandbox.app.options.keys["pk_sandbox"] = frozenset({"events:read"})  # type: ignore[index]

    found = project.compare()["events"]

    assert not found.passed
    assert found.description.startswith("The check could not run:")
    assert "metrics:read" in found.description
