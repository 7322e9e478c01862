"""Counts of lists and segments are a history; predictions and members of segments follow what Klaviyo has."""

from __future__ import annotations

from datetime import timedelta

import pytest

from klaviyo_pipeline import clock
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.sandbox.api.consent import predictive_analytics
from klaviyo_pipeline_tests.orchestration.conftest import World, failure_text, world

__all__ = ["world"]

COUNTS = ("list_counts", "segment_counts")


@pytest.fixture(autouse=True)
def chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_SOURCES", "core, segment*, list_counts, profile_*, flow_*, form_*, campaign_*")


def counted(world: World, collection: str, column: str) -> dict[str, int]:
    """How many members the sandbox has of each list or segment."""
    members = [row[column] for row in world.truth("members" if collection == "lists" else "segment-members")]
    return {group: members.count(group) for group in world.ids(collection)}


def test_counts_of_lists_and_segments_are_a_history_that_each_load_adds_to(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now().replace(microsecond=0)
    monkeypatch.setattr(clock, "now", lambda: now)
    assert world.run(*COUNTS).success
    for name, parent, column in (("list_counts", "lists", "list_id"), ("segment_counts", "segments", "segment_id")):
        rows = world.sql(f"SELECT {column}, profile_count FROM klaviyo.{name} ORDER BY 1")
        assert dict(rows) == counted(world, parent, column)
        assert world.sql(f"SELECT DISTINCT observed_at, id = {column} || ':' || strftime(timezone('UTC', observed_at), "
                         f"'%Y-%m-%dT%H:%M:%S+00:00') FROM klaviyo.{name}") == [(now, True)]  # fmt: skip
        assert all(each is None for each in world.column(f"SELECT _extra FROM klaviyo.{name}"))
    first = world.state()
    assert world.run(*COUNTS).success
    assert world.state() == first, "the same moment"

    (some_list, profile), *_rest = [(row["list_id"], row["profile_id"]) for row in world.truth("members")]
    world.sandbox.store.remove_member(some_list, profile)
    now += timedelta(days=1)
    assert world.run(*COUNTS).success
    assert set(first["klaviyo.list_counts"]) < set(world.state()["klaviyo.list_counts"])
    history = world.column(f"SELECT profile_count FROM klaviyo.list_counts WHERE list_id = '{some_list}' ORDER BY id")
    assert history[0] - history[1] == 1
    assert world.column("SELECT count(DISTINCT observed_at) FROM klaviyo.segment_counts") == [2]

    refused = world.run("list_counts", config={"write_mode": "replace"})
    assert "would clear it: use merge or append" in failure_text(refused)


def test_predictions_are_those_of_the_sandbox_and_a_second_load_reads_what_changed_only(world: World) -> None:
    assert world.run("profile_predictions").success
    truth = {row.id: predictive_analytics(row, "2026-07-15") for row in world.sandbox.store.profiles}
    names = [each.name for each in SOURCES["profile_predictions"].columns if each.path and each.path[0] == "attributes"]
    numbers = [each for each in names if each not in {"created", "updated", "expected_date_of_next_order"}]
    shown = ", ".join(["id", *numbers[:-1], f"CAST({numbers[-1]} AS VARCHAR[])"])
    rows = world.sql(f"SELECT {shown} FROM klaviyo.profile_predictions ORDER BY id")
    assert rows == [(id_, *(truth[id_][name] for name in numbers)) for id_ in sorted(truth)]
    assert any(row[1] is not None for row in rows)
    assert all(each is None for each in world.column("SELECT _extra FROM klaviyo.profile_predictions"))

    before = world.state()
    assert world.run("profile_predictions").success
    assert world.state() == before
    assert world.column("SELECT rows_fetched FROM klaviyo_pipeline.ledger ORDER BY entry") == [len(truth), 0]


def test_segment_that_loses_members_loses_their_rows_with_the_next_whole_read(world: World) -> None:
    assert world.run("segment_profiles").success
    members = [(row["segment_id"], row["profile_id"]) for row in world.truth("segment-members")]
    segment = members[0][0]
    left = sorted(profile for group, profile in members if group == segment)[:3]
    for profile in left:
        world.sandbox.store.remove_member(segment, profile, "segments")
    assert world.run("segment_profiles").success
    gone = "SELECT profile_id FROM klaviyo.segment_profiles WHERE _deleted_at IS NOT NULL ORDER BY 1"
    assert world.column(gone) == left
    here = "SELECT segment_id, profile_id FROM klaviyo.segment_profiles WHERE _deleted_at IS NULL ORDER BY ALL"
    assert world.sql(here) == sorted(each for each in members if each[0] != segment or each[1] not in left)

    # A segment that is deleted takes its members along.
    other = next(group for group, _profile in members if group != segment)
    world.sandbox.store.delete("segments", other)
    assert world.run("segment_profiles").success
    assert other not in {row[0] for row in world.sql(here)}


def test_definitions_are_read_flow_by_flow_and_estimates_where_klaviyo_has_one(world: World) -> None:
    estimates = world.truth("campaign-recipient-estimations")
    assert 0 < len(estimates) < len(world.ids("campaigns"))
    undecided = [row for row in world.truth("campaigns") if row["status"] not in ("Sent", "Cancelled")]
    assert world.run("flow_definitions", "form_definitions", "campaign_recipient_estimates").success

    for name, collection in (("flow_definitions", "flows"), ("form_definitions", "forms")):
        rows = world.sql(f"SELECT id, json_type(definition) FROM klaviyo.{name} ORDER BY id")
        assert rows == [(each, "OBJECT") for each in world.ids(collection)] != []
    found = world.sql("SELECT campaign_id, estimated_recipient_count FROM klaviyo.campaign_recipient_estimates")
    assert sorted(found) == sorted((row["id"], row["estimated_recipient_count"]) for row in estimates)
    asked = world.sandbox.counts()["endpoints"]["get_campaign_recipient_estimation"]
    assert sum(asked.values()) == len(undecided), "none for what is sent already"
