"""T1, events that arrive late never get loaded: a lookback, on by default, and a deeper one in one command."""

from __future__ import annotations

from datetime import timedelta

import pytest

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline_tests.clocks import ago
from klaviyo_pipeline_tests.incremental.support import loads, moment, put_event
from klaviyo_pipeline_tests.orchestration.conftest import World


def _landed(world: World, id_: str) -> bool:
    return id_ in world.column("SELECT id FROM klaviyo.events")


def test_t1_lookback_is_seven_days_for_events_by_default() -> None:
    assert SOURCES["events"].lookback_days == 7


def test_t1_event_when_it_arrives_five_days_late_then_the_next_run_has_it(world: World) -> None:
    assert world.run("events").success
    late = put_event(world, ago(days=5))

    assert world.run("events").success

    assert _landed(world, late)
    first, second = loads(world, "events")
    assert (moment(first["window_end"]) - moment(second["window_start"])).days == 7
    assert second["inserted"] == 1


def test_t1_event_when_it_arrives_seventeen_days_late_then_a_deeper_re_read_is_one_command(world: World) -> None:
    assert world.run("events").success
    late = put_event(world, ago(days=17))
    assert world.run("events").success
    assert not _landed(world, late)

    assert world.run("events", config={"lookback_days": 30}).success

    assert _landed(world, late)
    assert loads(world, "events")[-1]["inserted"] == 1


def test_t1_deeper_re_read_by_start_time_does_not_move_the_watermark_back(world: World) -> None:
    assert world.run("events").success
    late = put_event(world, ago(days=17))

    assert world.run("events", config={"start_time": ago(days=20), "end_time": ago(days=10)}).success

    assert _landed(world, late)
    assert world.run("events", config={"lookback_days": 0}).success
    first, _deeper, third = loads(world, "events")
    assert moment(first["window_end"]) - moment(third["window_start"]) <= timedelta(seconds=1)


@pytest.mark.parametrize("source", ["profiles", "templates", "lists", "campaigns"])
def test_t1_lookback_is_configurable_for_each_source(world: World, source: str) -> None:
    assert world.run(source).success

    assert world.run(source, config={"lookback_days": 3}).success

    first, second = loads(world, source)
    assert (moment(first["window_end"]) - moment(second["window_start"])).days == 3


def test_t1_re_read_rows_that_did_not_change_are_not_written_again(world: World) -> None:
    assert world.run("events").success
    before = world.state()

    assert world.run("events", config={"lookback_days": 3000}).success

    assert world.state() == before
