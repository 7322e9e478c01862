"""A landing that fails keeps what was fetched: the next run lands it without asking Klaviyo again."""

from __future__ import annotations

import os
import stat
from pathlib import Path

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


def test_staging_folder_when_it_holds_other_things_then_they_stay_and_ours_is_a_folder_of_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = tmp_path / "shared"
    (given / "poetry").mkdir(parents=True)
    (given / "poetry.lock").write_text("theirs")
    (given / "poetry" / "notes.txt").write_text("theirs")
    for path in given.rglob("*"):
        os.utime(path, (0, 0))
    monkeypatch.setenv("KLAVIYO_STAGING_DIR", str(given))

    assert world.run("lists", "list_profiles").success

    assert (given / "poetry.lock").read_text() == (given / "poetry" / "notes.txt").read_text() == "theirs"
    assert {path.name for path in given.iterdir()} == {"poetry", "poetry.lock", "klaviyo-staging"}
    assert stat.S_IMODE((given / "klaviyo-staging").stat().st_mode) == 0o700
    left = [path for path in (given / "klaviyo-staging").iterdir() if path.suffix != ".lock"]
    assert left == [], "what has landed is removed"
