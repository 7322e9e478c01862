"""Tables of what stands in the rows of another data source: made by the same requests, in the same transaction."""

from __future__ import annotations

from typing import Any

import dagster as dg
import duckdb
import pytest

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


def test_parent_that_is_unchanged_changes_no_child_and_one_that_lost_a_child_loses_the_row(world: World) -> None:
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
