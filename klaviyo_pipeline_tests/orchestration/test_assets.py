"""The nine assets: what a person sees of them, and what a run lands."""

from __future__ import annotations

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest

from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.orchestration.conftest import FIRST_DAY, LAST_DAY, PARTITIONED, World

SOURCE_NAMES = list(CORE)
FIRST_ROWS = "2026-02-22"
"""The first day that has rows of the shop: Dagster takes seconds to note each thousand partitions."""


def test_definitions_have_nine_described_assets_under_the_prefix_klaviyo() -> None:
    from klaviyo_pipeline.definitions import defs

    specs = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs() if spec.group_name == "klaviyo"}
    assert sorted(specs) == sorted(f"klaviyo/{name}" for name in SOURCE_NAMES)
    for name, source in CORE.items():
        spec = specs[f"klaviyo/{name}"]
        assert spec.group_name == "klaviyo"
        assert spec.kinds == {"python", "klaviyo", "duckdb"}
        assert spec.owners
        assert spec.description == source.description
        assert spec.metadata["documentation"] == dg.MetadataValue.url(source.doc)
        assert (spec.partitions_def is not None) == (name in PARTITIONED)
        columns = spec.metadata["dagster/column_schema"].columns
        assert [column.name for column in columns] == [column.name for column in source.columns] + ["_extra"]
        assert all(column.description for column in columns)


def test_all_nine_when_materialized_over_all_days_then_tables_equal_the_truth(world: World) -> None:
    assert min(row["updated"] for row in world.truth("profiles")) >= FIRST_ROWS

    result = world.run(*SOURCE_NAMES, days=(FIRST_ROWS, LAST_DAY))

    assert result.success
    end = "2026-11-21T00:00:00+00:00"
    for name in ("events", "profiles", "campaigns"):
        assert sorted(world.column(f"SELECT id FROM klaviyo.{name}")) == world.ids(name, until=end)
    for name in ("metrics", "lists", "templates"):
        assert sorted(world.column(f"SELECT id FROM klaviyo.{name}")) == world.ids(name)
    members = {(row["list_id"], row["profile_id"]) for row in world.truth("members")}
    assert set(world.sql("SELECT list_id, profile_id FROM klaviyo.list_profiles")) == members
    events = world.truth("events", until=end)
    for name, key in (("event_metrics", "metric_id"), ("event_profiles", "profile_id")):
        expected = {(row["id"], row[key]) for row in events if row[key]}
        assert set(world.sql(f"SELECT event_id, {key} FROM klaviyo.{name}")) == expected
    for name in SOURCE_NAMES:
        rows, ids = world.sql(f"SELECT count(*), count(DISTINCT id) FROM klaviyo.{name}")[0]
        assert rows == ids > 0


def test_run_says_what_it_did_in_the_asset_metadata(world: World) -> None:
    result = world.run("events", days="2026-11-18")

    (materialization,) = result.asset_materializations_for_node("klaviyo__events")
    metadata = {name: value.value for name, value in materialization.metadata.items()}
    expected = len(world.ids("events", "2026-11-18T00:00:00Z", "2026-11-19T00:00:00Z"))
    assert metadata["dagster/row_count"] == metadata["rows_inserted"] == expected > 0
    assert metadata["dagster/table_name"].replace('"', "") == "klaviyo.events"
    assert metadata["requests"] >= 1
    assert metadata["revision"] == "2026-07-15"
    assert len(metadata["first_rows"].records if hasattr(metadata["first_rows"], "records") else metadata["first_rows"])


def test_preview_in_metadata_masks_addresses(world: World) -> None:
    result = world.run("profiles", days=LAST_DAY, config={"start_time": "2024-01-01"})

    materialization = result.asset_materializations_for_node("klaviyo__profiles")[-1]
    shown = str(materialization.metadata["first_rows"])
    for email in world.column("SELECT email FROM klaviyo.profiles WHERE email IS NOT NULL"):
        assert email not in shown


@pytest.mark.parametrize("name", SOURCE_NAMES)
def test_asset_when_materialized_twice_then_no_row_changes(world: World, name: str) -> None:
    parents = ["events"] if name.startswith("event_") else []
    days = (FIRST_DAY, LAST_DAY) if name in PARTITIONED else None
    assert world.run(*parents, name, days=days).success
    before = world.state()

    assert world.run(*parents, name, days=days).success

    assert world.state() == before


def test_range_of_days_is_one_run_and_one_window(world: World) -> None:
    assert world.run("events", days=("2026-11-16", "2026-11-18")).success

    assert world.sql("SELECT window_start::VARCHAR, window_end::VARCHAR FROM klaviyo_pipeline.ledger") == [
        ("2026-11-16 00:00:00+00", "2026-11-19 00:00:00+00")
    ]
    expected = world.ids("events", "2026-11-16T00:00:00Z", "2026-11-19T00:00:00Z")
    assert sorted(world.column("SELECT id FROM klaviyo.events")) == expected


def test_unpartitioned_asset_when_run_along_with_partitions_then_reads_by_its_own_rules(world: World) -> None:
    assert world.run("events", "lists", "list_profiles", days="2026-11-18").success

    assert sorted(world.column("SELECT id FROM klaviyo.lists")) == world.ids("lists")
    assert len(world.column("SELECT id FROM klaviyo.list_profiles")) == len(world.truth("members"))


def test_partition_when_storage_timezone_is_set_then_days_begin_there(world: World) -> None:
    world.timezone = "America/New_York"

    assert world.run("events", days="2026-11-17").success

    expected = world.ids("events", "2026-11-17T05:00:00Z", "2026-11-18T05:00:00Z")
    assert sorted(world.column("SELECT id FROM klaviyo.events")) == expected


def test_start_and_end_in_config_win_over_the_partition(world: World) -> None:
    config = {"start_time": "2026-11-15T06:00:00", "end_time": "2026-11-15T18:00:00+02:00"}

    assert world.run("events", days="2026-11-18", config=config).success

    expected = world.ids("events", "2026-11-15T06:00:00Z", "2026-11-15T16:00:00Z")
    assert sorted(world.column("SELECT id FROM klaviyo.events")) == expected


def test_unpartitioned_incremental_source_goes_on_where_the_last_run_ended(world: World) -> None:
    assert world.run("templates").success
    world.sandbox.reset_counts()

    assert world.run("templates").success

    windows = world.sql("SELECT window_start, window_end, rows_fetched FROM klaviyo_pipeline.ledger ORDER BY landed_at")
    assert windows[0][0] is None
    assert windows[1][0] <= windows[0][1]
    assert windows[1][2] == 0
    assert world.sandbox.counts()["total"] == 1


def test_events_when_related_objects_are_not_skipped_then_details_are_columns(world: World) -> None:
    assert world.run("events", days="2026-11-18", config={"skip_related": False}).success

    named = world.sql("SELECT count(*), count(metric_name), count(profile_email) FROM klaviyo.events")[0]
    assert named[0] > 0
    assert named[1] == world.sql("SELECT count(metric_id) FROM klaviyo.events")[0][0]
    assert named[2] > 0


def test_events_when_related_objects_are_skipped_then_details_are_neither_asked_for_nor_there(world: World) -> None:
    assert world.run("events", days="2026-11-18", config={"skip_related": True}).success

    columns = world.column("SELECT column_name FROM information_schema.columns WHERE table_name = 'events'")
    assert "metric_id" in columns
    assert not [name for name in columns if name in {"metric_name", "profile_email"}]


def test_event_metrics_and_profiles_take_far_fewer_requests_than_events(world: World) -> None:
    assert world.run("events", days=(FIRST_DAY, LAST_DAY)).success
    world.sandbox.reset_counts()

    assert world.run("event_metrics", "event_profiles", days=(FIRST_DAY, LAST_DAY)).success

    events = world.sql("SELECT count(*) FROM klaviyo.events")[0][0]
    assert world.sandbox.counts()["total"] < events / 10


@pytest.mark.parametrize(("name", "key"), [("event_metrics", "metric_id"), ("event_profiles", "profile_id")])
def test_event_ids_given_by_hand_use_the_endpoint_of_each_event(world: World, name: str, key: str) -> None:
    assert world.run("events", days="2026-11-18").success
    chosen = world.sql(f"SELECT id, {key} FROM klaviyo.events WHERE {key} IS NOT NULL ORDER BY id LIMIT 3")
    world.sandbox.reset_counts()

    assert world.run(name, days="2026-11-18", config={"event_ids": [row[0] for row in chosen]}).success

    assert sorted(world.sql(f"SELECT event_id, {key} FROM klaviyo.{name}")) == chosen
    endpoint = {"event_metrics": "get_metric_for_event", "event_profiles": "get_profile_for_event"}[name]
    assert world.sandbox.counts()["endpoints"] == {endpoint: {"200": 3}}


def test_list_profiles_takes_list_ids(world: World) -> None:
    wanted = max((row["list_id"] for row in world.truth("members")), key=str)

    assert world.run("list_profiles", config={"list_ids": [wanted]}).success

    expected = sorted(row["profile_id"] for row in world.truth("members") if row["list_id"] == wanted)
    assert sorted(world.column("SELECT profile_id FROM klaviyo.list_profiles")) == expected


def test_whole_read_marks_what_klaviyo_no_longer_has(world: World) -> None:
    assert world.run("lists", config={"incremental": False}).success
    gone = world.ids("lists")[0]
    world.sandbox.store.delete("lists", gone)

    assert world.run("lists", config={"incremental": False}).success

    assert world.column("SELECT id FROM klaviyo.lists WHERE _deleted_at IS NOT NULL") == [gone]


def test_io_manager_takes_a_dataframe_and_an_arrow_table_and_hands_on_the_partitions_rows(world: World) -> None:
    partitions = dg.DailyPartitionsDefinition("2024-01-01", end_offset=1)
    seen = {}

    @dg.asset(
        key_prefix="marts",
        partitions_def=partitions,
        metadata={"partition_expr": "at", "primary_key": "id"},
        ins={"events": dg.AssetIn(["klaviyo", "events"])},
    )
    def pandas_made(events: pd.DataFrame) -> pd.DataFrame:
        seen["rows"] = len(events)
        return pd.DataFrame({"id": events["id"], "at": events["datetime"], "n": range(len(events))})

    @dg.asset(key_prefix="marts", metadata={"schema": "other"})
    def arrow_made() -> pa.Table:
        return pa.table({"id": [1, 2], "select": ["a", None]})

    assert world.run("events", days=(FIRST_DAY, LAST_DAY)).success
    result = world.run(days="2026-11-18", extra_assets=(pandas_made, arrow_made))

    assert result.success
    day = len(world.ids("events", "2026-11-18T00:00:00Z", "2026-11-19T00:00:00Z"))
    assert seen["rows"] == day
    assert world.sql("SELECT count(*) FROM klaviyo.pandas_made") == [(day,)]
    assert world.sql('SELECT id, "select" FROM other.arrow_made ORDER BY id') == [(1, "a"), (2, None)]
