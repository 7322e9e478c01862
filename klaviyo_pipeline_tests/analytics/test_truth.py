"""The tables of analytics equal what Python counts from the sandbox's own rows."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from klaviyo_pipeline.analytics.tables import TABLES, AnalyticsTable
from klaviyo_pipeline_tests.analytics.conftest import COPENHAGEN
from klaviyo_pipeline_tests.orchestration.conftest import World

_TAKE_BACK = {"Refunded Order", "Cancelled Order"}


@dataclass(frozen=True)
class Happened:
    """An event as the sandbox holds it."""

    metric_id: str | None
    metric: str
    profile_id: str | None
    at: datetime
    properties: dict[str, Any]
    campaign_id: str | None

    @property
    def day(self) -> date:
        return self.at.astimezone(COPENHAGEN).date()

    @property
    def value(self) -> Decimal | None:
        value = self.properties.get("$value")
        if value is None:
            return None
        return -abs(Decimal(str(value))) if self.metric in _TAKE_BACK else Decimal(str(value))


def _events(world: World) -> Iterator[Happened]:
    store = world.sandbox.store
    for row in store.events:
        metric = store.metrics.get(row.metric_id) if row.metric_id else None
        yield Happened(
            metric.id if metric else None,
            metric.name if metric else "",
            row.profile_id if row.profile_id in store.profiles else None,
            datetime.fromtimestamp(row.timestamp, UTC),
            json.loads(row.document, parse_float=Decimal)["event_properties"],
            row.attribution.campaign_id if row.attribution else None,
        )


def _orders(world: World) -> list[tuple[Happened, Decimal]]:
    """Orders, each with what was taken back of it."""
    events = list(_events(world))
    back: dict[tuple[Any, Any], Decimal] = defaultdict(Decimal)
    for event in events:
        if event.metric in _TAKE_BACK:
            back[event.profile_id, event.properties["OrderId"]] += event.value or 0
    placed = [event for event in events if event.metric == "Placed Order"]
    return [(order, max(back[order.profile_id, order.properties["OrderId"]], -(order.value or 0))) for order in placed]


def test_daily_metrics_equal_the_truth_also_on_the_day_with_25_hours(shop: World) -> None:
    counted: dict[tuple[date, str | None], list[Happened]] = defaultdict(list)
    for event in _events(shop):
        counted[event.day, event.metric_id].append(event)
    expected = {
        (
            *key,
            len(events),
            len({event.profile_id for event in events} - {None}),
            sum(values) if (values := [event.value for event in events if event.value is not None]) else None,
        )
        for key, events in counted.items()
    }
    found = shop.sql("SELECT day, metric_id, events, unique_profiles, value FROM klaviyo_analytics.daily_metrics")
    assert set(found) == expected
    assert len(found) == len(expected)
    long_day = {event.at for event in _events(shop) if event.day == date(2026, 10, 25)}
    assert max(long_day) - min(long_day) > timedelta(hours=24)
    assert any(row[4] < 0 for row in found if row[4])


def test_names_of_daily_metrics_are_those_of_metrics(shop: World) -> None:
    names = {(row.id, row.name, row.integration["name"]) for row in shop.sandbox.store.metrics}
    query = "SELECT DISTINCT metric_id, metric_name, integration_name FROM klaviyo_analytics.daily_metrics"
    found = set(shop.sql(f"{query} WHERE metric_id IS NOT NULL"))
    assert found <= names
    assert len({row[1] for row in found}) > 10


def test_campaign_performance_equals_the_truth_by_event_day(shop: World) -> None:
    store = shop.sandbox.store
    campaign_of = {message.id: row.id for row in store.campaigns for message in row.messages}
    kinds = {"Received": "received", "Bounced": "bounced", "Opened": "opens", "Clicked": "clicks", "Marked": "spam"}
    expected: dict[tuple[str, date], dict[str, Any]] = defaultdict(lambda: defaultdict(int))
    first: dict[tuple[str, str, str], date] = {}
    for event in _events(shop):
        campaign = campaign_of.get(event.properties.get("$message", ""))
        kind = kinds.get(event.metric.partition(" ")[0])
        if campaign is None or kind is None:
            continue
        expected[campaign, event.day][kind] += 1
        if event.profile_id:
            key = (campaign, kind, event.profile_id)
            first[key] = min(event.day, first.get(key, event.day))
    for (campaign, kind, _profile), day in first.items():
        expected[campaign, day][f"unique {kind}"] += 1
    for order, refunded in _orders(shop):
        if order.campaign_id:
            row = expected[order.campaign_id, order.day]
            row["orders"] += 1
            row["revenue"] += order.value
            row["refunded"] += refunded
            row["net"] += order.value + refunded
    sent = {row.id: _day(row.send_time) for row in store.campaigns if row.status == "Sent"}
    for key in sent.items():
        expected[key]["orders"] += 0
    names = [
        *("received", "unique received", "bounced", "opens", "unique opens", "clicks", "unique clicks", "spam"),
        *("orders", "revenue", "refunded", "net"),
    ]
    found = shop.sql(
        "SELECT campaign_id, event_day, received, recipients, bounced, opens, unique_opens, clicks, unique_clicks, "
        "marked_as_spam, orders, revenue, refunded, net_revenue FROM klaviyo_analytics.campaign_performance"
    )
    assert {row[:2]: row[2:] for row in found} == {
        key: tuple(values[name] for name in names) for key, values in expected.items()
    }
    assert sum(row[10] for row in found) > 5
    assert sum(row[12] for row in found) < 0
    days = shop.sql("SELECT DISTINCT campaign_id, send_day, campaign_name FROM klaviyo_analytics.campaign_performance")
    assert {row[0]: row[1] for row in days} == sent
    assert {(row[0], row[2]) for row in days} == {(row.id, row.name) for row in store.campaigns if row.id in sent}


def _day(micros: int | None) -> date:
    return datetime.fromtimestamp((micros or 0) / 1e6, UTC).astimezone(COPENHAGEN).date()


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_example_in_the_description_of_a_table_gives_rows(shop: World, table: AnalyticsTable) -> None:
    _text, query, _end = re.split("```sql|```", table.description)
    rows = shop.sql(query)
    assert rows
    assert not any(None in row for row in rows if table.name == "daily_metrics")


def test_list_growth_equals_the_truth_for_every_day(shop: World) -> None:
    joined: dict[str, list[date]] = defaultdict(list)
    for list_id, members in shop.sandbox.store.members.items():
        joined[list_id] += [_day(member.joined_at) for member in members.sorted]
    last = max(day for days in joined.values() for day in days)
    expected = set()
    for list_id, days in joined.items():
        day = min(days, default=last + timedelta(days=1))
        while day <= last:
            expected.add((list_id, day, days.count(day), sum(each <= day for each in days)))
            day += timedelta(days=1)
    assert set(shop.sql("SELECT list_id, day, joined, members FROM klaviyo_analytics.list_growth")) == expected


def test_profile_activity_equals_the_truth(shop: World) -> None:
    seen: dict[str, list[Happened]] = {row.id: [] for row in shop.sandbox.store.profiles}
    for event in _events(shop):
        if event.profile_id:
            seen[event.profile_id].append(event)
    orders = [(order, refunded) for order, refunded in _orders(shop) if order.profile_id]
    expected = set()
    for profile_id, events in seen.items():
        own = [(order, refunded) for order, refunded in orders if order.profile_id == profile_id]
        opened = [event.at for event in events if event.metric.startswith("Opened")]
        expected.add(
            (
                profile_id,
                len(events),
                len({event.day for event in events}),
                max((event.at.timestamp() for event in events), default=None),
                max((at.timestamp() for at in opened), default=None),
                min((order.at.timestamp() for order, _ in own), default=None),
                len(own),
                sum((order.value or Decimal() for order, _ in own), Decimal()),
                sum(((order.value or Decimal()) + refunded for order, refunded in own), Decimal()),
            )
        )
    found = shop.sql(
        "SELECT profile_id, events, active_days, epoch(last_event_at), epoch(last_opened_at), epoch(first_order_at), "
        "orders, ordered_value, lifetime_value FROM klaviyo_analytics.profile_activity"
    )
    assert set(found) == expected
    assert len(found) == len(expected)
    assert any(row[8] < row[7] for row in found)
