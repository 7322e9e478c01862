"""List members beside Klaviyo's counts: whose cells a repair marks, and which lists a day's quota is spent on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from click.testing import CliRunner

from klaviyo_pipeline.cli import main
from klaviyo_pipeline_tests.incremental.support import Project
from klaviyo_pipeline_tests.orchestration.conftest import World

MARKS = "SELECT list_id, profile_id, _deleted_at IS NOT NULL FROM klaviyo.list_profiles ORDER BY ALL"
FIRST = datetime(2026, 11, 20, 23, 59, tzinfo=UTC)


def test_reconcile_when_a_list_is_deleted_then_repair_marks_its_members_and_nobody_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_sandbox")
    monkeypatch.setenv("KLAVIYO_BASE_URL", world.sandbox.url)
    monkeypatch.setenv("KLAVIYO_DUCKDB_PATH", str(world.path))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    assert world.run("list_profiles").success
    before = world.sql(MARKS)
    deleted = before[0][0]
    world.sandbox.store.delete("lists", deleted)

    found = CliRunner().invoke(main, ["reconcile", "--members"])
    assert found.exit_code == 1
    assert deleted in found.output
    assert world.sql(MARKS) == before
    repaired = CliRunner().invoke(main, ["reconcile", "--members", "--repair"])

    assert repaired.exit_code == 0, repaired.output
    assert world.sql(MARKS) == [(list_id, profile, list_id == deleted) for list_id, profile, _marked in before]
    assert {list_id for list_id, _profile, _marked in before} > {deleted}


def lists_asked_for(world: World, project: Project, *, most: int, now: datetime) -> list[str]:
    """The lists whose members a run at this time counts: they differ, since none has landed."""
    found = project.members_compared(world.ids("lists"), most=most, now=now)
    return [each.list_id for each in found]


@pytest.mark.parametrize(("lists", "most"), [(4, 1), (4, 3), (32, 15), (45, 15), (31, 15), (16, 15)])
def test_lists_when_more_than_the_quota_then_each_day_counts_others_than_yesterday_and_none_is_left_out(
    world: World, lists: int, most: int
) -> None:
    rows = [{"id": f"LIST{number:02d}", "name": f"List {number}"} for number in range(lists)]
    for each in world.ids("lists"):
        world.sandbox.store.delete("lists", each)
    world.sandbox.store.put("lists", rows)
    people = dict.fromkeys(world.ids("profiles")[:1], "2026-11-20T11:00:00+00:00")
    for row in rows:
        world.sandbox.store.add_members(row["id"], people)
    project = Project(world)
    assert world.run("metrics").success

    days = [
        lists_asked_for(world, project, most=most, now=FIRST + timedelta(days=day)) for day in range(-(-lists // most))
    ]

    assert [len(set(each)) for each in days] == [most] * len(days)
    assert {each for day in days for each in day} == {row["id"] for row in rows}
    for yesterday, today in pairwise(days):
        assert len(set(today) - set(yesterday)) == min(most, lists - most)


def test_lists_when_asked_again_on_the_same_day_then_are_the_same(world: World) -> None:
    project = Project(world)
    assert world.run("list_profiles").success
    world.sandbox.store.put("profiles", [{"id": "NEWCOMER"}])
    for each in world.ids("lists"):
        world.sandbox.store.add_members(each, {"NEWCOMER": "2026-11-20T11:00:00+00:00"})

    morning, evening = (project.members_compared(most=2, now=FIRST.replace(hour=hour)) for hour in (0, 23))

    assert morning == evening
    assert len(morning) == 2
