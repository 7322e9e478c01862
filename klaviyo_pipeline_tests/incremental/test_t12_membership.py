"""T12, list membership: who left is found by a full read, or where Klaviyo's count of members differs from ours."""

from __future__ import annotations

import pytest

from klaviyo_pipeline.loads.reconciliation import MemberDifference
from klaviyo_pipeline.orchestration.automation.repair import repair_members
from klaviyo_pipeline_tests.incremental.support import QUIET, Project
from klaviyo_pipeline_tests.orchestration.conftest import World

LIVE = "SELECT list_id, profile_id FROM klaviyo.list_profiles WHERE _deleted_at IS NULL"


def _members(world: World) -> set[tuple[str, str]]:
    return {(row["list_id"], row["profile_id"]) for row in world.truth("members")}


def _largest(world: World) -> str:
    ids = [row["list_id"] for row in world.truth("members")]
    return max(set(ids), key=ids.count)


def _leave(world: World, list_id: str) -> str:
    leaver = next(row["profile_id"] for row in world.truth("members") if row["list_id"] == list_id)
    assert world.sandbox.store.remove_member(list_id, leaver)
    return leaver


def test_t12_who_left_is_marked_by_a_full_read_and_comes_back_on_joining_again(world: World) -> None:
    assert world.run("list_profiles").success
    list_id = _largest(world)
    leaver = _leave(world, list_id)

    assert world.run("list_profiles").success

    assert set(world.sql(LIVE)) == _members(world)
    gone = "SELECT list_id, profile_id FROM klaviyo.list_profiles WHERE _deleted_at IS NOT NULL"
    assert world.sql(gone) == [(list_id, leaver)]
    world.sandbox.store.add_members(list_id, {leaver: "2026-11-20T11:00:00+00:00"})
    assert world.run("list_profiles").success
    assert world.sql(gone) == []
    assert set(world.sql(LIVE)) == _members(world)


def test_t12_full_read_of_some_lists_marks_who_left_these_only(world: World) -> None:
    assert world.run("list_profiles").success
    list_id = _largest(world)
    other = next(row["list_id"] for row in world.truth("members") if row["list_id"] != list_id)
    leaver, unseen = _leave(world, list_id), _leave(world, other)

    assert world.run("list_profiles", config={"list_ids": [list_id]}).success

    live = set(world.sql(LIVE))
    assert (list_id, leaver) not in live
    assert (other, unseen) in live


def test_t12_incremental_read_does_not_mark_those_it_did_not_ask_for(world: World) -> None:
    assert world.run("list_profiles").success
    before = set(world.sql(LIVE))

    assert world.run("list_profiles", config={"incremental": True}).success

    assert set(world.sql(LIVE)) == before


def test_t12_deleted_list_then_its_members_are_marked(world: World) -> None:
    assert world.run("list_profiles").success
    list_id = _largest(world)
    world.sandbox.store.delete("lists", list_id)

    assert world.run("list_profiles").success

    assert set(world.sql(LIVE)) == _members(world)
    assert list_id not in {row[0] for row in world.sql(LIVE)}


def test_t12_counts_that_differ_name_the_lists_and_only_these_are_read_again(world: World) -> None:
    project = Project(world)
    assert world.run("list_profiles").success
    assert project.members_compared() == ()
    list_id = _largest(world)
    _leave(world, list_id)

    found = project.members_compared()

    ours = len([row for row in world.sql(LIVE) if row[0] == list_id])
    assert found == (MemberDifference(list_id, ours, ours - 1),)
    world.sandbox.reset_counts()
    result = repair_members(project.job, found, instance=project.instance, run_config=QUIET)
    assert result is not None
    assert result.success
    assert world.sandbox.counts()["endpoints"]["get_profiles_for_list"] == {"200": 1}
    assert set(world.sql(LIVE)) == _members(world)
    assert project.members_compared() == ()
    assert repair_members(project.job, ()) is None


def test_t12_list_that_is_gone_differs_and_is_repaired_by_a_full_read(world: World) -> None:
    project = Project(world)
    assert world.run("list_profiles").success
    world.sandbox.store.delete("lists", _largest(world))

    (found,) = project.members_compared()

    assert found.klaviyos is None
    assert "the list is gone" in str(found)
    repair_members(project.job, (found,), instance=project.instance, run_config=QUIET)
    assert project.members_compared() == ()


def test_t12_check_names_the_list(world: World) -> None:
    project = Project(world)
    assert world.run("list_profiles").success
    assert project.compare()["list_profiles"].passed
    list_id = _largest(world)
    _leave(world, list_id)

    found = project.compare()["list_profiles"]

    assert not found.passed
    assert found.metadata["differing_lists"].value == [list_id]
    assert f"list {list_id}:" in found.description


@pytest.mark.parametrize("most", [1, 2])
def test_t12_lists_beyond_the_quota_take_turns(world: World, most: int) -> None:
    project = Project(world)
    assert world.run("list_profiles").success
    world.sandbox.reset_counts()

    project.members_compared(most=most)

    assert world.sandbox.counts()["endpoints"]["get_list"] == {"200": most}
