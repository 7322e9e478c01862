"""The generated shop: the same for the same seed, and believable."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace

import msgspec
import pytest

from klaviyo_pipeline.sandbox.data.shop import generate_shop
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.data.times import SECOND, parse_time
from klaviyo_pipeline.sandbox.options import SandboxOptions
from klaviyo_pipeline.sandbox.server import build_sandbox
from klaviyo_pipeline_tests.sandbox.client import Client
from klaviyo_pipeline_tests.sandbox.conftest import NO_LIMITS, SMALL


def test_same_seed_same_bytes_in_another_interpreter() -> None:
    options = SandboxOptions(seed=3, profiles=50, events=300, until="2026-11-01")
    script = (
        "import hashlib; from klaviyo_pipeline.sandbox.data.shop import generate_shop; "
        "from klaviyo_pipeline.sandbox.options import SandboxOptions; "
        f"print(hashlib.sha256(repr(generate_shop({options!r})).encode()).hexdigest())"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1


def test_same_seed_same_answers() -> None:
    answers = [
        Client(build_sandbox(SMALL, NO_LIMITS)).get("/api/events?include=metric,profile,attributions").content
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert answers[0] != Client(build_sandbox(replace(SMALL, seed=8), NO_LIMITS)).get("/api/events").content


def test_sizes_are_the_options(store: Store) -> None:
    assert len(store.events) == SMALL.events
    assert len(store.profiles) == SMALL.profiles
    assert len(store.lists) == SMALL.lists
    assert len(store.templates) == SMALL.templates
    assert len(store.campaigns) == SMALL.campaigns


@pytest.mark.parametrize("option", ["profiles", "events", "lists", "templates", "campaigns"])
def test_nothing_of_one_kind_is_a_shop_too(option: str) -> None:
    shop = generate_shop(replace(SMALL, **{option: 0}))
    assert getattr(shop, option) == []


def test_default_history_ends_at_the_hour() -> None:
    until = SandboxOptions().until_moment()
    assert (until.minute, until.second, until.microsecond) == (0, 0, 0)


def test_a_few_events_are_ahead_of_time_of_nobody_or_of_no_metric(store: Store) -> None:
    until = parse_time(str(SMALL.until)) // SECOND
    assert 0 < sum(event.timestamp > until for event in store.events) < 20
    assert 0 < sum(event.profile_id is None for event in store.events) < 20
    assert 0 < sum(event.metric_id is None for event in store.events) < 20


def test_attributes_of_events_agree_with_their_row(store: Store) -> None:
    for event in store.events:
        attributes = msgspec.json.decode(event.document)
        assert attributes["timestamp"] == event.timestamp
        assert parse_time(attributes["datetime"]) == event.timestamp * SECOND


def test_two_metrics_share_a_name(store: Store) -> None:
    names = Counter(metric.name for metric in store.metrics)
    assert names["Placed Order"] == 2
    assert {metric.integration["name"] for metric in store.metrics} == {"Shopify", "Klaviyo", "API"}


def test_orders_have_values_and_refunds_negative_ones(store: Store) -> None:
    ids = {metric.name: metric.id for metric in store.metrics if metric.integration["name"] == "Shopify"}

    def values(name: str) -> list[float]:
        events = store.events.of_metric(ids[name])
        return [msgspec.json.decode(event.document)["event_properties"]["$value"] for event in events]

    assert min(values("Placed Order")) > 0
    assert max(values("Refunded Order")) < 0
    items = msgspec.json.decode(store.events.of_metric(ids["Placed Order"])[0].document)
    assert items["event_properties"]["Items"][0]["ProductName"]


def test_mails_name_their_campaign_or_flow(store: Store) -> None:
    opened = next(metric.id for metric in store.metrics if metric.name == "Opened Email")
    said = [msgspec.json.decode(event.document)["event_properties"] for event in store.events.of_metric(opened)]
    messages = {message.id for row in store.campaigns for message in row.messages}
    assert all(properties["Campaign Name"] and properties["Subject"] for properties in said)
    assert any(properties["$message"] in messages for properties in said)
    assert any("$flow" in properties for properties in said)


def test_every_attribution_names_an_event_that_exists(store: Store) -> None:
    owed = [each for event in store.events for each in event.attributions]
    assert {len(event.attributions) for event in store.events} == {0, 1, 2, 3}
    assert owed
    assert all(store.events.get(found.attributed_event_id) for found in owed)
    assert len({found.id for found in owed}) == len(owed)


def test_one_list_is_empty_and_one_is_large(store: Store) -> None:
    sizes = [len(members) for members in store.members.values()]
    assert min(sizes) == 0
    assert max(sizes) > SMALL.profiles / 2


def test_members_joined_after_they_were_created(store: Store) -> None:
    for members in store.members.values():
        for member in members.sorted:
            assert member.joined_at >= store.profiles.rows[member.profile_id].created


def test_campaigns_of_three_channels_some_archived(store: Store) -> None:
    assert {row.channel for row in store.campaigns} == {"email", "sms", "mobile_push"}
    assert {row.archived for row in store.campaigns} == {True, False}
    assert len({row.status for row in store.campaigns}) > 1
