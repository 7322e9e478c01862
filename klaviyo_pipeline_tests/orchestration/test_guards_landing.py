"""A landing that fails keeps what was fetched: the next run lands it without asking Klaviyo again."""

from __future__ import annotations

import duckdb
import pytest

from klaviyo_pipeline_tests.klaviyo.support import Watched
from klaviyo_pipeline_tests.orchestration.conftest import World, failure_text


@pytest.mark.parametrize("mode", ["merge", "append"])
def test_landing_when_it_failed_then_the_next_run_lands_the_same_pages_without_a_request(
    world: World, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    watched = Watched()
    monkeypatch.setattr(world.sandbox.app, "faults", watched)
    with duckdb.connect(str(world.path)) as con:
        con.execute("CREATE SCHEMA klaviyo; CREATE TABLE klaviyo.lists (id INTEGER, created BOOLEAN)")
    config = {"write_mode": mode, "incremental": False}
    assert "lists" in failure_text(world.run("lists", config=config))
    assert watched.operations.count("get_lists") > 0
    with duckdb.connect(str(world.path)) as con:
        con.execute("DROP TABLE klaviyo.lists")
    watched.operations.clear()

    assert world.run("lists", config=config).success

    assert watched.operations.count("get_lists") == 0
    assert world.column("SELECT id FROM klaviyo.lists ORDER BY id") == world.ids("lists")
    assert world.run("lists", config=config | {"write_mode": "merge"}).success
    assert watched.operations.count("get_lists") > 0, "what has landed is not landed again"
