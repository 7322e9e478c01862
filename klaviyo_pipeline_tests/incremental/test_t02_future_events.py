"""T2, future-dated events wedge the cursor: such rows are loaded, and never move the watermark."""

from __future__ import annotations

from klaviyo_pipeline import clock
from klaviyo_pipeline_tests.clocks import ago
from klaviyo_pipeline_tests.incremental.support import loads, moment, put_event
from klaviyo_pipeline_tests.orchestration.conftest import World

NEXT_YEAR = -300.0


def test_t2_future_event_is_loaded_and_does_not_move_the_watermark(world: World) -> None:
    future = put_event(world, ago(days=NEXT_YEAR), "future01")
    assert world.run("events").success
    assert future in world.column("SELECT id FROM klaviyo.events")

    today = put_event(world, ago(minutes=1), "today001")
    assert world.run("events").success

    assert {future, today} <= set(world.column("SELECT id FROM klaviyo.events"))
    assert all(moment(load["window_end"]) <= clock.now() for load in loads(world, "events"))


def test_t2_future_event_in_todays_partition_then_the_partition_is_loaded_and_can_be_loaded_again(world: World) -> None:
    today = clock.now().date().isoformat()
    late_today = put_event(world, f"{today}T23:59:59+00:00", "tonight1")

    for _ in range(2):
        assert world.run("events", days=today).success

    assert late_today in world.column("SELECT id FROM klaviyo.events")
    assert sorted(world.column("SELECT id FROM klaviyo.events")) == world.ids("events", today, f"{today}T23:59:59.9")
    assert all(moment(load["window_end"]) <= clock.now() for load in loads(world, "events"))


def test_t2_end_in_the_future_is_no_error_and_no_request_names_a_time_ahead(world: World) -> None:
    future = put_event(world, ago(days=-5), "future01")

    assert world.run("events", config={"start_time": ago(days=10), "end_time": ago(days=-10)}).success

    assert future in world.column("SELECT id FROM klaviyo.events")
    assert moment(loads(world, "events")[0]["window_end"]) <= clock.now()


def test_t2_future_event_when_appended_is_appended_once_in_its_own_window(world: World) -> None:
    future = put_event(world, ago(days=NEXT_YEAR), "future01")

    for _ in range(3):
        assert world.run("events", config={"write_mode": "append"}).success

    ids = world.column("SELECT id FROM klaviyo.events")
    assert future not in ids
    assert len(ids) == len(set(ids)) > 0
