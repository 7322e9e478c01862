"""Each write mode through Dagster, on a real DuckDB file, partitioned and not."""

from __future__ import annotations

import pytest

from klaviyo_pipeline_tests.orchestration.conftest import World

DAY, NEXT = "2026-11-18", "2026-11-19"
REPLACING = ("replace", "replace_on_new_data")


def _count(world: World, table: str) -> int:
    return int(world.sql(f"SELECT count(*) FROM klaviyo.{table}")[0][0])


def test_append_when_a_day_is_loaded_twice_then_its_rows_are_there_twice(world: World) -> None:
    for _ in range(2):
        assert world.run("events", days=DAY, config={"write_mode": "append"}).success

    assert _count(world, "events") == 2 * len(world.ids("events", DAY, NEXT))


def test_append_when_unpartitioned_and_loaded_twice_then_rows_are_there_twice(world: World) -> None:
    for _ in range(2):
        assert world.run("metrics", config={"write_mode": "append"}).success

    assert _count(world, "metrics") == 2 * len(world.ids("metrics"))


@pytest.mark.parametrize("mode", REPLACING)
def test_replace_when_partitioned_then_only_the_runs_days_are_cleared(world: World, mode: str) -> None:
    assert world.run("events", days=(DAY, NEXT), config={"write_mode": mode}).success
    dropped = world.ids("events", DAY, NEXT)[0]
    world.sandbox.store.delete("events", dropped)

    assert world.run("events", days=DAY, config={"write_mode": mode}).success

    assert sorted(world.column("SELECT id FROM klaviyo.events")) == world.ids("events", DAY, "2026-11-20")


@pytest.mark.parametrize("mode", REPLACING)
def test_replace_when_unpartitioned_then_the_table_is_what_was_read(world: World, mode: str) -> None:
    assert world.run("lists", config={"write_mode": mode, "incremental": False}).success
    world.sandbox.store.delete("lists", world.ids("lists")[0])

    assert world.run("lists", config={"write_mode": mode, "incremental": False}).success

    assert sorted(world.column("SELECT id FROM klaviyo.lists")) == world.ids("lists")


def test_replace_when_nothing_comes_then_the_scope_is_empty_only_with_consent(world: World) -> None:
    assert world.run("events", days=DAY, config={"write_mode": "replace"}).success
    for event in world.ids("events", DAY, NEXT):
        world.sandbox.store.delete("events", event)

    before = world.state()
    assert not world.run("events", days=DAY, config={"write_mode": "replace"}).success
    assert world.state() == before
    assert world.run("events", days=DAY, config={"write_mode": "replace", "accept_shrink": True}).success

    assert _count(world, "events") == 0


def test_replace_on_new_data_when_nothing_comes_then_the_table_stays(world: World) -> None:
    assert world.run("events", days=DAY, config={"write_mode": "replace_on_new_data"}).success
    before = world.state()
    for event in world.ids("events", DAY, NEXT):
        world.sandbox.store.delete("events", event)

    assert world.run("events", days=DAY, config={"write_mode": "replace_on_new_data"}).success

    assert world.state() == before


def test_merge_when_a_profile_changed_then_its_row_is_updated_and_others_are_left_alone(world: World) -> None:
    assert world.run("profiles", days="2026-11-20", config={"start_time": "2024-01-01"}).success
    before = dict(world.sql("SELECT id, _run_id FROM klaviyo.profiles"))
    changed = world.ids("profiles")[0]
    world.sandbox.store.put(
        "profiles", [{"id": changed, "first_name": "Renamed", "updated": "2026-11-20T11:59:00+00:00"}]
    )

    assert world.run("profiles", days="2026-11-20", config={"start_time": "2024-01-01"}).success

    assert world.column(f"SELECT first_name FROM klaviyo.profiles WHERE id = '{changed}'") == ["Renamed"]
    after = dict(world.sql("SELECT id, _run_id FROM klaviyo.profiles"))
    assert {id_ for id_ in after if after[id_] != before[id_]} == {changed}


def test_destination_when_given_in_config_then_rows_land_there(world: World) -> None:
    assert world.run("metrics", config={"table": "kinds", "schema_name": "raw"}).success

    assert world.sql("SELECT count(*) FROM raw.kinds") == [(len(world.ids("metrics")),)]
