"""T3, boundaries, sorting and filter semantics: half-open windows, by each field and operator that Klaviyo has."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from klaviyo_pipeline import clock
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.model import FilterBy
from klaviyo_pipeline.loads.request import LoadRequest, window_of
from klaviyo_pipeline.warehouse.write_modes import WriteMode
from klaviyo_pipeline_tests.breadth import broad
from klaviyo_pipeline_tests.clocks import ago
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.incremental.support import Project, loads, moment
from klaviyo_pipeline_tests.orchestration.conftest import World, failure_text

EDGE = datetime(2026, 11, 18, 12, 0, 0, tzinfo=UTC)
SECOND, MICROSECOND = timedelta(seconds=1), timedelta(microseconds=1)
NOW = datetime(2026, 11, 23, 9, 30, 0, tzinfo=UTC)
WINDOWED = ("events", "templates", "campaigns", "lists", "profiles", "list_profiles")


def _rows(world: World, source: str, filter_by: str, times: dict[str, datetime]) -> None:
    """Rows of a source whose time is as given, by id."""
    if source == "list_profiles":
        list_id = world.ids("lists")[0]
        for id_, at in times.items():
            world.sandbox.store.put("profiles", [{"id": id_, "email": f"{id_}@example.com"}])
            world.sandbox.store.add_members(list_id, {id_: at.isoformat()})
        return
    names = {"events": "datetime", "campaigns": f"{filter_by}_at"}
    name = names.get(source, filter_by)
    rows: list[dict[str, Any]] = [{"id": id_, name: at.isoformat()} for id_, at in times.items()]
    other = {"updated": "created", "created": "updated"}[filter_by]
    if source != "events":
        # The other time lies far away, so that only the one that is asked for can decide.
        far = (EDGE - timedelta(days=400)).isoformat()
        rows = [{**row, (f"{other}_at" if source == "campaigns" else other): far} for row in rows]
    else:
        metric, profile = world.truth("metrics")[0]["id"], world.truth("profiles")[0]["id"]
        rows = [{**row, "metric_id": metric, "profile_id": profile} for row in rows]
    world.sandbox.store.put(source, rows)


def _landed(world: World, source: str, ids: set[str]) -> set[str]:
    column = "profile_id" if source == "list_profiles" else "id"
    return set(world.column(f"SELECT {column} FROM klaviyo.{source}")) & ids


@pytest.mark.parametrize(
    ("source", "filter_by"),
    broad((name, each.value) for name in WINDOWED for each in CORE[name].filter_by),
)
def test_t3_edge_of_a_second_belongs_to_the_window_that_begins_there(world: World, source: str, filter_by: str) -> None:
    times = {"edge0001": EDGE, "edge0002": EDGE - SECOND, "edge0003": EDGE + SECOND}
    _rows(world, source, filter_by, times)
    before, after = EDGE - timedelta(hours=1), EDGE + timedelta(hours=1)

    def load(start: datetime, end: datetime) -> None:
        config = {"start_time": start.isoformat(), "end_time": end.isoformat(), "filter_by": filter_by}
        config["incremental"] = True
        assert world.run(source, config={**config, "write_mode": "append"}).success

    load(before, EDGE)
    assert _landed(world, source, set(times)) == {"edge0002"}
    load(EDGE, after)
    assert _landed(world, source, set(times)) == set(times)
    ids = world.column(f"SELECT id FROM klaviyo.{source}")
    assert len(ids) == len(set(ids)), "appended windows that meet repeat no row"


@pytest.mark.parametrize("filter_by", ["updated", "created"])
def test_t3_edge_of_a_microsecond_belongs_to_the_window_that_begins_there(world: World, filter_by: str) -> None:
    edge = EDGE + timedelta(microseconds=500_000)
    times = {"edge0001": edge, "edge0002": edge - MICROSECOND, "edge0003": edge + MICROSECOND, "edge0004": EDGE}
    _rows(world, "campaigns", filter_by, times)

    def load(start: datetime, end: datetime) -> None:
        config = {"start_time": start.isoformat(), "end_time": end.isoformat(), "filter_by": filter_by}
        assert world.run("campaigns", config={**config, "write_mode": "append"}).success

    load(edge - SECOND, edge)
    assert _landed(world, "campaigns", set(times)) == {"edge0002", "edge0004"}
    load(edge, edge + MICROSECOND)
    assert _landed(world, "campaigns", set(times)) == {"edge0001", "edge0002", "edge0004"}
    load(edge + MICROSECOND, edge + SECOND)
    ids = world.column("SELECT id FROM klaviyo.campaigns")
    assert set(times) <= set(ids)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("hours", [1, 24])
def test_t3_windows_that_meet_lose_and_repeat_nothing(world: World, hours: int) -> None:
    edges = [EDGE - timedelta(hours=30) + timedelta(hours=hours) * n for n in range(5)]
    for start, end in itertools.pairwise(edges):
        config = {"start_time": start.isoformat(), "end_time": end.isoformat(), "write_mode": "append"}
        assert world.run("events", config=config).success

    expected = world.ids("events", edges[0].isoformat(), edges[-1].isoformat())
    assert sorted(world.column("SELECT id FROM klaviyo.events")) == expected


def test_t3_lists_take_only_greater_than_and_are_cut_at_the_end_here(world: World) -> None:
    _rows(world, "lists", "updated", {"L1": EDGE, "L2": EDGE + timedelta(days=1)})

    config = {"start_time": EDGE.isoformat(), "end_time": (EDGE + SECOND).isoformat()}
    project = Project(world)
    result = project.load("lists", days=("2026-11-18", "2026-11-18"), config=config)

    assert world.column("SELECT id FROM klaviyo.lists") == ["L1"]
    (event,) = result.asset_materializations_for_node("klaviyo__lists")
    counts = {name: value.value for name, value in event.metadata.items() if name.startswith("rows_")}
    fetched, outside = counts["rows_fetched"], counts["rows_outside_window"]
    assert (fetched - outside, counts["rows_inserted"], counts["rows_repeated"]) == (1, 1, 0)
    assert outside >= 1  # L2 at least: Klaviyo's filter has no upper end
    assert world.sql("SELECT rows_fetched, rows_outside_window FROM klaviyo_pipeline.ledger") == [(fetched, outside)]
    said = f"{fetched:,} rows fetched, {outside:,} of them outside the window and 0 repeated"
    assert any(said in log.user_message for log in project.instance.all_logs(result.run_id))


def test_t3_time_without_an_offset_is_read_in_the_storage_timezone(world: World) -> None:
    world.timezone = "America/New_York"

    assert world.run("events", config={"start_time": "2026-11-17T00:00:00", "end_time": "2026-11-18"}).success

    (load,) = loads(world, "events")
    assert load["window_start"].startswith("2026-11-17T05:00:00")
    assert load["window_end"].startswith("2026-11-18T05:00:00")
    assert sorted(world.column("SELECT id FROM klaviyo.events")) == world.ids(
        "events", "2026-11-17T05:00:00Z", "2026-11-18T05:00:00Z"
    )


def _request(source: str = "templates", **given: Any) -> LoadRequest:
    return LoadRequest(source=CORE[source], options=frozenset(), **{"lookback_days": 0, **given})


DAY = (datetime(2026, 11, 18, tzinfo=UTC), datetime(2026, 11, 19, tzinfo=UTC))
LAST_END = datetime(2026, 11, 20, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "partition", "last_end", "start", "end"),
    [
        ({"start_time": "2026-11-01", "end_time": "2026-11-02"}, DAY, LAST_END, "2026-11-01", "2026-11-02"),
        ({"start_time": "2026-11-18T06:00:00"}, DAY, LAST_END, "2026-11-18T06:00:00", "2026-11-19"),
        ({}, DAY, LAST_END, "2026-11-18", "2026-11-19"),
        ({}, None, LAST_END, "2026-11-20T08:00:00", None),
        ({"end_time": "2026-11-21"}, None, LAST_END, "2026-11-20T08:00:00", "2026-11-21"),
        ({}, None, None, None, None),
        ({"incremental": False}, DAY, LAST_END, None, None),
    ],
    ids=["config", "half config", "partition", "ledger", "ledger to an end", "first run", "incremental off"],
)
def test_t3_run_config_comes_before_partition_before_ledger(
    given: dict[str, Any], partition: Any, last_end: datetime | None, start: str | None, end: str | None
) -> None:
    window = window_of(_request(**given), partition=partition, last_end=last_end, zone=ZoneInfo("UTC"), now=NOW)

    assert window is not None
    assert window.start == (datetime.fromisoformat(start).replace(tzinfo=UTC) if start else None)
    assert window.end == (datetime.fromisoformat(end).replace(tzinfo=UTC) if end else None)


def test_t3_run_within_the_second_of_the_last_one_reads_that_second_again() -> None:
    window = window_of(_request(), partition=None, last_end=NOW, zone=ZoneInfo("UTC"), now=NOW)

    assert window is not None
    assert window.start == NOW - SECOND


def test_t3_append_that_has_been_loaded_up_to_its_end_reads_nothing() -> None:
    request = _request(write_mode=WriteMode.APPEND, end_time=LAST_END.isoformat())

    assert window_of(request, partition=None, last_end=LAST_END, zone=ZoneInfo("UTC"), now=NOW) is None


@pytest.mark.parametrize(
    ("source", "filter_by", "allowed"),
    [("events", "updated", "created"), ("list_profiles", "updated", "created"), ("metrics", "updated", "no filter")],
)
def test_t3_filter_by_what_a_source_does_not_have_then_the_error_names_what_it_has(
    source: str, filter_by: str, allowed: str
) -> None:
    with pytest.raises(ConfigurationError, match=rf"filter_by is '{filter_by}', but {source} takes {allowed}"):
        CORE[source].time_field(FilterBy(filter_by))


def test_t3_window_over_creation_says_nothing_about_what_was_updated(world: World) -> None:
    assert world.run("templates", config={"filter_by": "updated", "end_time": ago(days=9)}).success
    assert world.run("templates", config={"filter_by": "created", "start_time": ago(days=2)}).success

    assert world.run("templates", config={"lookback_days": 0}).success

    first, _by_creation, third = loads(world, "templates")
    assert third["window_start"] == first["window_end"]
    assert sorted(world.column("SELECT id FROM klaviyo.templates")) == world.ids("templates")


def test_t3_incremental_list_profiles_reads_who_joined_since(world: World) -> None:
    assert world.run("list_profiles", config={"incremental": True}).success
    list_id = world.ids("lists")[0]
    world.sandbox.store.put("profiles", [{"id": "joined01", "email": "new@example.com"}])
    world.sandbox.store.add_members(list_id, {"joined01": ago(minutes=0)})

    assert world.run("list_profiles", config={"incremental": True, "lookback_days": 1}).success

    assert loads(world, "list_profiles")[-1]["inserted"] == 1
    assert ("joined01",) in world.sql(f"SELECT profile_id FROM klaviyo.list_profiles WHERE list_id = '{list_id}'")


def test_t3_incremental_off_reads_everything_even_within_a_partition(world: World) -> None:
    assert world.run("campaigns", days="2026-11-18", config={"incremental": False}).success

    assert sorted(world.column("SELECT id FROM klaviyo.campaigns")) == world.ids("campaigns")
    assert loads(world, "campaigns")[0]["window_start"] is None


def test_t3_start_and_end_with_incremental_off_are_refused(world: World) -> None:
    result = world.run("profiles", config={"incremental": False, "start_time": "2026-11-18"})

    assert "incremental is off" in failure_text(result)
    assert not world.path.exists()


def test_t3_parents_ids_given_then_the_watermark_of_all_lists_stays(world: World) -> None:
    config = {"incremental": True, "list_ids": world.ids("lists")[:1]}
    assert world.run("list_profiles", config=config).success

    assert world.run("list_profiles", config={"incremental": True}).success

    members = {(row["list_id"], row["profile_id"]) for row in world.truth("members")}
    assert set(world.sql("SELECT list_id, profile_id FROM klaviyo.list_profiles")) == members
    assert moment(loads(world, "list_profiles")[1]["window_end"]) <= clock.now()
