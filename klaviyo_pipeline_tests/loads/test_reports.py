"""Reports as tables: Klaviyo's numbers, row by row, in the account's days, in as few requests as it allows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from klaviyo_pipeline.sandbox.options import ServerOptions
from klaviyo_pipeline.sandbox.server import RunningSandbox, running_sandbox
from klaviyo_pipeline_tests.loads.reporting import Reporting, at, reporting_on
from klaviyo_pipeline_tests.orchestration.conftest import SHOP
from klaviyo_pipeline_tests.sandbox.client import Client

MORNING = "2026-11-20T13:00:00+00:00"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(SHOP, ServerOptions(rate_limits=False)) as running:
        yield running


@pytest.fixture
def reports(sandbox: RunningSandbox, tmp_path: Path) -> Iterator[Reporting]:
    with reporting_on(sandbox, tmp_path) as found:
        yield found


def _results(sandbox: RunningSandbox, path: str, attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """What the sandbox itself answers to a report."""
    body = {"data": {"type": path.removesuffix("s"), "attributes": attributes}}
    found: list[dict[str, Any]] = (
        Client(sandbox.app).send("POST", f"/api/{path}", body).json["data"]["attributes"]["results"]
    )
    return found


def test_campaign_report_has_klaviyos_numbers_and_a_second_load_changes_nothing(reports: Reporting) -> None:
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
        for row in _results(reports.sandbox, "campaign-values-reports", asked)
    )
    columns = "campaign_message_id, recipients, conversion_value"
    assert reports.sql(f"SELECT {columns} FROM klaviyo.campaign_values ORDER BY ALL") == expected != []
    (role,) = [row for row in reports.sandbox.store.records("mapped-metric") if row.id == "revenue"]
    assert asked["conversion_metric_id"] == role.related["metric"][0]
    assert reports.sql("SELECT count(*), count(DISTINCT id) FROM klaviyo.campaign_values") == [(len(expected),) * 2]
