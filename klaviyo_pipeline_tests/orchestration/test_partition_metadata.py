"""Each partition's materialization has the rows of its own day, whatever range its run loaded."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pytest

from klaviyo_pipeline.klaviyo.client.rate_limits import EndpointLimit
from klaviyo_pipeline.klaviyo.extract.requests import PageSizes
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
from klaviyo_pipeline_tests.orchestration.conftest import FIRST_DAY, LAST_DAY, PARTITIONED, World

COUNTS = ("rows_fetched", "rows_inserted", "rows_updated", "rows_unchanged", "rows_deleted", "rows_repeated")


def by_day(result: dg.ExecuteInProcessResult, source: str) -> dict[str, dict[str, Any]]:
    """The metadata of a run's materializations, by partition."""
    assert result.success
    return {
        str(each.partition): {name: value.value for name, value in each.metadata.items()}
        for each in result.asset_materializations_for_node(f"klaviyo__{source}")
    }


def days(metadata: dict[str, dict[str, Any]], name: str) -> list[int]:
    return [each[name] for _day, each in sorted(metadata.items())]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_each_day_of_a_range_has_the_rows_of_that_day_and_the_table_has_them_all(world: World, zone: str) -> None:
    world.timezone = zone
    result = world.run(*PARTITIONED, days=(FIRST_DAY, LAST_DAY))

    for source, time in {
        "events": "datetime",
        "event_metrics": "event_datetime",
        "event_profiles": "event_datetime",
        "campaigns": None,
        "profiles": None,
    }.items():
        found = by_day(result, source)
        total = world.column(f"SELECT count(*) FROM klaviyo.{source}")[0]
        assert set(days(found, "dagster/row_count")) == {total}
        rows = days(found, "dagster/partition_row_count")
        assert rows == days(found, "rows_inserted")
        assert sum(rows) == total
        if time is None:
            continue
        there = [instant.astimezone(ZoneInfo(zone)) for instant in world.column(f"SELECT {time} FROM klaviyo.{source}")]
        assert {day: each["dagster/partition_row_count"] for day, each in found.items()} == {
            day: sum(instant.date().isoformat() == day for instant in there) for day in found
        }
        assert len(set(rows)) > 1


def test_each_day_of_a_range_that_lands_in_parts_has_the_rows_of_that_day(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = PageSizes.get
    monkeypatch.setattr(PageSizes, "get", lambda *asked: 20 if asked[2].name == "events" else given(*asked))
    monkeypatch.setattr(EndpointLimit, "reserve", lambda _self: 0.0)
    at_once = by_day(world.run("events", days=(FIRST_DAY, LAST_DAY)), "events")
    world.path.unlink()
    monkeypatch.setattr(KlaviyoDuckDBResource, "stage_bytes", lambda _self: 60_000)

    result = world.run("events", days=(FIRST_DAY, LAST_DAY))

    in_parts = by_day(result, "events")
    about = in_parts[LAST_DAY]
    lines = world.column("SELECT count(*) FROM klaviyo_pipeline.ledger WHERE source = 'events'")
    assert about["parts"] == lines[0] > 2
    assert about["requests"] > about["parts"]
    for name in ("dagster/partition_row_count", "dagster/row_count", *COUNTS):
        assert days(in_parts, name) == days(at_once, name)
    assert all(check.passed for check in result.get_asset_check_evaluations())


@pytest.mark.parametrize(
    ("write_mode", "again"),
    [("merge", "rows_unchanged"), ("append", "rows_inserted"), ("replace", "rows_inserted")],
)
def test_each_day_of_a_second_run_has_what_became_of_its_rows(world: World, write_mode: str, again: str) -> None:
    first = by_day(world.run("events", days=(FIRST_DAY, LAST_DAY)), "events")
    one_day = (date.fromisoformat(FIRST_DAY) + timedelta(days=2)).isoformat()

    second = by_day(world.run("events", days=(one_day, LAST_DAY), config={"write_mode": write_mode}), "events")

    assert list(second) == [day for day in first if day >= one_day]
    for day, found in second.items():
        rows = first[day]["rows_inserted"]
        expected = dict.fromkeys(COUNTS, 0) | {"rows_fetched": rows, again: rows}
        expected["rows_deleted"] = rows if write_mode == "replace" else 0
        assert {name: found[name] for name in COUNTS} == expected
        assert found["dagster/partition_row_count"] == rows * (2 if write_mode == "append" else 1)


def test_one_day_has_its_rows_beside_the_whole_table_s(world: World) -> None:
    by_day(world.run("events", days=(FIRST_DAY, LAST_DAY)), "events")

    ((day, found),) = by_day(world.run("events", days=LAST_DAY), "events").items()

    (start, end) = (f"TIMESTAMPTZ '{each} 00:00+00'" for each in (day, "2026-11-21"))
    query = f"SELECT count(*) FROM klaviyo.events WHERE datetime >= {start} AND datetime < {end}"
    assert world.column(query) == [found["dagster/partition_row_count"]]
    assert found["dagster/row_count"] > found["dagster/partition_row_count"] == found["rows_unchanged"]
    assert found["requests"] > 0


def test_rows_of_an_asset_of_one_s_own_are_counted_by_day_too(world: World) -> None:
    @dg.asset(
        key=["klaviyo", "visits"],
        partitions_def=dg.DailyPartitionsDefinition("2024-01-01"),
        backfill_policy=dg.BackfillPolicy.single_run(),
        io_manager_key="io_manager",
        metadata={"partition_key": "seen_at", "write_mode": "replace"},
    )
    def visits() -> Any:
        times = [f"2026-11-{day} {hour:02}:00:00+00:00" for day, many in ((18, 3), (20, 5)) for hour in range(many)]
        return pd.DataFrame({"seen_at": [datetime.fromisoformat(each) for each in times]})

    result = world.run(days=("2026-11-18", "2026-11-20"), extra_assets=(visits,))

    assert result.success
    made = {each.partition: each.metadata for each in result.asset_materializations_for_node("klaviyo__visits")}
    assert {day: each["dagster/partition_row_count"].value for day, each in made.items()} == {
        "2026-11-18": 3,
        "2026-11-19": 0,
        "2026-11-20": 5,
    }


def test_campaigns_that_are_gone_are_counted_with_their_day(world: World) -> None:
    days_of_all = ("2026-08-01", LAST_DAY)
    first = by_day(world.run("campaigns", days=days_of_all), "campaigns")
    gone = world.truth("campaigns")[0]["id"]
    (time,) = world.column(f"SELECT CAST(updated_at AS VARCHAR) FROM klaviyo.campaigns WHERE id = '{gone}'")
    world.sandbox.store.delete("campaigns", gone)

    again = by_day(world.run("campaigns", days=days_of_all, config={"incremental": False}), "campaigns")

    assert {day: each["rows_deleted"] for day, each in again.items() if each["rows_deleted"]} == {time[:10]: 1}
    assert sum(days(again, "rows_unchanged")) == sum(days(first, "rows_inserted")) - 1
