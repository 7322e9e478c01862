"""Metric aggregates by dimensions: rows that a person divides, in a table of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.dimensions import grouped
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.sandbox.api import aggregates
from klaviyo_pipeline.sandbox.server import RunningSandbox
from klaviyo_pipeline.warehouse.errors import ShrinkError
from klaviyo_pipeline.warehouse.write_modes import WriteMode
from klaviyo_pipeline_tests.loads.reporting import Reporting, at, reporting_on, reports, sandbox, sandbox_of_the_clock
from klaviyo_pipeline_tests.orchestration.conftest import World, failure_text, world
from klaviyo_pipeline_tests.transfers.workplace import Workplace, place, shop

__all__ = ["place", "reports", "sandbox", "shop", "world"]

NAME = "metric_aggregates_daily"
MORNING = "2026-11-20T13:00:00+00:00"
START = "2026-11-10T00:00:00+01:00"
BY = ["$attributed_message", "$attributed_flow"]
SUMS = "SELECT date, metric_id, sum(count), round(sum(sum_value), 2) FROM klaviyo.{} GROUP BY ALL ORDER BY ALL"


def _sums(reports: Reporting, table: str) -> list[tuple[object, ...]]:
    return [row for row in reports.sql(SUMS.format(table)) if row[2]]


def test_rows_by_dimensions_sum_to_those_without_and_a_second_load_changes_nothing(
    sandbox: RunningSandbox, reports: Reporting
) -> None:
    with at(MORNING):
        reports.load(NAME, start_time=START)
        requests = reports.sent
        reports.load(NAME, start_time=START, by=BY, table="divided")
        before = reports.hash_of("divided")
        again = reports.load(NAME, start_time=START, by=BY[::-1], table="divided")
    assert (again.inserted, again.updated) == (0, 0)
    assert reports.hash_of("divided") == before
    assert reports.sent == 3 * requests
    assert reports.asked.bodies[-1]["by"] == ["$attributed_flow", "$attributed_message"]
    assert _sums(reports, "divided") == _sums(reports, NAME) != []

    flow = """dimensions->>'$."$attributed_flow"'"""
    flows = reports.sql(f"SELECT {flow}, sum(count) FROM klaviyo.divided WHERE {flow} != '' GROUP BY 1 ORDER BY 1")
    flow_ids = {event.attribution.flow_id for event in sandbox.store.events if event.attribution}
    assert {found for found, _count in flows} <= flow_ids
    assert flows
    (key,) = reports.sql("SELECT id, date, metric_id, dimensions FROM klaviyo.divided ORDER BY ALL LIMIT 1")
    assert key[0] == f"{key[1]}:{key[2]}:{key[3]}"
    assert list(json.loads(key[3])) == ["$attributed_flow", "$attributed_message"]


def test_event_that_moves_to_another_combination_is_not_counted_twice(tmp_path: Path) -> None:
    """The combination that it counted for has no events left, so that Klaviyo's answer lacks it."""
    live = """SELECT dimensions->>'$."$flow"' AS flow, sum(count) FROM klaviyo.divided
        WHERE _deleted_at IS NULL GROUP BY flow"""
    with sandbox_of_the_clock() as sandbox, reporting_on(sandbox, tmp_path) as reports, at(MORNING):
        metric, other = (each.id for each in list(sandbox.store.metrics)[:2])
        profile = next(iter(sandbox.store.profiles)).id
        event = {"id": "moved", "datetime": "2026-11-12T10:00:00Z", "metric_id": metric, "profile_id": profile}
        late = {**event, "id": "stays", "datetime": "2026-11-02T10:00:00Z"}
        apart = {**event, "id": "apart", "metric_id": other}
        asked = {"by": ["$flow"], "table": "divided"}

        def put(flow: str, *events: dict[str, str]) -> None:
            sandbox.store.put("events", [{**each, "event_properties": {"$flow": flow}} for each in events])

        put("First", event, late, apart)
        reports.load(NAME, start_time="2026-11-01T00:00:00+01:00", **asked)
        put("Second", event)
        reports.load(NAME, start_time=START, ids=(metric,), **asked)
        named = {name: count for name, count in reports.sql(live) if name in {"First", "Second"}}
        assert named == {"First": 2, "Second": 1}
        put("First", event)
        reports.load(NAME, start_time=START, ids=(metric,), **asked)
        named = {name: count for name, count in reports.sql(live) if name in {"First", "Second"}}
        assert named == {"First": 3}


@pytest.mark.parametrize("chosen", [1, None], ids=["one metric", "all metrics"])
def test_answer_without_events_of_days_that_had_them_is_refused(
    sandbox: RunningSandbox, reports: Reporting, monkeypatch: pytest.MonkeyPatch, chosen: int | None
) -> None:
    """It is valid, and an outage can look like it."""
    asked = {"by": ["$flow"], "table": "divided", "start_time": START}
    with at(MORNING):
        reports.load(NAME, **asked)
        before = reports.hash_of("divided")
        most = "SELECT metric_id FROM klaviyo.divided WHERE count > 0 GROUP BY 1 ORDER BY count(*) DESC"
        empty = {metric_id for (metric_id,) in reports.sql(most)[:chosen]}

        of_metric = sandbox.store.events.of_metric
        monkeypatch.setattr(sandbox.store.events, "of_metric", lambda each: [] if each in empty else of_metric(each))
        with pytest.raises(ShrinkError, match="would mark as deleted"):
            reports.load(NAME, **asked)
        assert reports.hash_of("divided") == before
        reports.load(NAME, accept_shrink=True, **asked)
    left = reports.sql("SELECT DISTINCT metric_id FROM klaviyo.divided WHERE _deleted_at IS NULL AND count > 0")
    assert not empty & {metric_id for (metric_id,) in left}


def test_table_without_dimensions_stays_as_it_is(reports: Reporting) -> None:
    assert grouped(SOURCES[NAME], []) is SOURCES[NAME]
    with at(MORNING):
        reports.load(NAME, start_time=START)
        before = reports.hash_of(NAME)
        with pytest.raises(ConfigurationError, match=r"divided by no dimensions, and those of this load by \$flow"):
            reports.load(NAME, start_time=START, by=["$flow"])
    assert reports.hash_of(NAME) == before
    assert not [body for body in reports.asked.bodies if "by" in body]


def test_table_by_other_dimensions_is_refused_until_it_is_replaced(reports: Reporting) -> None:
    with at(MORNING):
        reports.load(NAME, start_time=START, by=["$flow"], table="divided")
        for other in (["URL", "$flow"], []):
            with pytest.raises(ConfigurationError, match=r"klaviyo\.divided are divided by \$flow.*another table"):
                reports.load(NAME, start_time=START, by=other, table="divided")
        anew = {"write_mode": WriteMode.REPLACE, "accept_shrink": True}
        reports.load(NAME, start_time=START, by=["URL"], table="divided", **anew)
    assert reports.sql("SELECT DISTINCT json_keys(dimensions) FROM klaviyo.divided") == [(["URL"],)]


def test_dimensions_are_those_that_the_sandbox_takes() -> None:
    """The sandbox is held against Klaviyo's documents by tests of its own."""
    report = SOURCES[NAME].report
    assert report is not None
    assert report.dimensions == aggregates._DIMENSIONS


def test_dimension_that_there_is_none_of_is_refused_with_those_that_there_are(place: Workplace) -> None:
    with pytest.raises(
        ConfigurationError, match=r"by has '\$flows', but metric_aggregates_daily takes .*\$flow, .*form_id"
    ):
        grouped(SOURCES[NAME], ["$flows"])
    with pytest.raises(ConfigurationError, match="flow_series_daily takes no by"):
        grouped(SOURCES["flow_series_daily"], ["$flow"])
    path = place.write("wrong", f"source: {NAME}\noptions:\n  by: [$flow, $flows]\n")
    said = place.cli("preview", str(path), exit_code=2).stderr
    assert "wrong.yml:3:15: options.by[1] is '$flows': by has '$flows', but" in said.replace("\n", "")


def test_transfer_and_run_config_name_the_dimensions(place: Workplace) -> None:
    place.write("by_flow", f"source: {NAME}\noptions: {{by: [$attributed_flow]}}")
    assert place.run("by_flow").success
    assert place.sql("SELECT DISTINCT json_keys(dimensions) FROM klaviyo.by_flow") == [(["$attributed_flow"],)]
    shown = place.json("preview", "by_flow")["columns"]
    assert [column["name"] for column in shown][:4] == ["id", "date", "metric_id", "dimensions"]


def test_run_by_dimensions_goes_to_the_table_that_its_config_names(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_SOURCES", f"default,{NAME}")
    assert world.run(NAME, config={"by": ["$attributed_channel"], "table": "by_channel"}).success
    assert world.column("SELECT DISTINCT json_keys(dimensions) FROM klaviyo.by_channel") == [["$attributed_channel"]]
    wrong = world.run(NAME, config={"by": ["channel"], "table": "by_channel"})
    assert "by has 'channel', but metric_aggregates_daily takes $attributed_channel," in failure_text(wrong)
