"""The window and the write mode of a run, which count for all of its data sources."""

from __future__ import annotations

from klaviyo_pipeline_tests.orchestration.conftest import World, failure_text

WINDOW = {"start_time": "2026-11-16", "end_time": "2026-11-18"}


def test_window_of_a_run_counts_for_each_data_source_that_takes_one(world: World) -> None:
    changes = sorted(row["updated"] for source in ("templates", "lists") for row in world.truth(source))
    window = {"start_time": changes[4], "end_time": changes[10]}

    assert world.run("templates", "lists", "metrics", of_run=window).success

    for source in ("templates", "lists"):
        expected = [row["id"] for row in world.truth(source) if changes[4] <= row["updated"] < changes[10]]
        assert expected
        assert sorted(world.column(f"SELECT id FROM klaviyo.{source}")) == sorted(expected)
    assert sorted(world.column("SELECT id FROM klaviyo.metrics")) == world.ids("metrics")


def test_write_mode_of_a_run_counts_also_for_data_sources_without_a_window(world: World) -> None:
    for _ in range(2):
        assert world.run("metrics", of_run={"write_mode": "append"}).success

    assert len(world.column("SELECT id FROM klaviyo.metrics")) == 2 * len(world.ids("metrics"))


def test_config_of_an_asset_wins_over_that_of_the_run(world: World) -> None:
    config = {"start_time": "2026-11-18", "end_time": "2026-11-19", "write_mode": "merge"}
    for _ in range(2):
        assert world.run("events", config=config, of_run={**WINDOW, "write_mode": "append"}).success

    assert sorted(world.column("SELECT id FROM klaviyo.events")) == world.ids("events", "2026-11-18", "2026-11-19")


def test_what_the_launchpad_shows_changes_nothing(world: World) -> None:
    shown = {"start_time": "", "end_time": "", "write_mode": "default"}
    assert world.run("events", days="2026-11-18", of_run=shown).success
    assert world.run("lists", config={"write_mode": "append"}, of_run=shown).success

    assert sorted(world.column("SELECT id FROM klaviyo.events")) == world.ids("events", "2026-11-18", "2026-11-19")
    assert world.column("SELECT DISTINCT write_mode FROM klaviyo_pipeline.ledger ORDER BY ALL") == ["append", "merge"]


def test_wrong_time_of_a_run_fails_it_with_a_sentence_and_lands_nothing(world: World) -> None:
    result = world.run("lists", of_run={"start_time": "yesterday"})

    assert not result.success
    assert "start_time is 'yesterday', but must be an ISO 8601 time" in failure_text(result)
    assert world.state() == {}
