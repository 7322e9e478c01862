"""Lists and other parents are not asked for again by each load of their members, while their table is fresh."""

from __future__ import annotations

import duckdb
import pytest

from klaviyo_pipeline.warehouse.errors import WarehouseError
from klaviyo_pipeline_tests import clocks
from klaviyo_pipeline_tests.orchestration.conftest import World, world

__all__ = ["world"]

LIVE = "SELECT DISTINCT list_id FROM klaviyo.list_profiles WHERE _deleted_at IS NULL ORDER BY 1"


def asked_for(world: World, operation: str = "get_lists") -> int:
    """How many requests for all lists there were since the last look."""
    asked = sum(world.sandbox.counts()["endpoints"].get(operation, {}).values())
    world.sandbox.reset_counts()
    return asked


def with_a_member(world: World, list_id: str) -> None:
    now = clocks.ago(seconds=1)
    world.sandbox.store.put("lists", [{"id": list_id, "name": "Made since", "created": now, "updated": now}])
    world.sandbox.store.add_members(list_id, {world.truth("profiles")[0]["id"]: "2026-11-19T00:00:00+00:00"})


def lists_with_members(world: World) -> list[str]:
    return sorted({row["list_id"] for row in world.truth("members")})


def test_lists_that_landed_within_the_hour_are_not_asked_for_again_and_later_they_are(world: World) -> None:
    assert world.run("lists").success
    assert asked_for(world) > 0
    assert world.run("list_profiles").success
    assert asked_for(world) == 0
    assert world.column(LIVE) == lists_with_members(world)

    with_a_member(world, "LATE01")
    clocks.advance(minutes=61)
    assert world.run("list_profiles").success
    assert asked_for(world) > 0
    assert "LATE01" in world.column(LIVE)


def test_incremental_load_of_lists_makes_them_fresh_again_and_has_the_new_list(world: World) -> None:
    assert world.run("lists").success
    clocks.advance(minutes=61)
    with_a_member(world, "LATE01")
    assert world.run("lists").success
    asked_for(world)
    assert world.run("list_profiles").success
    assert asked_for(world) == 0
    assert world.column(LIVE) == lists_with_members(world)


def test_list_that_klaviyo_has_deleted_since_takes_its_members_along(world: World) -> None:
    assert world.run("lists", "list_profiles").success
    gone = lists_with_members(world)[0]
    world.sandbox.store.delete("lists", gone)
    asked_for(world)
    assert world.run("list_profiles").success
    assert asked_for(world) == 0
    assert gone not in world.column(LIVE)


def test_lists_of_a_load_that_did_not_land_are_asked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_given: object) -> None:
        raise WarehouseError("no landing")

    with monkeypatch.context() as patch:
        patch.setattr("klaviyo_pipeline.warehouse.landing.land", fail)
        assert not world.run("lists").success
    with_a_member(world, "LATE01")
    asked_for(world)
    assert world.run("list_profiles").success
    assert asked_for(world) > 0
    assert "LATE01" in world.column(LIVE)


@pytest.mark.parametrize("why", ["setting", "key", "some", "lost"])
def test_lists_are_asked_for_where_their_table_may_not_have_all(
    world: World, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """By the setting, for another key, after a load of some only, and where the table lacks a list with members."""
    some = {"start_time": "2026-11-19T00:00:00"} if why == "some" else None
    assert world.run("lists", config=some).success
    if why == "setting":
        monkeypatch.setenv("KLAVIYO_FRESH_PARENTS_MINUTES", "0")
    if why == "lost":
        assert world.run("list_profiles").success
        with duckdb.connect(str(world.path)) as connection:
            connection.execute(f"DELETE FROM klaviyo.lists WHERE id = '{lists_with_members(world)[0]}'")
    asked_for(world)
    account = {"api_key": "pk_another"} if why == "key" else None
    assert world.run("list_profiles", klaviyo=account).success
    assert asked_for(world) > 0
    assert world.column(LIVE) == lists_with_members(world)


def test_metrics_that_landed_are_not_asked_for_by_their_properties(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_SOURCES", "core, metric_properties")
    assert world.run("metrics").success
    asked_for(world)
    assert world.run("metric_properties").success
    assert asked_for(world, "get_metrics") == 0
    assert set(world.column("SELECT DISTINCT metric_id FROM klaviyo.metric_properties")) <= set(world.ids("metrics"))
    assert world.column("SELECT count(*) > 0 FROM klaviyo.metric_properties") == [True]
