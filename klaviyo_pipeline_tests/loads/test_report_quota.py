"""The daily quota of reports: a year in the planned requests, none twice, and never more than Klaviyo allows."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from klaviyo_pipeline.klaviyo.catalogue.reports import QUOTA
from klaviyo_pipeline.klaviyo.errors import QuotaSpentError
from klaviyo_pipeline.loads.quota import DailyBudget
from klaviyo_pipeline.sandbox.api.messages import Response
from klaviyo_pipeline.sandbox.server import RunningSandbox
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.write_modes import WriteMode
from klaviyo_pipeline_tests.loads.reporting import (
    Reporting,
    at,
    load_and_die,
    reporting_on,
    reports,
    sandbox,
    spend,
)

__all__ = ["reports", "sandbox"]

MORNING, NEXT_MORNING = "2026-11-20T13:00:00+00:00", "2026-11-21T13:30:00+00:00"
YEARLY = ("campaign_values", "flow_series_daily", "form_series_daily", "segment_series_daily")
WINDOWS = ("flow_values", "form_values", "segment_values")


@pytest.fixture(scope="module")
def flows_of_a_year(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The hash of the flow report's table after a load that nothing disturbs."""
    with reporting_on(sandbox, tmp_path_factory.mktemp("undisturbed")) as undisturbed, at(MORNING):
        undisturbed.load("flow_series_daily")
        return undisturbed.hash_of("flow_series_daily")


def test_year_of_history_takes_22_requests_and_each_day_after_it_13(reports: Reporting) -> None:
    with at(MORNING):
        for name in YEARLY:
            reports.load(name)
    assert reports.sent == reports.booked == 22
    days = reports.sql("SELECT count(DISTINCT date), min(date), max(date) FROM klaviyo.segment_series_daily")
    assert days == [(365, date(2025, 11, 21), date(2026, 11, 20))]

    with at(NEXT_MORNING):
        for name in (*YEARLY, *WINDOWS):
            reports.load(name)
    assert reports.sent - 22 == reports.booked - 22 == 4 + 9


@pytest.mark.parametrize(
    ("hook", "times", "booked"),
    [("a piece is finished", 4, 8), ("a request is about to be sent", 4, 8), ("the landing begins", 1, 7)],
)
def test_killed_half_way_spends_no_request_twice(
    flows_of_a_year: Any, reports: Reporting, hook: str, times: int, booked: int
) -> None:
    killed = (reports.url, str(reports.folder), "flow_series_daily", MORNING, hook, times)
    process = get_context("spawn").Process(target=load_and_die, args=killed)
    process.start()
    process.join(120)
    assert process.exitcode == -SIGKILL
    with at(MORNING):
        reports.load("flow_series_daily")
    # The piece that was under way is asked for again. Its request is booked, whether it was sent or not.
    assert reports.booked == booked
    assert reports.sent <= booked
    assert reports.hash_of("flow_series_daily") == flows_of_a_year


def test_spent_quota_lands_what_is_whole_says_when_it_goes_on_and_the_next_run_continues(
    reports: Reporting, tmp_path_factory: pytest.TempPathFactory
) -> None:
    reports.spend(200, "2026-11-20T09:00:00+00:00")
    with at(MORNING):
        reports.load("segment_series_daily")
    assert reports.sent == 3  # 22 stay for the loads of recent days
    assert reports.sql("SELECT min(date), max(date) FROM klaviyo.segment_series_daily") == [
        (date(2025, 11, 21), date(2026, 5, 19))
    ]
    assert reports.lines == [
        "Segment report by day: The 225 requests for reports that Klaviyo allows in 24 hours are used up. Days before "
        "2026-05-19 22:00 UTC are read; the next run reads the rest. Requests are free again from 2026-11-21 09:00 "
        "UTC on."
    ]

    with at(MORNING):
        assert reports.load("segment_series_daily") is None
    assert reports.sent == 3
    assert "Nothing has landed; the next run reads the rest." in reports.lines[1]

    with at(NEXT_MORNING):
        reports.load("segment_series_daily")
    assert reports.sent == 3 + 4
    windows = "SELECT epoch(window_start), epoch(window_end) FROM klaviyo_pipeline.ledger ORDER BY entry"
    (_, stopped), (continued, _) = reports.sql(windows)
    assert stopped == continued

    undisturbed = Reporting(reports.url, tmp_path_factory.mktemp("undisturbed"))
    with at(NEXT_MORNING):
        undisturbed.load("segment_series_daily", start_time="2025-11-21")
    assert undisturbed.hash_of("segment_series_daily") == reports.hash_of("segment_series_daily")


def test_request_226_is_never_sent(reports: Reporting) -> None:
    reports.spend(224, "2026-11-20T09:00:00+00:00")
    with at(MORNING):
        reports.load("segment_values")
        assert reports.load("campaign_values") is None
    assert reports.sent == 1
    assert reports.booked == 225
    assert reports.sql('SELECT DISTINCT "window" FROM klaviyo.segment_values') == [("last_7_days",)]
    assert "Some of the windows are read" in reports.lines[0]


def test_replace_that_the_quota_stops_leaves_the_table_as_it_was(reports: Reporting) -> None:
    with at(MORNING):
        reports.load("segment_series_daily", start_time="2026-09-25")
        before = reports.hash_of("segment_series_daily")
        reports.spend(200, MORNING)
        assert reports.load("segment_series_daily", write_mode=WriteMode.REPLACE) is None
    assert reports.sent == 1 + 2
    assert reports.hash_of("segment_series_daily") == before
    assert "Nothing has landed; the next run reads the rest." in reports.lines[0]


def test_klaviyo_says_that_the_day_is_spent_and_what_is_whole_lands(reports: Reporting) -> None:
    headers = ((b"retry-after", b"36000"), (b"content-type", b"application/json"))
    reports.asked.other, reports.asked.other_from = Response(429, b'{"errors": []}', headers), 2
    with at(MORNING):
        landed = reports.load("segment_series_daily")
    assert landed.inserted > 0
    assert reports.sql("SELECT count(DISTINCT date) FROM klaviyo.segment_series_daily") == [(120,)]
    assert "others of the account use them too" in reports.lines[0]
    assert "from 2026-11-20 23:00 UTC on" in reports.lines[0]


def test_processes_that_share_a_database_book_no_more_than_the_quota_together(tmp_path: Path) -> None:
    spend(Database(tmp_path / "shared.duckdb"), "account", 219, datetime.fromisoformat(MORNING))
    context, path = get_context("spawn"), str(tmp_path / "shared.duckdb")
    together = context.Barrier(2)
    workers = [context.Process(target=_book_all, args=(path, together)) for _ in range(2)]
    for each in workers:
        each.start()
    for each in workers:
        each.join(120)
        assert each.exitcode == 0
    reports = Reporting("", tmp_path)
    (tmp_path / "shared.duckdb").rename(reports.database.file)
    assert reports.booked == QUOTA.a_day


def _book_all(path: str, together: Barrier) -> None:
    budget = DailyBudget(Database(path), QUOTA, "account", "flow_values", "run")
    together.wait()
    with at(MORNING):
        while True:
            try:
                budget.book()
            except QuotaSpentError:
                return


def test_quota_is_free_again_24_hours_after_the_first_request_and_not_before(tmp_path: Path) -> None:
    database, began = Database(tmp_path / "day.duckdb"), datetime.fromisoformat(MORNING)
    budget = DailyBudget(database, QUOTA, "account", "flow_values", "run")
    for number in range(3):
        spend(database, "account", 75, began + timedelta(hours=number))
    with at("2026-11-20T16:00:00+00:00"), pytest.raises(QuotaSpentError) as spent:
        budget.book()
    assert spent.value.free_at == began + timedelta(days=1)
    with at("2026-11-21T13:00:30+00:00"):
        budget.book()
        budget.afford(74)
        with pytest.raises(QuotaSpentError) as spent:
            budget.afford(75)
    assert spent.value.free_at == began + timedelta(days=1, hours=1)
    with at("2026-11-21T13:00:30+00:00"):
        DailyBudget(database, QUOTA, "another account", "flow_values", "run").afford(225)
