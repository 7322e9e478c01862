"""Tables of what stands in the rows of another data source: made by the same requests, in the same transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import dagster as dg
import duckdb
import pytest

from klaviyo_pipeline.orchestration.skipping import skipped_in
from klaviyo_pipeline.warehouse import deciding
from klaviyo_pipeline_tests.orchestration.conftest import World, failure_text, world

__all__ = ["world"]

DAYS = ("2026-11-13", "2026-11-20")
SHOWN = "event_id, attribution_id, attributed_event_id, campaign_id, campaign_message_id, flow_id, flow_message_id"


@pytest.fixture(autouse=True)
def chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_SOURCES", "core, event_attributions")


def attributions(world: World) -> list[tuple[Any, ...]]:
    return world.sql(f"SELECT {SHOWN} FROM klaviyo.event_attributions WHERE _deleted_at IS NULL ORDER BY ALL")


def true_attributions(world: World) -> list[tuple[Any, ...]]:
    def row(event_id: str, each: Any) -> tuple[Any, ...]:
        return (event_id, each.id, *each[1:])

    rows = [row(event.id, each) for event in world.sandbox.store.events for each in event.attributions]
    return sorted(rows, key=lambda row: [(each is None, each or "") for each in row])


def materialized(result: dg.ExecuteInProcessResult) -> dict[str, set[str | None]]:
    """The partitions that a run materialized, by asset."""
    found: dict[str, set[str | None]] = {}
    for event in result.get_asset_materialization_events():
        assert event.asset_key is not None
        found.setdefault(event.asset_key.path[-1], set()).add(event.partition)
    return found


def test_profile_with_three_attributions_on_one_event_has_three_rows_and_no_request_is_made_for_them(
    world: World,
) -> None:
    event = next(row for row in world.sandbox.store.events if len(row.attributions) == 3)
    assert world.run("events", "event_attributions").success
    assert attributions(world) == true_attributions(world) != []
    mine = f"FROM klaviyo.event_attributions WHERE event_id = '{event.id}'"
    assert world.column(f"SELECT attribution_id {mine} ORDER BY 1") == sorted(each.id for each in event.attributions)
    first = world.sql(f"SELECT attributed_event_id, campaign_id FROM klaviyo.events WHERE id = '{event.id}'")
    assert first == [(event.attributions[0].attributed_event_id, event.attributions[0].campaign_id)]
    assert "attributions" not in world.column("SELECT column_name FROM duckdb_columns() WHERE table_name = 'events'")
    lines = world.sql("SELECT source, requests, window_end FROM klaviyo_pipeline.ledger ORDER BY source DESC")
    assert [line[0] for line in lines] == ["events", "event_attributions"]
    assert (lines[0][1] > 0, lines[1][1]) == (True, None)
    assert lines[0][2] == lines[1][2]


@pytest.mark.parametrize("small_table_rows", [deciding.SMALL_TABLE_ROWS, 0])
def test_parent_that_is_unchanged_changes_no_child_and_one_that_lost_a_child_loses_the_row(
    world: World, monkeypatch: pytest.MonkeyPatch, small_table_rows: int
) -> None:
    monkeypatch.setattr(deciding, "SMALL_TABLE_ROWS", small_table_rows)
    assert world.run("events", "event_attributions", days=DAYS).success
    before = world.state()
    assert world.run("events", "event_attributions", days=DAYS).success
    assert world.state() == before

    store = world.sandbox.store
    event = next(row for row in store.events if len(row.attributions) == 3)
    store.events.put([event._replace(also=event.also[:1])])
    assert world.run("events", "event_attributions", days=DAYS).success
    gone = world.sql("SELECT event_id, attribution_id FROM klaviyo.event_attributions WHERE _deleted_at IS NOT NULL")
    assert gone == [(event.id, event.also[1].id)]
    assert attributions(world) == true_attributions(world)

    store.events.put([event])
    assert world.run("events", "event_attributions", days=DAYS).success
    assert attributions(world) == true_attributions(world)
    assert world.column("SELECT count(*) FROM klaviyo.event_attributions WHERE _deleted_at IS NOT NULL") == [0]


@pytest.mark.parametrize("selected", [("events",), ("event_attributions",)])
def test_whichever_asset_is_selected_both_tables_are_loaded_and_both_are_materialized(
    world: World, selected: tuple[str, ...]
) -> None:
    result = world.run(*selected, days=("2026-11-18", "2026-11-20"))
    days = {"2026-11-18", "2026-11-19", "2026-11-20"}
    assert materialized(result) == {"events": days, "event_attributions": days}
    assert world.column("SELECT DISTINCT CAST(datetime AS DATE)::VARCHAR FROM klaviyo.events ORDER BY 1") == sorted(
        days
    )
    loaded = {row["id"] for row in world.truth("events", "2026-11-18T00:00:00Z", "2026-11-21T00:00:00Z")}
    assert attributions(world) == [row for row in true_attributions(world) if row[0] in loaded] != []


def test_replaced_partition_has_the_attributions_of_its_events_only(world: World) -> None:
    assert world.run("events", days=DAYS).success
    store = world.sandbox.store
    event = next(row for row in store.events if len(row.attributions) == 2)
    store.delete("events", event.id)
    assert world.run("events", days=DAYS, config={"write_mode": "replace"}).success
    assert world.column("SELECT count(*) FROM klaviyo.events") == [len(world.truth("events", DAYS[0], "2026-11-21"))]
    assert event.id not in {row[0] for row in attributions(world)}


def test_run_without_the_option_leaves_the_child_table_alone(world: World) -> None:
    assert world.run("events").success
    before = attributions(world)
    result = world.run("events", config={"attributions": False})
    assert set(materialized(result)) == {"events"}
    assert attributions(world) == before


def test_failed_landing_changes_neither_table(world: World) -> None:
    assert world.run("events", days=DAYS).success
    before = world.state()
    store = world.sandbox.store
    event = next(row for row in store.events if len(row.attributions) == 3)
    store.events.put([event._replace(attribution=None)])
    with duckdb.connect(str(world.path)) as connection:
        connection.execute("ALTER TABLE klaviyo.event_attributions RENAME event_datetime TO other")
        connection.execute("ALTER TABLE klaviyo.event_attributions ADD event_datetime BOOLEAN")
    result = world.run("events", days=DAYS)
    assert "event_datetime" in failure_text(result)
    assert world.state()["klaviyo.events"] == before["klaviyo.events"]


def test_child_chosen_without_its_parent_is_loaded_by_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_SOURCES", "event_attributions")
    assert world.run("event_attributions").success
    assert attributions(world) == true_attributions(world) != []
    assert "klaviyo.events" not in world.state()
    before = world.state()
    assert world.run("event_attributions").success
    assert world.state() == before


def pairs(world: World, table: str, *columns: str) -> list[tuple[Any, ...]]:
    return world.sql(f"SELECT {', '.join(columns)} FROM klaviyo.{table} WHERE _deleted_at IS NULL ORDER BY ALL")


def test_messages_audiences_and_tags_of_campaigns_are_the_sandboxs_and_a_tag_that_is_removed_is_gone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    children = ("campaign_messages", "campaign_audiences", "campaign_tags")
    monkeypatch.setenv("KLAVIYO_SOURCES", ",".join(("core", *children)))
    assert world.run("campaigns").success
    campaigns = list(world.sandbox.store.campaigns)
    messages = sorted((row.id, message.id) for row in campaigns for message in row.messages)
    assert pairs(world, "campaign_messages", "campaign_id", "id") == messages != []
    audiences = sorted(
        (row.id, side, group)
        for row in campaigns
        for side, groups in (("included", row.included), ("excluded", row.excluded))
        for group in groups
    )
    assert pairs(world, "campaign_audiences", "campaign_id", "side", "group_id") == audiences != []
    tags = sorted((row.id, tag) for row in campaigns for tag in row.tag_ids)
    assert pairs(world, "campaign_tags", "campaign_id", "tag_id") == tags != []
    assert all(each is None for child in children for each in world.column(f"SELECT _extra FROM klaviyo.{child}"))

    before = world.state()
    assert world.run("campaigns").success, "a read of no rows"
    assert world.state() == before
    tagged = next(row for row in campaigns if row.tag_ids)
    world.sandbox.store.campaigns.put([replace(tagged, tag_ids=())])
    assert world.run("campaigns", config={"incremental": False}).success
    assert pairs(world, "campaign_tags", "campaign_id", "tag_id") == [each for each in tags if each[0] != tagged.id]


def test_actions_messages_and_tags_of_flows_come_with_fifty_flows_a_request_and_an_archived_flow_keeps_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_SOURCES", "core, flows, segments, flow_*, segment_tags, list_tags")
    assert world.run("flows", "segments", "lists").success
    requests = dict(world.sql("SELECT source, requests FROM klaviyo_pipeline.ledger"))
    assert (requests["flows"], requests["flow_actions"]) == (2, None)
    flows = world.truth("flows")
    actions = pairs(world, "flow_actions", "flow_id", "id", "action_type")
    assert {each[0] for each in actions} == {row["id"] for row in flows}
    sent = pairs(world, "flow_messages", "flow_id", "flow_action_id", "action_type")
    assert sent == [each for each in actions if each[2].startswith("send-")] != []
    named = world.column("SELECT id FROM klaviyo.flow_messages WHERE name IS NOT NULL AND subject_line IS NOT NULL")
    assert len(named) == len(sent)
    for child in ("flow_tags", "segment_tags", "list_tags"):
        assert pairs(world, child, "id") != [], child
    for child in ("flow_actions", "flow_messages", "flow_tags", "segment_tags", "list_tags"):
        assert all(each is None for each in world.column(f"SELECT _extra FROM klaviyo.{child}")), child

    live = next(row["id"] for row in flows if not row["archived"])
    world.sandbox.store.put("flows", [{"id": live, "archived": True}])
    assert world.run("flows", config={"incremental": False}).success
    assert world.sql(f"SELECT archived, _deleted_at FROM klaviyo.flows WHERE id = '{live}'") == [(True, None)]
    assert pairs(world, "flow_actions", "flow_id", "id", "action_type") == actions

    assert world.run("flows", config={"incremental": False}, klaviyo={"revision": "2025-01-15"}).success
    older = pairs(world, "flow_actions", "flow_id", "id", "action_type")
    assert older == [(*ids, kind.replace("-", "_").upper()) for *ids, kind in actions]
    assert pairs(world, "flow_messages", "flow_id", "flow_action_id", "action_type") == sent, "not in older answers"
    monkeypatch.setenv("KLAVIYO_SOURCES", "core, flow_messages")
    alone = world.run("flow_messages", klaviyo={"revision": "2025-01-15"})
    assert "Flow messages: Klaviyo has them from revision 2025-10-15 on" in skipped_in(alone)["flow_messages"]


def test_consents_have_a_row_for_each_channel_and_kind_of_each_profile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_SOURCES", "core, consents")
    assert world.run("profiles").success
    kinds = world.sql("SELECT channel, kind, count(*) FROM klaviyo.consents GROUP BY ALL ORDER BY ALL")
    people = world.column("SELECT count(*) FROM klaviyo.profiles")[0]
    always = [row for row in kinds if row[0] != "whatsapp"]
    assert [row[:2] for row in always] == [
        *(("email", kind) for kind in ("click_tracking", "marketing", "open_tracking")),
        ("mobile_push", "marketing"),
        *(("sms", kind) for kind in ("marketing", "transactional")),
    ]
    assert {row[2] for row in always} == {people}
    agreed = {row.id for row in world.sandbox.store.profiles if row.consent.sms_at is not None}
    found = world.column(
        "SELECT profile_id FROM klaviyo.consents WHERE channel = 'sms' AND kind = 'marketing' "
        "AND consent = 'SUBSCRIBED' AND can_receive AND consent_timestamp IS NOT NULL"
    )
    assert set(found) == agreed != set()
    assert all(each is None for each in world.column("SELECT _extra FROM klaviyo.consents"))


def test_conversations_of_profiles_come_with_the_pages_of_profiles(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_SOURCES", "core, conversations")
    assert world.run("profiles").success
    texted = sorted((row["related"]["profile"][0], row["channel"]) for row in world.truth("conversations"))
    assert pairs(world, "conversations", "profile_id", "channel") == texted != []
    assert all(each is None for each in world.column("SELECT _extra FROM klaviyo.conversations"))
    assert "conversations" not in world.column("SELECT column_name FROM duckdb_columns() WHERE table_name = 'profiles'")

    assert world.run("profiles", klaviyo={"revision": "2025-10-15"}).success, "older revisions cannot include them"
    assert pairs(world, "conversations", "profile_id", "channel") == texted, "their answers do not say that any is gone"


def test_flows_that_metrics_lists_and_segments_start_come_with_their_pages(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_SOURCES", "core, segments, *_flow_triggers")
    assert world.run("metrics", "lists", "segments").success
    flows = world.truth("flows")
    for noun in ("metric", "list", "segment"):
        started = sorted((each, row["id"]) for row in flows for each in row["related"].get(f"trigger-{noun}s", []))
        assert pairs(world, f"{noun}_flow_triggers", f"{noun}_id", "flow_id") == started, noun
    assert pairs(world, "metric_flow_triggers", "id") != []
