"""T15, duplicates and silent truncation: runs are idempotent, pages are read to the end, appended windows meet."""

from __future__ import annotations

import itertools

import pytest

from klaviyo_pipeline_tests.breadth import few
from klaviyo_pipeline_tests.clocks import ago
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.incremental.support import EVERYTHING, UNTIL, loads, put_event
from klaviyo_pipeline_tests.orchestration.conftest import World

INCREMENTAL = [name for name, source in CORE.items() if source.time_fields]


@pytest.mark.parametrize("source", few(INCREMENTAL, 3))
def test_t15_incremental_source_when_run_again_then_not_a_byte_changes(world: World, source: str) -> None:
    config = {"incremental": True}
    assert world.run(source, config=config).success
    before = world.state()

    assert world.run(source, config=config).success

    assert world.state() == before
    first, second = loads(world, source)
    assert second["window_start"] <= first["window_end"]
    assert second["inserted"] == second["updated"] == second["deleted"] == 0


@pytest.mark.parametrize("source", ["events", "profiles", "templates"])
def test_t15_overlapping_windows_double_nothing_in_merge(world: World, source: str) -> None:
    for start, end in (("2024-01-01", "2026-11-18"), ("2026-11-15", "2026-11-21"), ("2026-11-17", "2026-11-19")):
        assert world.run(source, config={"start_time": start, "end_time": end}).success

    assert sorted(world.column(f"SELECT id FROM klaviyo.{source}")) == world.ids(source, until=UNTIL)


def test_t15_appended_runs_go_on_where_the_last_one_ended_and_repeat_nothing(world: World) -> None:
    assert world.run("events", config={"write_mode": "append"}).success
    for number in range(3):
        put_event(world, ago(seconds=0), f"between{number}")
        assert world.run("events", config={"write_mode": "append"}).success

    ids = world.column("SELECT id FROM klaviyo.events")
    assert len(ids) == len(set(ids))
    found = loads(world, "events")
    for earlier, later in itertools.pairwise(found):
        assert later["window_start"] == earlier["window_end"]


def test_t15_every_table_is_read_to_its_last_page(world: World) -> None:
    """One list of 250 members, 45 templates, 300 campaigns: more than a page of each."""
    store, list_id = world.sandbox.store, world.ids("lists")[0]
    store.put("profiles", [{"id": f"many{n:04d}", "email": f"many{n}@example.com"} for n in range(250)])
    store.add_members(list_id, {f"many{n:04d}": "2026-11-18T09:00:00+00:00" for n in range(250)})
    store.put("templates", [{"id": f"T{n:03d}"} for n in range(45)])
    store.put("lists", [{"id": f"L{n:03d}"} for n in range(25)])
    store.put("campaigns", [{"id": f"C{n:03d}", "updated_at": "2026-11-18T09:00:00+00:00"} for n in range(300)])

    assert world.run("templates", "lists", "list_profiles").success
    assert world.run("campaigns", **EVERYTHING).success

    assert sorted(world.column("SELECT id FROM klaviyo.templates")) == world.ids("templates")
    assert sorted(world.column("SELECT id FROM klaviyo.lists")) == world.ids("lists")
    assert len(world.column("SELECT id FROM klaviyo.list_profiles")) == len(world.truth("members"))
    assert sorted(world.column("SELECT id FROM klaviyo.campaigns")) == world.ids("campaigns", until=UNTIL)


@pytest.mark.parametrize("mode", ["replace", "replace_on_new_data"])
def test_t15_replaced_day_when_loaded_twice_then_has_each_row_once(world: World, mode: str) -> None:
    for _ in range(2):
        assert world.run("events", days="2026-11-18", config={"write_mode": mode}).success

    assert sorted(world.column("SELECT id FROM klaviyo.events")) == world.ids(
        "events", "2026-11-18T00:00:00Z", "2026-11-19T00:00:00Z"
    )
