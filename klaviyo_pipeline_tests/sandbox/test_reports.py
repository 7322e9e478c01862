"""The POST reports: numbers of the shop, the rules of their bodies, and their three windows."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from klaviyo_pipeline.sandbox.app import Sandbox
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.options import ServerOptions
from klaviyo_pipeline_tests.sandbox.client import Answer, Client
from klaviyo_pipeline_tests.sandbox.reporting import metric_id, report_question

WHOLE = {"start": "2026-10-01T00:00:00", "end": "2026-11-28T23:59:59"}


def _ask(client: Client, store: Store, path: str, **more: Any) -> Answer:
    return client.send("POST", f"/api/{path}", report_question(store, path, **more))


def _results(client: Client, store: Store, path: str, **more: Any) -> list[dict[str, Any]]:
    answer = _ask(client, store, path, **more)
    assert answer.status == 200, answer.content
    results: list[dict[str, Any]] = answer.json["data"]["attributes"]["results"]
    return results


def test_campaign_values_are_the_events_of_each_message(client: Client, store: Store) -> None:
    opened: Counter[str] = Counter(
        msgspec.json.decode(event.document)["event_properties"]["$message"]
        for name in ("Opened Email", "Opened Push")
        for event in store.events.of_metric(metric_id(store, name))
    )
    results = _results(client, store, "campaign-values-reports", timeframe=WHOLE)
    assert results
    for found in results:
        assert found["statistics"]["opens"] == opened[found["groupings"]["campaign_message_id"]]


def test_conversions_are_the_attributed_orders(client: Client, store: Store) -> None:
    orders = store.events.of_metric(metric_id(store, "Placed Order"))
    owed = [event for event in orders if event.attribution and event.attribution.campaign_id]
    results = _results(client, store, "campaign-values-reports", timeframe=WHOLE)
    assert sum(found["statistics"]["conversions"] for found in results) == len(owed) > 0


def test_days_of_a_flow_series_add_up_to_its_values(client: Client, store: Store) -> None:
    values = _results(client, store, "flow-values-reports", timeframe=WHOLE)
    series = _results(client, store, "flow-series-reports", timeframe=WHOLE)
    counts = {"recipients", "opens", "clicks", "conversions"}
    summed = [{name: sum(found["statistics"][name]) for name in counts} for found in series]
    assert summed == [{name: found["statistics"][name] for name in counts} for found in values]


def test_segment_series_end_with_the_members_that_there_are(client: Client, store: Store) -> None:
    for found in _results(client, store, "segment-series-reports", timeframe=WHOLE):
        members = store.members_of("segments")[found["groupings"]["segment_id"]]
        assert found["statistics"]["total_members"][-1] == len(members)


def test_form_reports_count_who_signed_up_by_a_form(client: Client, store: Store) -> None:
    signed = sum(row.consent.email_method == "FORM" for row in store.profiles)
    year = {"start": "2025-11-28T00:00:00", "end": "2026-11-28T00:00:00"}
    assert (
        0
        < sum(row["statistics"]["submits"] for row in _results(client, store, "form-values-reports", timeframe=year))
        <= signed
    )


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("campaign-values-reports", {"statistics": ["soup"]}),
        ("campaign-values-reports", {"timeframe": {"start": "2024-01-01T00:00:00", "end": "2026-01-01T00:00:00"}}),
        ("campaign-values-reports", {"timeframe": {"key": "last_soup"}}),
        ("campaign-values-reports", {"conversion_metric_id": "NOPE01"}),
        ("flow-values-reports", {"group_by": ["flow_id"]}),
        ("flow-series-reports", {"interval": "hourly"}),
        ("form-series-reports", {"interval": None}),
        ("segment-series-reports", {"timeframe": {"start": "2026-01-01T00:00:00", "end": "2026-06-01T00:00:00"}}),
    ],
)
def test_bodies_that_klaviyo_refuses(client: Client, store: Store, path: str, more: dict[str, Any]) -> None:
    assert _ask(client, store, path, **more).status == 400


def test_metric_that_is_no_conversion_is_refused_as_recorded(client: Client, store: Store) -> None:
    answer = _ask(client, store, "campaign-values-reports", conversion_metric_id=metric_id(store, "Received Email"))
    assert answer.error["detail"] == "Passed in conversion metric does not support querying for values data"


def test_reports_have_windows_of_a_second_a_minute_and_a_day(fresh: Callable[..., Sandbox]) -> None:
    now = 86_400.0 * 20_000
    app = fresh(ServerOptions(), clock=lambda: now)
    client, path = Client(app), "segment-values-reports"
    first = _ask(client, app.store, path)
    assert first.headers["ratelimit-limit"] == "1, 1;w=1, 2;w=60, 225;w=86400"
    assert _ask(client, app.store, path).status == 429
    for _ in range(224):
        now += 60
        assert _ask(client, app.store, path).status == 200
    now += 60
    spent = _ask(client, app.store, path)
    assert spent.status == 429
    now += int(spent.headers["retry-after"])
    assert _ask(client, app.store, path).status == 200
