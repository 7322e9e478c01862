"""Reports as tables: Klaviyo's numbers, row by row, in the account's days, in as few requests as it allows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.errors import LaterRevisionError, RequestRefusedError
from klaviyo_pipeline.loads.preview import preview
from klaviyo_pipeline.loads.request import LoadRequest
from klaviyo_pipeline.sandbox.server import RunningSandbox
from klaviyo_pipeline_tests.loads.reporting import Reporting, at, reporting_on, reports, sandbox, sandbox_of_the_clock
from klaviyo_pipeline_tests.sandbox.client import Client

__all__ = ["reports", "sandbox"]

MORNING = "2026-11-20T13:00:00+00:00"


def _results(sandbox: RunningSandbox, path: str, attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """What the sandbox itself answers to a report."""
    body = {"data": {"type": path.removesuffix("s"), "attributes": attributes}}
    found: list[dict[str, Any]] = (
        Client(sandbox.app).send("POST", f"/api/{path}", body).json["data"]["attributes"]["results"]
    )
    return found


def test_campaign_report_has_klaviyos_numbers_and_a_second_load_changes_nothing(
    sandbox: RunningSandbox, reports: Reporting
) -> None:
    with at(MORNING):
        assert reports.load("campaign_values").inserted > 0
        (asked,) = reports.asked.bodies
        first = reports.hash_of("campaign_values")
        second = reports.load("campaign_values")
    assert (second.inserted, second.updated) == (0, 0)
    assert reports.hash_of("campaign_values") == first

    assert asked["timeframe"] == {"start": "2025-11-21T00:00:00+00:00", "end": "2026-11-20T14:00:00+00:00"}
    expected = sorted(
        (
            row["groupings"]["campaign_message_id"],
            row["statistics"]["recipients"],
            row["statistics"]["conversion_value"],
        )
        for row in _results(sandbox, "campaign-values-reports", asked)
    )
    columns = "campaign_message_id, recipients, conversion_value"
    assert reports.sql(f"SELECT {columns} FROM klaviyo.campaign_values ORDER BY ALL") == expected != []
    (role,) = [row for row in sandbox.store.records("mapped-metric") if row.id == "revenue"]
    assert asked["conversion_metric_id"] == role.related["metric"][0]
    assert reports.sql("SELECT count(*), count(DISTINCT id) FROM klaviyo.campaign_values") == [(len(expected),) * 2]


SERIES = {
    "flow_series_daily": ("flow-series-reports", ("flow_id", "flow_message_id"), ("recipients", "conversion_value")),
    "form_series_daily": ("form-series-reports", ("form_id", "form_version_id"), ("submits", "submit_rate")),
    "segment_series_daily": ("segment-series-reports", ("segment_id",), ("members_added", "total_members")),
}
VALUES = {
    "flow_values": ("flow-values-reports", ("flow_id", "flow_message_id"), ("recipients", "open_rate")),
    "form_values": ("form-values-reports", ("form_id", "form_version_id"), ("submits", "submit_rate")),
    "segment_values": ("segment-values-reports", ("segment_id",), ("members_added", "total_members")),
}


@pytest.mark.parametrize("name", SERIES)
def test_series_has_a_row_for_each_group_and_day_and_a_second_load_changes_nothing(
    sandbox: RunningSandbox, reports: Reporting, name: str
) -> None:
    path, groups, statistics = SERIES[name]
    with at(MORNING):
        first = reports.load(name, start_time="2026-10-20T00:00:00+02:00")
        (asked,) = reports.asked.bodies
        before = reports.hash_of(name)
        second = reports.load(name, start_time="2026-10-20T00:00:00+02:00")
    assert (second.inserted, second.updated, second.unchanged) == (0, 0, first.inserted)
    assert reports.hash_of(name) == before

    days = [str(date(2026, 10, 20) + timedelta(days=number)) for number in range(32)]
    expected = sorted(
        (day, *(row["groupings"][group] for group in groups), *(row["statistics"][each][place] for each in statistics))
        for row in _results(sandbox, path, asked)
        for place, day in enumerate(days)
    )
    columns = ", ".join(("CAST(date AS VARCHAR)", *groups, *statistics))
    assert reports.sql(f"SELECT {columns} FROM klaviyo.{name} ORDER BY ALL") == expected != []
    assert any(row[-1] for row in expected)


@pytest.mark.parametrize("name", VALUES)
def test_values_have_a_row_for_each_window_and_group_on_the_day_of_the_load(
    sandbox: RunningSandbox, reports: Reporting, name: str
) -> None:
    path, groups, statistics = VALUES[name]
    with at("2026-11-20T23:30:00+00:00"):  # the next day in Copenhagen
        reports.load(name)
        asked, first = list(reports.asked.bodies), reports.hash_of(name)
        again = reports.load(name)
        expected = sorted(
            (
                each["timeframe"]["key"],
                *(row["groupings"][group] for group in groups),
                *(row["statistics"][statistic] for statistic in statistics),
            )
            for each in asked
            for row in _results(sandbox, path, each)
        )
    assert (again.inserted, again.updated) == (0, 0)
    assert reports.hash_of(name) == first
    assert [each["timeframe"]["key"] for each in asked] == ["last_7_days", "last_30_days", "last_365_days"]
    columns = ", ".join(('"window"', *groups, *statistics))
    table = f"klaviyo.{name}"
    assert reports.sql(f"SELECT {columns} FROM {table} ORDER BY ALL") == expected != []
    assert reports.sql(f"SELECT DISTINCT CAST(as_of_date AS VARCHAR) FROM {table}") == [("2026-11-21",)]


def test_metric_aggregates_are_the_events_of_each_metric_by_local_day(
    sandbox: RunningSandbox, reports: Reporting
) -> None:
    with at(MORNING):
        reports.load("metric_aggregates_daily", start_time="2026-11-10T00:00:00+01:00")
        before = reports.hash_of("metric_aggregates_daily")
        again = reports.load("metric_aggregates_daily", start_time="2026-11-10T00:00:00+01:00")
    assert (again.inserted, again.updated) == (0, 0)
    assert reports.hash_of("metric_aggregates_daily") == before
    zone, events = ZoneInfo("Europe/Copenhagen"), Counter[tuple[str, str]]()
    for metric in sandbox.store.metrics:
        for event in sandbox.store.events.of_metric(metric.id):
            day = datetime.fromtimestamp(event.timestamp, zone).date()
            if date(2026, 11, 10) <= day and event.timestamp < datetime.fromisoformat(MORNING).timestamp():
                events[str(day), metric.id] += 1
    rows = reports.sql("SELECT CAST(date AS VARCHAR), metric_id, count FROM klaviyo.metric_aggregates_daily")
    assert {(day, metric): count for day, metric, count in rows if count} == events
    assert len(rows) == 11 * len(list(sandbox.store.metrics))


@pytest.mark.parametrize("name", ["campaign_values", "segment_series_daily", "flow_values", "metric_aggregates_daily"])
def test_preview_shows_rows_of_a_report_for_one_booked_request(reports: Reporting, name: str) -> None:
    source = SOURCES[name]
    wanted = LoadRequest(source=source, options=source.choose())
    with at(MORNING):
        shown = preview(reports.client(), wanted, UTC, rows=5, place=reports.place(name))
    assert len(shown.rows) == 5
    assert reports.sent == 1
    assert dict(shown.columns) == {column.name: column.type.value for column in source.columns}
    if source.report is not None and source.report.quota is not None:
        assert reports.booked == 1


def test_report_without_a_revenue_metric_says_what_to_do(reports: Reporting, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = SOURCES["campaign_values"]
    assert declared.report is not None
    monkeypatch.setitem(SOURCES, declared.name, replace(declared, report=replace(declared.report, role="nobody")))
    with at(MORNING), pytest.raises(ConfigurationError, match=r"plays the role nobody.*conversion_metric_ids"):
        reports.load("campaign_values")
    assert reports.sent == 0


def test_report_of_the_revenue_metric_when_the_revision_has_no_roles_says_what_to_set(reports: Reporting) -> None:
    client = KlaviyoClient("pk_sandbox", base_url=reports.url, revision="2025-01-15")
    wanted = LoadRequest(source=SOURCES["flow_values"], options=frozenset())
    with at(MORNING):
        for ask in (lambda: reports.load("flow_values", client=client), lambda: preview(client, wanted, UTC)):
            with pytest.raises(LaterRevisionError, match=r"Mapped metrics.*2025-07-15.*conversion_metric_ids"):
                ask()
    assert reports.sent == 0


def test_report_of_an_ineligible_metric_names_it(sandbox: RunningSandbox, reports: Reporting) -> None:
    metric = next(row.id for row in sandbox.store.metrics if row.name == "Received Email")
    with at(MORNING), pytest.raises(RequestRefusedError, match=rf"{metric}.*does not support querying for values data"):
        reports.load("campaign_values", ids=(metric,))


def test_report_of_two_conversion_metrics_has_rows_of_both(sandbox: RunningSandbox, reports: Reporting) -> None:
    metrics = tuple(row.id for row in sandbox.store.metrics if row.integration["key"] != "klaviyo")[:2]
    with at(MORNING):
        reports.load("campaign_values", ids=metrics)
    found = reports.sql("SELECT DISTINCT conversion_metric_id FROM klaviyo.campaign_values ORDER BY 1")
    assert [row[0] for row in found] == sorted(metrics)
    assert reports.sent == 2


def test_days_of_the_account_when_clocks_change_are_those_of_its_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sandbox_of_the_clock() as sandbox, reporting_on(sandbox, tmp_path) as reports:
        # Clocks are set back on the first of November, which has 25 hours.
        monkeypatch.setitem(sandbox.store.account["attributes"], "timezone", "America/New_York")
        metric, profile = next(iter(sandbox.store.metrics)).id, next(iter(sandbox.store.profiles)).id
        for hour in range(72):
            moment = datetime(2026, 10, 31, 4, tzinfo=UTC) + timedelta(hours=hour)
            event = {"id": f"hour{hour:02}", "datetime": moment.isoformat(), "metric_id": metric, "profile_id": profile}
            sandbox.store.put("events", [event])
        with at(MORNING):
            reports.load("metric_aggregates_daily", ids=(metric,), start_time="2026-10-31T00:00:00-04:00")
            reports.load("segment_series_daily", start_time="2026-10-31T00:00:00-04:00")
    counts = reports.sql("SELECT count FROM klaviyo.metric_aggregates_daily WHERE date < '2026-11-03' ORDER BY date")
    assert counts == [(24,), (25,), (23,)]
    days = reports.sql("SELECT count(DISTINCT date), min(date), max(date) FROM klaviyo.segment_series_daily")
    assert days == [(21, date(2026, 10, 31), date(2026, 11, 20))]
