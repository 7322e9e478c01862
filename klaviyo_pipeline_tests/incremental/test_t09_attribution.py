"""T9, attribution is lost: it appears hours after the event, and a later run updates the row that is there."""

from __future__ import annotations

from typing import Any

from klaviyo_pipeline_tests.clocks import ago
from klaviyo_pipeline_tests.incremental.support import loads
from klaviyo_pipeline_tests.orchestration.conftest import World

COLUMNS = "attributed_event_id, campaign_id, campaign_message_id, flow_id, flow_message_id"


def _recent_attributed(world: World) -> Any:
    """An attributed event, moved to three hours ago."""
    store = world.sandbox.store
    event = next(row for row in store.events if row.attribution and row.attribution.campaign_id)
    store.put("events", [{"id": event.id, "datetime": ago(hours=3)}])
    return store.events.get(event.id)


def test_t9_attribution_that_appears_three_hours_later_updates_the_row(world: World) -> None:
    event = _recent_attributed(world)
    world.sandbox.store.events.put([event._replace(attribution=None)])
    assert world.run("events").success
    row = f"SELECT {COLUMNS} FROM klaviyo.events WHERE id = '{event.id}'"
    assert world.sql(row) == [(None,) * 5]
    world.sandbox.store.events.put([event])

    assert world.run("events").success

    given = event.attribution
    assert world.sql(row) == [
        (
            given.attributed_event_id,
            given.campaign_id,
            given.campaign_message_id,
            given.flow_id,
            given.flow_message_id,
        )
    ]
    second = loads(world, "events")[1]
    assert (second["inserted"], second["updated"]) == (0, 1)


def test_t9_attribution_that_is_taken_back_is_taken_back_here(world: World) -> None:
    event = _recent_attributed(world)
    assert world.run("events").success
    world.sandbox.store.events.put([event._replace(attribution=None)])

    assert world.run("events").success

    assert world.sql(f"SELECT {COLUMNS} FROM klaviyo.events WHERE id = '{event.id}'") == [(None,) * 5]


def test_t9_every_event_keeps_its_profile_and_metric(world: World) -> None:
    assert world.run("events").success

    expected = {(row["id"], row["metric_id"], row["profile_id"]) for row in world.truth("events")}
    assert set(world.sql("SELECT id, metric_id, profile_id FROM klaviyo.events")) == expected


def test_t9_events_changed_properties_update_the_row(world: World) -> None:
    event = _recent_attributed(world)
    assert world.run("events").success
    world.sandbox.store.put("events", [{"id": event.id, "event_properties": {"$value": 12.5, "note": "refunded"}}])

    assert world.run("events").success

    found = world.sql(f"SELECT event_properties->>'note' FROM klaviyo.events WHERE id = '{event.id}'")
    assert found == [("refunded",)]
