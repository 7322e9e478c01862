"""The metric and the profile of every event, with far fewer requests than events."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.errors import NotFoundError, RequestRefusedError, UnavailableError
from klaviyo_pipeline.klaviyo.extract.extract import extract
from klaviyo_pipeline.klaviyo.extract.model import ExtractRequest
from klaviyo_pipeline.klaviyo.extract.progress import Progress
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.klaviyo.windows import Window
from klaviyo_pipeline.sandbox.api.messages import Response
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.faults.plan import Fault, FaultPlan
from klaviyo_pipeline.sandbox.server import RunningSandbox
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.klaviyo.support import NOW, SHOP_ENDS, Watched, load, rows_of
from klaviyo_pipeline_tests.klaviyo.test_resume import slow_pages

START = SHOP_ENDS - timedelta(days=4)
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("datetime", pa.timestamp("us", "UTC")),
        ("metric_id", pa.string()),
        ("profile_id", pa.string()),
    ]
)
KEYS = {"event_metrics": "metric_id", "event_profiles": "profile_id"}
COLLECTION = {"event_metrics": "metrics", "event_profiles": "profiles"}
SINGLE = {"event_metrics": "get_metric_for_event", "event_profiles": "get_profile_for_event"}


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([{name: row.get(name) for name in SCHEMA.names} for row in rows], SCHEMA)


@pytest.fixture
def load_events(
    client: KlaviyoClient, area: StagingArea, watched: Watched
) -> Callable[[], tuple[list[dict[str, Any]], pa.Table]]:
    """Loads the events of some days; then nothing has been asked for yet."""

    def load_them() -> tuple[list[dict[str, Any]], pa.Table]:
        rows = load(client, area, "events", START).rows
        watched.requests.clear()
        watched.operations.clear()
        return rows, table(rows)

    return load_them


def asked_singly(watched: Watched) -> list[str]:
    return [request.path.split("/")[3] for request in watched.requests if request.path.startswith("/api/events/")]


@pytest.mark.parametrize("name", KEYS)
def test_fan_out_when_the_answers_have_several_pages_then_has_a_row_for_each_event(
    name: str,
    load_events: Callable[[], tuple[list[dict[str, Any]], pa.Table]],
    client: KlaviyoClient,
    area: StagingArea,
    sandbox: RunningSandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows, events = load_events()
    monkeypatch.setattr(sandbox.app, "faults", FaultPlan(1, [Fault("short-pages", argument="2")]))

    found = load(client, area, name, START, parents=events).rows

    assert {row["event_id"]: row[KEYS[name]] for row in found} == {
        row["id"]: row[KEYS[name]] for row in rows if row[KEYS[name]]
    }


@pytest.mark.parametrize("name", KEYS)
def test_fan_out_when_given_many_events_then_has_a_row_for_each_from_far_fewer_requests(
    name: str,
    load_events: Callable[[], tuple[list[dict[str, Any]], pa.Table]],
    client: KlaviyoClient,
    area: StagingArea,
    sandbox: RunningSandbox,
    watched: Watched,
) -> None:
    events, parents = load_events()
    loaded = load(client, area, name, START, parents=parents)
    key, there = KEYS[name], getattr(sandbox.store, COLLECTION[name])
    expected = {row["id"]: row for row in events if row[key] in there}
    assert len(events) > 500
    assert Counter(loaded.ids) == Counter(expected.keys())
    for row in loaded.rows:
        event = expected[row["id"]]
        assert (row["event_id"], row["event_datetime"], row[key]) == (event["id"], event["datetime"], event[key])
        known = there.get(row[key])
        assert (row["name"] if name == "event_metrics" else row["email"]) == (
            known.name if name == "event_metrics" else known.email
        )
    assert len(watched.requests) < len(events) / 10
    assert loaded.staged.rows == len(loaded.rows)
    assert loaded.staged.revision == "2026-07-15"


def test_fan_out_when_profiles_were_deleted_then_each_is_asked_for_once_and_has_no_row(
    load_events: Callable[[], tuple[list[dict[str, Any]], pa.Table]],
    client: KlaviyoClient,
    area: StagingArea,
    store: Store,
    watched: Watched,
) -> None:
    events, parents = load_events()
    often = Counter(row["profile_id"] for row in events if row["profile_id"]).most_common(3)
    for profile_id, _count in often:
        store.delete("profiles", profile_id)
    gone = {row["profile_id"] for row in events if row["profile_id"] and row["profile_id"] not in store.profiles}
    assert gone >= {profile_id for profile_id, _count in often}
    loaded = load(client, area, "event_profiles", START, parents=parents)
    expected = [row["id"] for row in events if row["profile_id"] and row["profile_id"] not in gone]
    assert sorted(loaded.ids) == sorted(expected)
    asked = asked_singly(watched)
    by_id = {row["id"]: row for row in events}
    named = [by_id[each]["profile_id"] for each in asked if by_id[each]["profile_id"]]
    assert sorted(named) == sorted(gone), "one event of each deleted profile is asked for"
    assert not loaded.staged.findings.vanished


def test_fan_out_when_an_event_does_not_name_its_profile_then_is_asked_for_by_itself(
    client: KlaviyoClient, area: StagingArea, sandbox: RunningSandbox, watched: Watched
) -> None:
    events = [each for each in sandbox.store.events if each.profile_id in sandbox.store.profiles][:6]
    rows = [{"id": each.id, "datetime": NOW, "profile_id": each.profile_id if i % 2 else None}
            for i, each in enumerate(events)]  # fmt: skip
    loaded = load(client, area, "event_profiles", parents=table(rows))
    assert {row["id"]: row["profile_id"] for row in loaded.rows} == {each.id: each.profile_id for each in events}
    assert {row["event_datetime"] for row in loaded.rows} == {NOW}
    assert sorted(asked_singly(watched)) == sorted(each.id for each in events[::2])


def test_fan_out_when_the_collection_lacks_a_profile_that_its_events_have_then_all_of_them_get_it(
    client: KlaviyoClient, area: StagingArea, sandbox: RunningSandbox, watched: Watched
) -> None:
    owner = max(sandbox.store.profiles, key=lambda each: len(sandbox.store.events.of_profile(each.id)))
    events = sandbox.store.events.of_profile(owner.id)[:5]
    watched.script = lambda operation, _request: (
        Response(200, b'{"data":[],"links":{"self":"x","next":null}}') if operation == "get_profiles" else None
    )
    rows = [{"id": each.id, "datetime": NOW, "profile_id": owner.id} for each in events]
    loaded = load(client, area, "event_profiles", parents=table(rows))
    assert sorted(loaded.ids) == sorted(each.id for each in events)
    assert {row["email"] for row in loaded.rows} == {owner.email}


def test_fan_out_when_profiles_are_asked_for_then_a_hundred_ids_a_request_each_once(
    load_events: Callable[[], tuple[list[dict[str, Any]], pa.Table]],
    client: KlaviyoClient,
    area: StagingArea,
    watched: Watched,
) -> None:
    events, parents = load_events()
    load(client, area, "event_profiles", START, parents=parents)
    wanted = {row["profile_id"] for row in events if row["profile_id"]}
    batches = [request for request in watched.requests if request.path == "/api/profiles"]
    assert len(batches) == -(-len(wanted) // 100)
    asked = [each for request in batches for each in request.parameters["filter"].split('"')[1::2]]
    assert sorted(asked) == sorted(wanted)


@pytest.mark.parametrize("name", KEYS)
def test_fan_out_when_there_are_no_events_then_nothing_is_asked_for(
    name: str, client: KlaviyoClient, area: StagingArea, watched: Watched
) -> None:
    assert load(client, area, name, START, parents=table([])).rows == []
    assert watched.requests == []


@pytest.mark.parametrize("name", KEYS)
def test_fan_out_when_no_event_names_anything_then_each_is_asked_for(
    name: str, client: KlaviyoClient, area: StagingArea, sandbox: RunningSandbox
) -> None:
    events = [each for each in sandbox.store.events if each.profile_id in sandbox.store.profiles][:3]
    rows = [{"id": each.id, "datetime": NOW} for each in events]
    assert sorted(load(client, area, name, parents=table(rows)).ids) == sorted(each.id for each in events)


@pytest.mark.parametrize("name", KEYS)
def test_ids_when_given_by_hand_then_only_their_own_endpoints_are_asked(
    name: str, client: KlaviyoClient, area: StagingArea, sandbox: RunningSandbox, watched: Watched
) -> None:
    events = [each for each in sandbox.store.events if each.profile_id in sandbox.store.profiles][:5]
    ids = [each.id for each in events]
    loaded = load(client, area, name, ids=ids)
    assert sorted(loaded.ids) == sorted(ids)
    assert set(watched.operations) == {SINGLE[name]}
    assert sorted(asked_singly(watched)) == sorted(ids)
    key = KEYS[name]
    assert {row["event_id"]: row[key] for row in loaded.rows} == {each.id: getattr(each, key) for each in events}


@pytest.mark.parametrize("name", KEYS)
def test_id_when_given_by_hand_and_unknown_then_error_names_it(
    name: str, client: KlaviyoClient, area: StagingArea
) -> None:
    with pytest.raises((NotFoundError, RequestRefusedError), match=r"event '7zzzzzzzzzz'.*7zzzzzzzzzz"):
        load(client, area, name, ids=["7zzzzzzzzzz"])


@pytest.mark.parametrize("name", KEYS)
def test_fan_out_when_given_neither_events_nor_ids_then_is_refused(
    name: str, client: KlaviyoClient, area: StagingArea
) -> None:
    with pytest.raises(ConfigurationError, match=rf"{name} needs the events"):
        load(client, area, name)


@pytest.mark.parametrize("name", KEYS)
def test_fan_out_when_it_fails_then_leaves_no_folder_behind(
    name: str,
    load_events: Callable[[], tuple[list[dict[str, Any]], pa.Table]],
    client: KlaviyoClient,
    area: StagingArea,
    watched: Watched,
) -> None:
    _events, parents = load_events()
    watched.script = lambda _operation, _request: Response(503, b"")
    with pytest.raises(UnavailableError):
        load(client, area, name, START, parents=parents)
    assert not [path for path in area.root.iterdir() if path.is_dir()]


def test_fan_out_when_killed_at_half_of_the_profiles_then_the_next_run_asks_for_the_other_half(
    load_events: Callable[[], tuple[list[dict[str, Any]], pa.Table]],
    client: KlaviyoClient,
    area: StagingArea,
    watched: Watched,
) -> None:
    _events, parents = load_events()
    source = CORE["event_profiles"]
    assert source.fan_out is not None
    few = replace(source, fan_out=replace(source.fan_out, chunk=4))

    def read(stop_after: int | None = None) -> list[str]:
        pages = 0

        def report(progress: Progress) -> None:
            nonlocal pages
            pages = max(pages, progress.pages)
            if stop_after is not None and pages >= stop_after:
                raise KeyboardInterrupt

        request = ExtractRequest(few, Window(START, None, NOW), None, few.choose(), None, rows_of(few, parents, area))
        watched.requests.clear()
        staged = extract(client, request, area, report, report_every_s=0.001)
        ids = [each for batch in staged.batches() for each in batch.column("event_id").to_pylist()]
        staged.landed()
        return sorted(ids)

    expected = read()
    whole = len(watched.requests)
    slow_pages(watched)
    with pytest.raises(KeyboardInterrupt):
        read(stop_after=whole // 2)
    assert read() == expected
    assert len(watched.requests) <= 0.55 * whole + client.settings.max_connections < whole
    assert not [path for path in area.root.iterdir() if path.is_dir()]


def test_fan_out_when_options_are_chosen_then_their_columns_are_filled(
    load_events: Callable[[], tuple[list[dict[str, Any]], pa.Table]], client: KlaviyoClient, area: StagingArea
) -> None:
    _events, parents = load_events()
    loaded = load(client, area, "event_profiles", START, parents=parents, subscriptions=True)
    assert all(row["subscriptions"] for row in loaded.rows)
    assert "predictive_analytics" not in loaded.rows[0]
