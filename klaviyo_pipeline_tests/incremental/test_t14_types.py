"""T14, types and schema: odd values fail no load and lose nothing, in a run from Klaviyo to the table."""

from __future__ import annotations

import json

from klaviyo_pipeline_tests.incremental.support import EVERYTHING
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
