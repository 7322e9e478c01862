"""The sensor that notices new metrics."""

from __future__ import annotations

from typing import Any

import dagster as dg

from klaviyo_pipeline import clock
from klaviyo_pipeline.orchestration.automation.new_metrics import SENSOR
from klaviyo_pipeline_tests.incremental.support import Project
from klaviyo_pipeline_tests.orchestration.conftest import World
from klaviyo_pipeline_tests.orchestration.test_automation import Ticking


def look(ticking: Ticking, cursor: str | None, **given: Any) -> Any:
    sensor = ticking.repository.get_sensor_def(SENSOR)
    resources = {"klaviyo": ticking.project.klaviyo, "duckdb": ticking.project.duckdb, **given}
    return sensor.evaluate_tick(dg.build_sensor_context(cursor=cursor, resources=resources))


def test_new_metric_then_metrics_and_the_latest_events_are_loaded(world: World) -> None:
    ticking = Ticking(world, dg.DagsterInstance.ephemeral())
    first = look(ticking, None)
    assert len(first.run_requests) == 1
    world.sandbox.reset_counts()
    assert look(ticking, first.cursor).run_requests == []
    assert world.sandbox.counts()["total"] == 1
    world.sandbox.store.put("metrics", [{"id": "NewOne", "name": "Joined Loyalty Program"}])
    now = clock.now().replace(microsecond=0).isoformat()
    profile = world.ids("profiles")[0]
    world.sandbox.store.put("events", [{"id": "loyal1", "datetime": now, "metric_id": "NewOne", "profile_id": profile}])

    found = look(ticking, first.cursor)

    (request,) = found.run_requests
    assert request.tags["klaviyo/new_metrics"] == "1"
    assert ticking.run("klaviyo_new_metrics", request).success
    assert world.column("SELECT name FROM klaviyo.metrics WHERE id = 'NewOne'") == ["Joined Loyalty Program"]
    assert world.column("SELECT event_id FROM klaviyo.event_metrics WHERE metric_id = 'NewOne'") == ["loyal1"]
    assert look(ticking, found.cursor).run_requests == []


def test_the_first_look_compares_with_the_metrics_that_have_landed(world: World) -> None:
    ticking = Ticking(world, dg.DagsterInstance.ephemeral())
    (first,) = look(ticking, None).run_requests
    assert ticking.run("klaviyo_new_metrics", first).success
    world.sandbox.store.put("metrics", [{"id": "Another", "name": "Ran a marathon"}])

    found = look(ticking, None)

    (request,) = found.run_requests
    assert request.tags["klaviyo/new_metrics"] == "1"


def test_klaviyo_that_can_not_be_asked_then_says_so_and_remembers_what_it_knew(world: World) -> None:
    ticking = Ticking(world, dg.DagsterInstance.ephemeral())
    cursor = look(ticking, None).cursor
    refused = Project(world).klaviyo.with_settings(api_key="pk_events_only")

    found = look(ticking, cursor, klaviyo=refused)

    assert found.run_requests == []
    assert "Klaviyo did not answer:" in found.skip_message
    assert "metrics:read" in found.skip_message
    assert "pk_events_only" not in found.skip_message
    assert found.cursor == cursor
