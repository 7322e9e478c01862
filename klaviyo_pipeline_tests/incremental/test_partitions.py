"""Day partitions in the storage time zone: changes of the clock, today's, ranges, and what is missing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from klaviyo_pipeline import clock
from klaviyo_pipeline.loads.completeness import DAY, landed_days, ranges_of, spoken
from klaviyo_pipeline.orchestration.checks.upkeep import DAYS_HAVE_LANDED
from klaviyo_pipeline.orchestration.partitions import daily_partitions
from klaviyo_pipeline.times import start_of
from klaviyo_pipeline_tests import clocks
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.incremental.support import Project, evaluations, loads, moment, put_event
from klaviyo_pipeline_tests.orchestration.conftest import World

# Day, zone, its bounds in UTC, its hours.
CHANGES = [
    ("2026-03-08", "America/New_York", "2026-03-08T05:00:00+00:00", "2026-03-09T04:00:00+00:00", 23),
    ("2026-11-01", "America/New_York", "2026-11-01T04:00:00+00:00", "2026-11-02T05:00:00+00:00", 25),
    ("2026-03-29", "Europe/Copenhagen", "2026-03-28T23:00:00+00:00", "2026-03-29T22:00:00+00:00", 23),
    ("2026-10-25", "Europe/Copenhagen", "2026-10-24T22:00:00+00:00", "2026-10-25T23:00:00+00:00", 25),
    ("2026-10-04", "Australia/Lord_Howe", "2026-10-03T13:30:00+00:00", "2026-10-04T13:00:00+00:00", 23.5),
]


@pytest.mark.parametrize(("day", "zone", "start", "end", "hours"), CHANGES)
def test_day_when_clocks_change_then_its_partition_is_exactly_that_day(
    world: World, day: str, zone: str, start: str, end: str, hours: float
) -> None:
    world.timezone = zone
    second = timedelta(seconds=1)
    edges = {"before01": moment(start) - second, "first001": moment(start), "last0001": moment(end) - second}
    edges["after001"] = moment(end)
    for id_, at in edges.items():
        put_event(world, at.isoformat(), id_)

    assert world.run("events", days=day).success

    assert sorted(world.column("SELECT id FROM klaviyo.events")) == world.ids("events", start, end)
    assert {"first001", "last0001"} <= set(world.column("SELECT id FROM klaviyo.events"))
    (load,) = loads(world, "events")
    assert (moment(load["window_start"]), moment(load["window_end"])) == (moment(start), moment(end))
    assert (moment(end) - moment(start)).total_seconds() / 3600 == hours


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Europe/Copenhagen", "Asia/Kolkata", "Africa/Cairo"])
def test_days_here_are_dagsters_partitions(zone: str) -> None:
    partitions = daily_partitions("2026-01-01", zone)
    for key in partitions.get_partition_keys()[:-1]:
        window = partitions.time_window_for_partition_key(key)
        day = date.fromisoformat(key)
        # In UTC, since Python calls times that a change of the clock skips unequal to their own instant.
        bounds = (window.start.astimezone(UTC), window.end.astimezone(UTC))
        assert bounds == (start_of(day, ZoneInfo(zone)), start_of(day + DAY, ZoneInfo(zone)))


def test_days_across_a_change_when_loaded_one_by_one_then_meet(world: World) -> None:
    world.timezone = "America/New_York"
    for hour in range(60):
        at = datetime(2026, 10, 31, 16, tzinfo=UTC) + timedelta(hours=hour)
        put_event(world, at.isoformat(), f"hourly{hour:02d}")

    for day in ("2026-10-31", "2026-11-01", "2026-11-02"):
        assert world.run("events", days=day, config={"write_mode": "append"}).success

    ids = world.column("SELECT id FROM klaviyo.events")
    assert sorted(ids) == world.ids("events", "2026-10-31T04:00:00Z", "2026-11-03T05:00:00Z")
    assert len(ids) == len(set(ids))


def test_todays_partition_exists_and_is_loaded_again_and_again(world: World) -> None:
    today = clocks.today()
    assert daily_partitions("2024-01-01", "UTC").get_partition_keys(current_time=clock.now())[-1] == today
    assert world.run("events", days=today).success
    new = put_event(world, f"{today}T00:00:00+00:00")

    assert world.run("events", days=today).success

    assert new in world.column("SELECT id FROM klaviyo.events")
    assert moment(loads(world, "events")[-1]["window_end"]) <= clock.now()


def test_range_is_one_run_one_window_and_every_partition_materialized(world: World) -> None:
    project = Project(world)

    project.load("events", days=("2026-10-30", "2026-11-18"))

    assert len(loads(world, "events")) == 1
    materialized = project.instance.get_materialized_partitions(dg.AssetKey(["klaviyo", "events"]))
    landed = landed_days(project.duckdb.warehouse(), CORE["events"], "klaviyo.events", ZoneInfo("UTC"))
    assert [day.isoformat() for day in landed.complete] == sorted(materialized)
    assert len(materialized) == 20


def test_days_between_that_have_not_landed_are_named(world: World) -> None:
    project = Project(world)
    project.load("events", days=("2026-11-10", "2026-11-12"))

    result = project.load("events", days=("2026-11-16", "2026-11-18"))

    found = evaluations(result, DAYS_HAVE_LANDED)["events"]
    assert not found.passed
    assert "Not landed: 2026-11-13 to 2026-11-15." in found.description
    assert "--partition-range 2026-11-13...2026-11-15" in found.description
    again = project.load("events", days=("2026-11-13", "2026-11-15"))
    assert evaluations(again, DAYS_HAVE_LANDED)["events"].passed


def test_day_that_dagster_shows_but_the_ledger_does_not_is_named(world: World) -> None:
    project = Project(world)
    project.load("events", days=("2026-11-10", "2026-11-10"))
    elsewhere = {"start_time": "2026-11-11", "end_time": "2026-11-12"}
    project.load("events", days=("2026-11-15", "2026-11-15"), config=elsewhere)

    result = project.load("events", days=("2026-11-16", "2026-11-16"))

    found = evaluations(result, DAYS_HAVE_LANDED)["events"]
    assert "materialized, but they have not landed: 2026-11-15" in found.description


def test_day_that_landed_before_it_was_over_is_named_once_a_later_one_lands(world: World) -> None:
    project = Project(world)
    half = {"start_time": "2026-11-10", "end_time": "2026-11-10T12:00:00"}
    project.load("events", days=("2026-11-10", "2026-11-10"), config=half)

    result = project.load("events", days=("2026-11-11", "2026-11-11"))

    found = evaluations(result, DAYS_HAVE_LANDED)["events"]
    assert "Landed only in part" in found.description
    assert found.metadata["partial_days"].value == ["2026-11-10"]


def test_every_partitioned_source_has_its_days_checked(world: World) -> None:
    partitioned = [name for name, source in CORE.items() if source.partitioned_by_day]

    result = Project(world).load(*partitioned, days=("2026-11-17", "2026-11-18"))

    found = evaluations(result, DAYS_HAVE_LANDED)
    assert sorted(found) == sorted(partitioned)
    assert all(each.passed for each in found.values())


def test_days_are_named_as_ranges() -> None:
    days = [date(2026, 11, 3), date(2026, 11, 1), date(2026, 11, 2), date(2026, 11, 7)]

    assert ranges_of(days) == [(date(2026, 11, 1), date(2026, 11, 3)), (date(2026, 11, 7), date(2026, 11, 7))]
    assert spoken(days) == "2026-11-01 to 2026-11-03, 2026-11-07"
