"""Reports as assets, with their checks, and as transfers: loaded and continued as every other data source."""

from __future__ import annotations

import pytest

from klaviyo_pipeline import clock
from klaviyo_pipeline.orchestration.checks.build import build_checks
from klaviyo_pipeline.orchestration.partitions import daily_partitions
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline_tests.loads.reporting import spend
from klaviyo_pipeline_tests.orchestration.conftest import World, world
from klaviyo_pipeline_tests.transfers.conftest import place, shop
from klaviyo_pipeline_tests.transfers.workplace import Workplace

__all__ = ["place", "shop", "world"]

NAMES = ("segment_series_daily", "campaign_values")


def test_reports_are_assets_whose_checks_pass_and_a_spent_quota_fails_no_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_SOURCES", ",".join(("core", *NAMES)))
    checks = build_checks(daily_partitions("2024-01-01", "UTC"))
    of_reports = [each for each in checks if {key.asset_key.path[-1] for key in each.check_keys} <= set(NAMES)]
    landed = world.run(*NAMES, extra_assets=tuple(of_reports))
    assert landed.success
    verdicts = {
        (each.asset_key.path[-1], each.check_name): each.passed for each in landed.get_asset_check_evaluations()
    }
    for name in NAMES:
        assert verdicts[name, "primary_key_is_unique"]
        assert verdicts[name, "required_columns_are_filled"]
    assert all(verdicts.values()), verdicts
    rows = world.sql("SELECT count(*), count(DISTINCT date) FROM klaviyo.segment_series_daily")
    assert rows[0][1] == 365
    ((first, last),) = world.sql(
        "SELECT epoch(min(window_start)), epoch(max(window_end)) FROM klaviyo_pipeline.ledger "
        "WHERE source = 'segment_series_daily'"
    )
    assert 364 * 86_400 < last - first < 365 * 86_400

    ((account,),) = world.sql("SELECT DISTINCT account FROM klaviyo_pipeline.quota_requests")
    spend(Database(world.path), account, 225 - 8, clock.now())
    spent = world.run(*NAMES)
    assert spent.success
    assert world.sql("SELECT count(*), count(DISTINCT date) FROM klaviyo.segment_series_daily") == rows
    assert world.sql("SELECT count(*) FROM klaviyo_pipeline.quota_requests") == [(225,)]


def test_transfer_of_a_report_begins_where_it_says_and_continues_with_the_days_that_may_change(
    place: Workplace,
) -> None:
    place.write("flows_by_day", "source: segment_series_daily\noptions: {start_time: '2026-06-01', lookback_days: 10}")
    assert place.run("flows_by_day").success
    days = "SELECT count(DISTINCT date), CAST(min(date) AS VARCHAR) FROM klaviyo.flows_by_day"
    ((count, first),) = place.sql(days)
    assert first == "2026-06-01"

    assert place.run("flows_by_day").success
    assert place.sql(days) == [(count, first)]
    windows = place.sql(
        "SELECT date_diff('day', window_start, window_end), inserted, updated FROM klaviyo_pipeline.ledger "
        "WHERE table_name LIKE '%flows_by_day' ORDER BY entry"
    )
    assert windows[1][0] <= 11
    assert windows[1][1:] == (0, 0)
