"""T16, deletes: rows that Klaviyo no longer returns are marked on a full read, and come back to life if it does."""

from __future__ import annotations

from typing import Any

import pytest

from klaviyo_pipeline_tests.breadth import few
from klaviyo_pipeline_tests.incremental.support import loads
from klaviyo_pipeline_tests.orchestration.conftest import World

SMALL = ("metrics", "lists", "templates", "campaigns")


def _read_whole(world: World, source: str) -> None:
    config = None if source == "metrics" else {"incremental": False}
    assert world.run(source, days="2026-11-18" if source == "campaigns" else None, config=config).success


def _marked(world: World, source: str) -> list[Any]:
    return world.column(f"SELECT id FROM klaviyo.{source} WHERE _deleted_at IS NOT NULL ORDER BY id")


def _take_away(world: World, source: str) -> Any:
    """Deletes a row in Klaviyo, and returns it to be put back."""
    table = getattr(world.sandbox.store, source)
    row = table.get(world.ids(source)[0])
    assert world.sandbox.store.delete(source, row.id)
    return row


@pytest.mark.parametrize("source", few(SMALL, 2))
def test_t16_row_that_is_gone_is_marked_and_comes_back_to_life(world: World, source: str) -> None:
    _read_whole(world, source)
    before = world.state()
    row = _take_away(world, source)

    _read_whole(world, source)

    assert _marked(world, source) == [row.id]
    assert loads(world, source)[-1]["deleted"] == 1
    since = world.column(f"SELECT _deleted_at FROM klaviyo.{source} WHERE id = '{row.id}'")
    _read_whole(world, source)
    assert world.column(f"SELECT _deleted_at FROM klaviyo.{source} WHERE id = '{row.id}'") == since

    getattr(world.sandbox.store, source).put([row])
    _read_whole(world, source)

    assert _marked(world, source) == []
    assert loads(world, source)[-1]["revived"] == 1
    contents = f"SELECT * EXCLUDE (_loaded_at, _run_id) FROM klaviyo.{source} ORDER BY ALL"
    assert len(world.sql(contents)) == len(before[f"klaviyo.{source}"])


@pytest.mark.parametrize("source", ["lists", "templates", "campaigns"])
def test_t16_window_is_no_full_read_and_marks_nothing(world: World, source: str) -> None:
    _read_whole(world, source)
    _take_away(world, source)

    assert world.run(source, config={"start_time": "2026-11-01"}).success

    assert _marked(world, source) == []


@pytest.mark.parametrize("mode", ["replace", "replace_on_new_data"])
def test_t16_replaced_table_drops_what_is_gone(world: World, mode: str) -> None:
    config = {"incremental": False, "write_mode": mode}
    assert world.run("campaigns", days="2026-11-18", config=config).success
    _take_away(world, "campaigns")

    assert world.run("campaigns", days="2026-11-18", config=config).success

    assert sorted(world.column("SELECT id FROM klaviyo.campaigns")) == world.ids("campaigns")


def test_t16_renamed_metric_keeps_its_row(world: World) -> None:
    _read_whole(world, "metrics")
    metric = world.ids("metrics")[0]
    world.sandbox.store.put("metrics", [{"id": metric, "name": "Received Text Message"}])

    _read_whole(world, "metrics")

    assert world.column(f"SELECT name FROM klaviyo.metrics WHERE id = '{metric}'") == ["Received Text Message"]
    assert len(world.column("SELECT id FROM klaviyo.metrics")) == len(world.ids("metrics"))


def test_t16_profile_that_changed_is_updated(world: World) -> None:
    assert world.run("profiles").success
    profile = world.ids("profiles")[0]
    change = {"id": profile, "first_name": "Renamed", "updated": "2026-11-20T11:59:00+00:00"}
    world.sandbox.store.put("profiles", [change])

    assert world.run("profiles", config={"lookback_days": 5}).success

    assert world.column(f"SELECT first_name FROM klaviyo.profiles WHERE id = '{profile}'") == ["Renamed"]
    assert loads(world, "profiles")[-1]["updated"] == 1
