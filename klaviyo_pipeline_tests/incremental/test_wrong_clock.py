"""A clock that was ahead, and is right again: what came meanwhile is read, or the run says why it cannot know."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from klaviyo_pipeline import clock
from klaviyo_pipeline.loads.cadence import HOURLY
from klaviyo_pipeline.orchestration.checks.upkeep import freshness_check
from klaviyo_pipeline.warehouse import ledger
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline_tests.clocks import advance, ago
from klaviyo_pipeline_tests.incremental.support import loads, put_event
from klaviyo_pipeline_tests.orchestration.conftest import World, failure_text


def loaded_under_a_clock_ahead(world: World, by: timedelta, mode: str) -> None:
    """Everything is loaded; a run under a wrong clock left a line in the ledger; an event came, and time went by."""
    assert world.run("events", config={"start_time": "2024-01-01", "write_mode": mode}).success
    database = Database(world.path)
    (last, *_) = ledger.history(database, "events")
    with database.writing() as con:
        ledger.record(con, replace(last, window_start=last.window_end, window_end=clock.now() + by, entry=None))
    put_event(world, ago(days=2), "between")
    advance(seconds=10)


@pytest.mark.parametrize("by", [timedelta(hours=1), timedelta(days=45), timedelta(days=4_000)])
def test_watermark_when_in_the_future_then_a_merge_reads_from_the_one_before(world: World, by: timedelta) -> None:
    loaded_under_a_clock_ahead(world, by, "merge")
    put_event(world, ago(seconds=1), "latest")

    assert world.run("events", config={"lookback_days": 0}).success

    assert "latest" in world.column("SELECT id FROM klaviyo.events")
    read = loads(world, "events")
    assert read[-1]["window_start"] == read[0]["window_end"]


@pytest.mark.parametrize("mode", ["append", "replace_on_new_data"])
def test_watermark_when_in_the_future_and_rows_are_not_merged_then_says_what_to_do(world: World, mode: str) -> None:
    loaded_under_a_clock_ahead(world, timedelta(days=45), "append")
    before = world.state()

    text = failure_text(world.run("events", config={"write_mode": mode}))

    assert "clock is wrong, or was" in text
    assert "start_time" in text
    assert "klaviyo-pipeline rewind" in text
    assert world.state() == before


def test_freshness_when_what_landed_ends_in_the_future_then_warns() -> None:
    now = clock.now()
    cadence = HOURLY
    assert freshness_check(now + timedelta(seconds=5), cadence, now).passed
    ahead = freshness_check(now + timedelta(hours=1), cadence, now)
    assert not ahead.passed
    assert "in the future" in (ahead.description or "")
