"""T14, types and schema: odd values fail no load and lose nothing, in a run from Klaviyo to the table."""

from __future__ import annotations

import json
import logging
from itertools import product

import dagster as dg
import pytest

from klaviyo_pipeline.orchestration.assets import metadata
from klaviyo_pipeline_tests.breadth import broad
from klaviyo_pipeline_tests.hostile.rewriting import rewrite
from klaviyo_pipeline_tests.incremental.support import EVERYTHING, Project
from klaviyo_pipeline_tests.orchestration.conftest import World


def test_t14_region_and_zip_as_numbers_fail_no_load_and_are_kept(world: World) -> None:
    location = {"region": 5, "zip": 2100, "latitude": "55.67", "longitude": 12}
    world.sandbox.store.put("profiles", [{"id": "odd00001", "email": "odd@example.com", "location": location}])

    assert world.run("profiles", config={"start_time": "2024-01-01"}).success

    ((region, zip_, latitude, longitude, extra),) = world.sql(
        "SELECT location_region, location_zip, location_latitude, location_longitude, _extra::VARCHAR "
        "FROM klaviyo.profiles WHERE id = 'odd00001'"
    )
    kept = json.loads(extra or "{}").get("location", {})
    assert (region or str(kept.get("region")), zip_ or str(kept.get("zip"))) == ("5", "2100")
    assert (latitude, longitude) == (55.67, 12.0)


def test_t14_properties_that_differ_only_in_case_and_huge_numbers_stay_as_they_came(world: World) -> None:
    properties = {"Size": "M", "size": "m", "SIZE": 3, "id": 2**70, "price": "4.0", "nested": {"A": 1, "a": 2}}
    event = world.ids("events")[0]
    world.sandbox.store.put("events", [{"id": event, "event_properties": properties}])

    assert world.run("events").success

    (text,) = world.column(f"SELECT event_properties::VARCHAR FROM klaviyo.events WHERE id = '{event}'")
    assert json.loads(text) == properties


def test_t14_metric_category_as_an_object_is_named(world: World) -> None:
    metric = world.ids("metrics")[0]
    integration = {"object": "integration", "id": "1", "name": "Shop", "category": {"id": "9", "name": "eCommerce"}}
    world.sandbox.store.put("metrics", [{"id": metric, "integration": integration}])

    assert world.run("metrics").success

    found = world.sql(f"SELECT integration_name, integration_category FROM klaviyo.metrics WHERE id = '{metric}'")
    assert found == [("Shop", "eCommerce")]


def test_t14_event_of_a_deleted_profile_keeps_a_null_profile(world: World) -> None:
    event = next(row for row in world.truth("events") if row["profile_id"])
    world.sandbox.store.delete("profiles", event["profile_id"])

    assert world.run(
        "events", "event_profiles", **{**EVERYTHING, "config": None, "days": event["datetime"][:10]}
    ).success

    assert world.sql(f"SELECT profile_id FROM klaviyo.events WHERE id = '{event['id']}'") == [(None,)]


IMPOSSIBLE = [
    "0001-01-01T00:00:00+01:00",
    "0000-01-01T00:00:00+00:00",
    "9999-12-31T23:59:59-12:00",
    "2026-06-30T23:59:60Z",
]


def metadata_of(result: dg.ExecuteInProcessResult, source: str) -> dict[str, object]:
    (event,) = result.asset_materializations_for_node(f"klaviyo__{source}")
    return {name: value.value for name, value in event.metadata.items()}


@pytest.mark.parametrize(("field", "mode"), broad(product(("last_event_date", "updated"), ("merge", "append"))))
def test_t14_time_that_can_not_be_is_null_and_kept_and_every_run_succeeds(world: World, field: str, mode: str) -> None:
    ids = world.ids("profiles")
    odd = dict(zip(ids[:: len(ids) // 4], IMPOSSIBLE, strict=False))
    rewrite(world.sandbox, {id_: {field: f'"{time}"'} for id_, time in odd.items()})

    runs = [world.run("profiles", config={"start_time": "2024-01-01", "write_mode": mode}) for _ in range(2)]

    for result in runs:
        assert result.success
        found = metadata_of(result, "profiles")
        assert found["type_misfits_by_column"] == {field: 4}
        assert found["first_rows"]
    rows = world.sql(f"SELECT id, {field}, _extra->>'{field}' FROM klaviyo.profiles WHERE _extra IS NOT NULL")
    assert sorted(rows) == sorted((id_, None, time) for id_, time in odd.items() for _ in range(1 + (mode == "append")))
    assert sorted(set(world.column("SELECT id FROM klaviyo.profiles"))) == ids


@pytest.mark.parametrize("report", ["load_metadata", "preview"])
def test_t14_report_that_fails_after_the_commit_is_a_warning_and_fails_no_load(
    world: World, monkeypatch: pytest.MonkeyPatch, report: str
) -> None:
    def broken(*_: object) -> None:
        raise OverflowError("date value out of range")

    monkeypatch.setattr(metadata, report, broken)
    project = Project(world)
    result = project.load("metrics", days=("2026-11-18", "2026-11-18"))

    assert world.column("SELECT id FROM klaviyo.metrics ORDER BY id") == world.ids("metrics")
    (warning,) = [log for log in project.instance.all_logs(result.run_id) if "a report about them" in log.user_message]
    assert warning.level == logging.WARNING
    assert "OverflowError: date value out of range" in warning.user_message
    assert not list(world.path.parent.glob(".*.staging/*/*.arrows"))
