"""Many requests: whatever the window, the page size and the connections, what is fetched is what is there."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.model import FilterBy
from klaviyo_pipeline.klaviyo.catalogue.revisions import expected_answer
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.errors import (
    NotFoundError,
    ScopeError,
)
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.server import RunningSandbox
from klaviyo_pipeline_tests.breadth import broad
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.klaviyo.support import (
    NOW,
    REVISION_SHAPES,
    SHOP_ENDS,
    Watched,
    busiest_minutes,
    events_in_ten_minutes,
    load,
    page_size,
    truth,
)
from klaviyo_pipeline_tests.soaking import examples

Make = Callable[..., KlaviyoClient]
COLLECTIONS = tuple(name for name, source in CORE.items() if source.fan_out is None or source.fan_out.key is None)
WINDOWS = [
    (name, each.filter_by)
    for name in COLLECTIONS
    for each in CORE[name].time_fields
]  # fmt: skip
QUICK = examples(15, settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]))


@pytest.mark.parametrize("name", COLLECTIONS)
def test_collection_when_read_whole_then_every_row_comes_once(
    name: str, client: KlaviyoClient, area: StagingArea, sandbox: RunningSandbox
) -> None:
    loaded = load(client, area, name)
    assert sorted(loaded.ids) == truth(sandbox.store, name)
    assert loaded.staged.rows == len(loaded.ids)
    assert loaded.staged.traffic.throttled == 0
    assert loaded.staged.revision == "2026-07-15"
    assert not loaded.staged.findings.misfits


@pytest.mark.parametrize(("name", "filter_by"), WINDOWS)
def test_collection_when_read_by_each_of_its_times_then_is_what_lies_in_the_window(
    name: str, filter_by: FilterBy, client: KlaviyoClient, area: StagingArea, sandbox: RunningSandbox
) -> None:
    everything = len(truth(sandbox.store, name))
    seen = 0
    for start, end in [
        (None, SHOP_ENDS - timedelta(days=5)),
        (SHOP_ENDS - timedelta(days=5), SHOP_ENDS),
        (SHOP_ENDS, None),
    ]:
        loaded = load(client, area, name, start, end, filter_by=filter_by)
        assert sorted(loaded.ids) == truth(sandbox.store, name, start, end, filter_by)
        seen += len(loaded.ids)
    assert seen == everything


TIMES = st.datetimes(
    datetime(2026, 11, 1),  # noqa: DTZ001
    datetime(2026, 11, 21),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@QUICK
@given(
    name=st.sampled_from(["events", "profiles", "list_profiles"]),
    bounds=st.tuples(st.none() | TIMES, st.none() | TIMES),
    connections=st.integers(1, 9),
    size=st.integers(20, 100),
)
def test_window_when_any_with_any_page_size_and_connections_then_is_exactly_the_truth(
    name: str,
    bounds: tuple[datetime | None, datetime | None],
    connections: int,
    size: int,
    make_client: Make,
    area: StagingArea,
    sandbox: RunningSandbox,
) -> None:
    start, end = bounds
    if start and end:
        start, end = min(start, end), max(start, end) + timedelta(seconds=1)
    client = make_client(max_connections=connections)
    page_size(client, name, size * 4 if name == "events" else size)
    loaded = load(client, area, name, start, end)
    assert sorted(loaded.ids) == truth(sandbox.store, name, start, end)


@QUICK
@given(
    cuts=st.lists(TIMES, min_size=1, max_size=4, unique=True).map(sorted),
    name=st.sampled_from(["events", "profiles", "templates", "campaigns", "lists"]),
)
def test_windows_when_they_meet_then_together_have_every_row_exactly_once(
    cuts: list[datetime], name: str, client: KlaviyoClient, area: StagingArea, sandbox: RunningSandbox
) -> None:
    bounds: list[datetime | None] = [None, *cuts, None]
    ids = [each for start, end in pairwise(bounds) for each in load(client, area, name, start, end).ids]
    assert sorted(ids) == truth(sandbox.store, name)


@pytest.mark.parametrize("revision", ["2023-02-22", *REVISION_SHAPES])
def test_campaigns_when_read_in_any_revision_then_all_channels_and_archived_ones_come(
    revision: str, make_client: Make, area: StagingArea, sandbox: RunningSandbox
) -> None:
    loaded = load(make_client(revision), area, "campaigns")
    assert sorted(loaded.ids) == truth(sandbox.store, "campaigns")
    assert {row["archived"] for row in loaded.rows} == {True, False}
    if revision < "2026-10-15":
        assert {row["channel"] for row in loaded.rows} == {"email", "sms", "mobile_push"}
    assert loaded.staged.revision == expected_answer(revision)


@pytest.mark.parametrize(
    ("name", "revision"), broad(product(COLLECTIONS, ("2025-01-15", "2025-10-15", "2026-04-15", "2026-10-15")))
)
def test_collection_when_read_in_another_revision_then_is_the_same(
    name: str, revision: str, make_client: Make, area: StagingArea, sandbox: RunningSandbox, watched: Watched
) -> None:
    if name == "events":
        start = SHOP_ENDS - timedelta(days=1)
        # Revisions before 2026-07-15 leave out events whose metric is gone.
        events, metrics = sandbox.store.events, sandbox.store.metrics
        left_out = {event.id for event in events if event.metric_id not in metrics and revision < "2026-07-15"}
        expected = [each for each in truth(sandbox.store, name, start) if each not in left_out]
        assert sorted(load(make_client(revision), area, name, start).ids) == expected
    else:
        assert sorted(load(make_client(revision), area, name).ids) == truth(sandbox.store, name)
    assert {request.headers["revision"] for request in watched.requests} == {revision}


def test_events_when_dated_in_the_future_then_come_if_and_only_if_the_window_is_open(
    client: KlaviyoClient, area: StagingArea, store: Store
) -> None:
    store.put("events", [{"id": "ahead", "datetime": (NOW + timedelta(days=200)).isoformat()}])
    assert "ahead" in load(client, area, "events", SHOP_ENDS).ids
    assert "ahead" in load(client, area, "events").ids
    assert "ahead" not in load(client, area, "events", SHOP_ENDS, NOW - timedelta(hours=1)).ids
    assert "ahead" not in load(client, area, "events", SHOP_ENDS, NOW + timedelta(days=1)).ids
    assert "ahead" in load(client, area, "events", SHOP_ENDS, NOW + timedelta(days=300)).ids


@pytest.mark.parametrize("name", COLLECTIONS)
def test_requests_when_the_window_ends_in_the_future_then_none_is_bounded_by_a_time_after_now(
    name: str, client: KlaviyoClient, area: StagingArea, watched: Watched
) -> None:
    load(client, area, name, SHOP_ENDS - timedelta(days=1), NOW + timedelta(days=30))
    assert watched.requests
    for expression in watched.asked("filter"):
        assert "2026-12" not in (expression or "")
        assert (
            "less" not in (expression or "") or "2026-11-2" in (expression or "") or "2026-11-19" in (expression or "")
        )


def test_lists_when_only_greater_than_is_taken_then_the_second_of_the_start_is_not_lost(
    client: KlaviyoClient, area: StagingArea, store: Store, watched: Watched
) -> None:
    at = datetime(2026, 11, 18, 9, tzinfo=UTC)
    store.put(
        "lists", [{"id": f"LST{i:03d}", "updated": (at + timedelta(seconds=i - 1)).isoformat()} for i in range(3)]
    )
    assert sorted(load(client, area, "lists", at, at + timedelta(seconds=1)).ids) == ["LST001"]
    assert all("greater-than(updated,2026-11-18T08:59:59Z)" in (each or "") for each in watched.asked("filter"))


def test_collection_when_it_has_no_time_then_filter_by_is_refused(client: KlaviyoClient, area: StagingArea) -> None:
    with pytest.raises(ConfigurationError, match=r"filter_by is 'updated', but metrics takes"):
        load(client, area, "metrics", filter_by=FilterBy.UPDATED)


def test_collection_when_given_ids_it_does_not_take_then_is_refused(client: KlaviyoClient, area: StagingArea) -> None:
    with pytest.raises(ConfigurationError, match=r"profiles does not take ids"):
        load(client, area, "profiles", ids=["x"])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("events", {"related": True, "attributions": True}),
        ("profiles", {"subscriptions": True, "predictive_analytics": True}),
        ("list_profiles", {"subscriptions": True}),
    ],
)
def test_options_when_chosen_then_their_columns_are_filled(
    name: str, options: dict[str, bool], client: KlaviyoClient, area: StagingArea
) -> None:
    start = SHOP_ENDS - timedelta(days=2)
    loaded = load(client, area, name, start, **options)
    for column in CORE[name].columns:
        if column.option in options and column.name != "flow_message_variation_id":
            assert any(row[column.name] is not None for row in loaded.rows), column.name
    assert not loaded.staged.findings.misfits


def test_list_members_when_of_some_lists_only_then_are_theirs(
    client: KlaviyoClient, area: StagingArea, sandbox: RunningSandbox
) -> None:
    chosen = sorted(sandbox.store.lists.rows)[:2]
    loaded = load(client, area, "list_profiles", ids=chosen)
    assert sorted(loaded.ids) == [each for each in truth(sandbox.store, "list_profiles") if each[:6] in chosen]
    assert {row["list_id"] for row in loaded.rows} <= set(chosen)


def test_list_when_asked_for_by_hand_and_unknown_then_error_names_it(client: KlaviyoClient, area: StagingArea) -> None:
    with pytest.raises(NotFoundError, match=r"list 'NOPE01'.*NOPE01.*does not exist"):
        load(client, area, "list_profiles", ids=["NOPE01"])


def test_key_when_its_scope_is_missing_then_error_names_the_scope(make_client: Make, area: StagingArea) -> None:
    with pytest.raises(ScopeError, match=r"events:read"):
        load(make_client(key="pk_narrow"), area, "events")


def test_events_when_all_in_ten_minutes_then_the_ten_minutes_are_read_by_more_than_one_slice(
    make_client: Make, area: StagingArea, store: Store, watched: Watched
) -> None:
    store.put("events", events_in_ten_minutes(None, None, 6_000))
    client = make_client(max_connections=6)
    page_size(client, "events", 100)
    start = datetime(2026, 11, 10, tzinfo=UTC)
    loaded = load(client, area, "events", start, start + timedelta(days=1))
    assert sorted(loaded.ids) == truth(store, "events", start, start + timedelta(days=1))
    assert loaded.staged.rows == len(loaded.ids), "no row is read twice"
    begun = {request.parameters["filter"] for request in watched.requests if "page[cursor]" not in request.parameters}
    inside = [each for each in begun if "greater-or-equal(datetime,2026-11-10T09:0" in each]
    assert len(inside) > 1


def test_events_when_thousands_share_one_second_then_all_come_once(
    make_client: Make, area: StagingArea, store: Store
) -> None:
    at = datetime(2026, 11, 12, 10, 0, 7, tzinfo=UTC)
    store.put("events", [{"id": f"same{number:05d}", "datetime": at.isoformat()} for number in range(1_500)])
    client = make_client(max_connections=5)
    page_size(client, "events", 100)
    for start, end in [(at, at + timedelta(seconds=1)), (at - timedelta(hours=1), at + timedelta(hours=1))]:
        loaded = load(client, area, "events", start, end)
        assert sorted(loaded.ids) == truth(store, "events", start, end)
        assert len(loaded.ids) >= 1_500


def test_shop_when_it_has_a_busy_ten_minutes_then_they_are_complete(
    client: KlaviyoClient, area: StagingArea, sandbox: RunningSandbox
) -> None:
    start, end, count = busiest_minutes(sandbox.store)
    assert len(load(client, area, "events", start, end).ids) == count > 10
