"""Data sources beyond the core ones: their rows are the sandbox's, and a second load changes none."""

from __future__ import annotations

import pytest

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline_tests.orchestration.conftest import FIRST_DAY, LAST_DAY, World, world

__all__ = ["world"]

SERVED = ("custom_metrics", "mapped_metrics", "segments", "flows", "forms", "tags", "tag_groups")


def test_collections_have_the_rows_of_the_sandbox(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    names = (*SERVED, "accounts", "segment_profiles")
    monkeypatch.setenv("KLAVIYO_SOURCES", ",".join(("core", *names)))
    assert world.run(*names).success
    for name in SERVED:
        source = SOURCES[name]
        rows = world.truth(source.path.removeprefix("/api/"))
        assert world.column(f"SELECT id FROM klaviyo.{name} ORDER BY id") == sorted(row["id"] for row in rows) != []
        if any(column.name == "name" for column in source.columns):
            assert world.sql(f"SELECT id, name FROM klaviyo.{name} ORDER BY id") == sorted(
                (row["id"], row["name"]) for row in rows
            )
    members = sorted((row["segment_id"], row["profile_id"]) for row in world.truth("segment-members"))
    assert world.sql("SELECT segment_id, profile_id FROM klaviyo.segment_profiles ORDER BY ALL") == members != []
    assert set(world.column("SELECT DISTINCT archived FROM klaviyo.flows")) == {True, False}
    assert world.sql("SELECT count(*), count(timezone) FROM klaviyo.accounts") == [(1, 1)]
    assert world.sql(
        "SELECT count(*) FROM klaviyo.tags WHERE tag_group_id NOT IN (SELECT id FROM klaviyo.tag_groups)"
    ) == [(0,)]
    for name in names:
        assert all(each is None for each in world.column(f"SELECT _extra FROM klaviyo.{name}")), name


def test_every_collection_of_the_catalogue_is_loaded_twice_with_the_same_tables(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_SOURCES", "all")
    names = [name for name, source in SOURCES.items() if source.report is None]
    assert world.run(*names, days=(FIRST_DAY, LAST_DAY)).success
    first = world.state()
    assert {f"klaviyo.{name}" for name in names} == set(first)
    assert [name for name, rows in first.items() if not rows] == []

    assert world.run(*names, days=(FIRST_DAY, LAST_DAY)).success
    second = world.state()
    for name in names:
        rows, again = first[f"klaviyo.{name}"], second[f"klaviyo.{name}"]
        assert set(rows) <= set(again), name
        assert rows == again or SOURCES[name].observed_at, name
