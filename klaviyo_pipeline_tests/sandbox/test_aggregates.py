"""Metric aggregates are computed from the events that the API lists."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from klaviyo_pipeline.sandbox.app import Sandbox
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline_tests.sandbox.client import Answer, Client

RANGE = ["greater-or-equal(datetime,2026-11-01T00:00:00)", "less-than(datetime,2026-11-20T00:00:00)"]


def _ask(client: Client, metric_id: str, **attributes: Any) -> Answer:
    given = {"metric_id": metric_id, "measurements": ["count"], "filter": RANGE, **attributes}
    return client.send("POST", "/api/metric-aggregates", {"data": {"type": "metric-aggregate", "attributes": given}})


@pytest.fixture
def placed(store: Store) -> str:
    return next(metric.id for metric in store.metrics if metric.name == "Placed Order")


@pytest.mark.parametrize("interval", ["hour", "day", "week", "month"])
def test_sums_are_those_of_the_events(client: Client, store: Store, placed: str, interval: str) -> None:
    answer = _ask(client, placed, interval=interval, measurements=["count", "sum_value", "unique"]).json["data"][
        "attributes"
    ]
    events = [
        event
        for event in store.events.of_metric(placed)
        if b"2026-11-01" <= event.document.split(b'"datetime":"')[1][:10] < b"2026-11-20"
    ]
    values = [msgspec.json.decode(event.document)["event_properties"]["$value"] for event in events]
    measured = answer["data"][0]["measurements"]
    assert answer["data"][0]["dimensions"] == []
    assert sum(measured["count"]) == len(events) > 0
    assert sum(measured["sum_value"]) == pytest.approx(sum(values))
    assert len(answer["dates"]) == len(measured["unique"])
    assert answer["dates"] == sorted(answer["dates"])


def test_dates_are_the_utc_instants_of_local_days(client: Client, placed: str) -> None:
    answer = _ask(
        client,
        placed,
        timezone="Europe/Copenhagen",
        filter=[
            "greater-or-equal(datetime,2026-10-24T22:00:00Z)",
            "less-than(datetime,2026-10-26T23:00:00Z)",
        ],
    ).json["data"]["attributes"]
    assert answer["dates"] == ["2026-10-24T22:00:00+00:00", "2026-10-25T23:00:00+00:00"]


def test_groups_add_up(client: Client, placed: str) -> None:
    whole = _ask(client, placed).json["data"]["attributes"]["data"][0]["measurements"]["count"]
    groups = _ask(client, placed, by=["$attributed_message"]).json["data"]["attributes"]["data"]
    assert len(groups) > 1
    assert [sum(column) for column in zip(*(found["measurements"]["count"] for found in groups), strict=True)] == whole


def test_no_events_are_zeros(client: Client, fresh: Callable[..., Sandbox]) -> None:
    own = Client(fresh())
    metric_id = own.app.store.put("metrics", [{"name": "Tasted Soup"}])[0]
    answer = _ask(own, metric_id).json["data"]["attributes"]
    assert answer["data"] == [{"dimensions": [], "measurements": {"count": [0.0] * 19}}]


def test_fieldset_leaves_the_dates(client: Client, placed: str) -> None:
    given = {"metric_id": placed, "measurements": ["count"], "filter": RANGE}
    answer = client.send(
        "POST",
        "/api/metric-aggregates?fields[metric-aggregate]=dates",
        {"data": {"type": "metric-aggregate", "attributes": given}},
    )
    assert list(answer.json["data"]["attributes"]) == ["dates"]


@pytest.mark.parametrize(
    "attributes",
    [
        {"measurements": []},
        {"measurements": ["median"]},
        {"interval": "year"},
        {"filter": RANGE[:1]},
        {"filter": [RANGE[1], "greater-or-equal(datetime,2025-10-01)"]},
        {"filter": [RANGE[0], "less-than(datetime,2026-10-01)"]},
        {"filter": [*RANGE, "equals(name,'x')"]},
        {"timezone": "Mars/Olympus"},
        {"by": ["soup"]},
        {"sort": "$message"},
        {"page_size": 10},
        {"metric_id": "NOPE01"},
    ],
)
def test_mistakes_are_400(client: Client, placed: str, attributes: dict[str, Any]) -> None:
    assert _ask(client, **{"metric_id": placed, **attributes}).status == 400


@pytest.mark.parametrize("payload", [None, [], {}, {"data": {"type": "event"}}, {"data": {"attributes": 1}}])
def test_bad_bodies_are_400(client: Client, payload: object) -> None:
    assert client.send("POST", "/api/metric-aggregates", payload).status == 400
