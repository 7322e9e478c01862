"""An answer that says it is not whole is retried, then fails with what it said; no reader takes it for the truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import product
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.client.settings import ClientSettings
from klaviyo_pipeline.klaviyo.endpoints.account import read_account
from klaviyo_pipeline.klaviyo.endpoints.metric_aggregates import events_by_day
from klaviyo_pipeline.klaviyo.endpoints.parents import count_of_children
from klaviyo_pipeline.klaviyo.errors import KlaviyoError, UnavailableError
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.loads.preview import preview
from klaviyo_pipeline.orchestration.assets.config import default_request
from klaviyo_pipeline.orchestration.assets.spec import default_spec
from klaviyo_pipeline.orchestration.partitions import daily_partitions
from klaviyo_pipeline_tests.breadth import broad
from klaviyo_pipeline_tests.hostile.scripted import Asked, Document, Klaviyo, Twist, resources, scripted
from klaviyo_pipeline_tests.klaviyo.support import load

PEOPLE = [f"P{number:03}" for number in range(50)]
METRICS = [f"M{number:03}" for number in range(50)]
CREATED = "2026-11-02T00:00:00+00:00"
JOINED = [f"2026-11-02T00:00:{number:02}+00:00" for number in range(50)]
COLLECTIONS = {
    "/api/metrics": resources("metric", METRICS, name="Opened", created=CREATED, updated=CREATED),
    "/api/lists": resources("list", ["L1"], name="News", created=CREATED, updated=CREATED),
    "/api/lists/L1/profiles": resources("profile", PEOPLE, email="a@example.com", joined_group_at=JOINED),
    "/api/accounts": resources("account", ["ACC1"], timezone="UTC", preferred_currency="EUR"),
}
DAY = datetime(2026, 11, 2, tzinfo=UTC)
COUNTS = {
    "type": "metric-aggregate",
    "id": "x",
    "attributes": {"dates": [DAY.isoformat()], "data": [{"dimensions": [], "measurements": {"count": [3]}}]},
}
THINGS = {
    "/api/lists/L1": {"type": "list", "id": "L1", "attributes": {"profile_count": 50}},
    "/api/metric-aggregates": COUNTS,
}


def without(name: str) -> Twist:
    return lambda _asked, document: {key: value for key, value in document.items() if key != name}


def having(**members: Any) -> Twist:
    return lambda _asked, document: {**document, **members}


def item(change: Callable[[Document], Any]) -> Twist:
    def twist(_asked: Asked, document: Document) -> Document:
        data = document["data"]
        return {**document, "data": [*data[:-1], change(data[-1])] if isinstance(data, list) else change(data)}

    return twist


def first_of_list(_asked: Asked, document: Document) -> Document:
    data = document["data"]
    return {**document, "data": data[0] if isinstance(data, list) else [data]}


def twice(name: str, first: Any) -> Twist:
    """A member that stands in the text twice; a JSON parser takes the second one."""
    return lambda _asked, document: f'{{"{name}": {json.dumps(first)}, {json.dumps(document)[1:]}'.encode()


def next_with(change: Callable[[dict[str, str]], dict[str, str]], query: str = "") -> Twist:
    """A next link whose query, beside its cursor, is another one than that of the page."""

    def twist(asked: Asked, document: Document) -> Document:
        parameters = urlencode(change({**asked.query, "page[cursor]": str(asked.page + 1)}))
        return {**document, "links": {"next": f"{asked.path}?{parameters}{query}"}}

    return twist


ERRORS = [{"id": "1", "code": "timeout", "title": "Timeout", "detail": "Shard 7 did not answer."}]
NOT_WHOLE: dict[str, tuple[Twist, str]] = {
    "errors beside data": (having(errors=ERRORS), "Shard 7 did not answer"),
    "errors of another form": (having(errors={"reason": "half"}), "half"),
    "errors and no data": (lambda _asked, _document: {"errors": ERRORS}, "Shard 7 did not answer"),
    "data null": (having(data=None), "data"),
    "data missing": (without("data"), "JSON:API|data"),
    "one for a list, a list for one": (first_of_list, "array|list|object"),
    "data a text": (having(data="all"), "array|list|object"),
    "data twice": (twice("data", []), "twice"),
    "errors twice": (twice("errors", ERRORS), "twice|Shard 7"),
    "links twice": (twice("links", {"next": "/api/metrics?page%5Bcursor%5D=1"}), "twice"),
    "document a list": (lambda _asked, document: json.dumps([document]).encode(), "object|document"),
}
WRONG_ITEMS: dict[str, tuple[Twist, str]] = {
    "another type": (item(lambda each: {**each, "type": "segment"}), "segment"),
    "no type": (item(lambda each: {name: each[name] for name in ("id", "attributes")}), "type"),
    "no id": (item(lambda each: {**each, "id": None}), "without an id"),
    "empty id": (item(lambda each: {**each, "id": ""}), "without an id"),
    "id a number": (item(lambda each: {**each, "id": 17}), "17"),
    "a number": (item(lambda _each: 17), "object|int"),
    "null": (item(lambda _each: None), "object|null"),
}
NO_LINKS: dict[str, tuple[Twist, str]] = {
    "missing": (without("links"), "no links"),
    "null": (having(links=None), "no links"),
    "a list": (having(links=[]), "links"),
    "a text": (having(links="none"), "links"),
    "empty": (having(links={}), "no links"),
    "without next": (having(links={"self": "/api/lists"}), "no links"),
    "with a blank next": (having(links={"next": ""}), "next link"),
    "to another path": (having(links={"next": "/api/lists/L2/profiles?page%5Bcursor%5D=1"}), "leads to"),
    "to another filter": (next_with(lambda query: {**query, "filter": 'equals(name,"Opened")'}), "another filter"),
    "to another revision": (next_with(lambda query: {**query, "revision": "2023-02-22"}), "another revision"),
    "to other fields": (next_with(lambda query: {**query, "fields[metric]": "name"}), r"another fields\[metric\]"),
    "to a host": (having(links={"next": "https://elsewhere.example"}), "leads to"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Klaviyo]:
    with scripted(Klaviyo(COLLECTIONS, THINGS)) as klaviyo:
        yield klaviyo


@pytest.fixture
def klaviyo(server: Klaviyo, no_waiting: None) -> Iterator[Klaviyo]:
    before = server.twist
    server.asked.clear()
    yield server
    server.twist = before


@pytest.fixture
def client(klaviyo: Klaviyo) -> KlaviyoClient:
    settings = ClientSettings(retry_limit=2, initial_retry_wait_s=0.001, max_connections=2)
    return KlaviyoClient("pk_scripted", settings, base_url=klaviyo.url)


Reader = Callable[[KlaviyoClient, StagingArea], Any]


def extracted(name: str) -> Reader:
    # What a killed or failed fetch left is taken up, with its last rows once more.
    return lambda client, area: {row["id"]: row for row in load(client, area, name).rows}


def previewed(client: KlaviyoClient, _area: StagingArea) -> Any:
    spec = default_spec(SOURCES["metrics"], daily_partitions("2024-01-01", "UTC"))
    return preview(client, default_request(spec), UTC, rows=30)


def counted(client: KlaviyoClient, _area: StagingArea) -> Any:
    return events_by_day(client, "M001", DAY, datetime(2026, 11, 3, tzinfo=UTC), ZoneInfo("UTC"))


READERS: dict[str, tuple[str, Reader]] = {
    "metrics": ("/api/metrics", extracted("metrics")),
    "members of lists": ("/api/lists/L1/profiles", extracted("list_profiles")),
    "lists as parents": ("/api/lists", extracted("list_profiles")),
    "preview": ("/api/metrics", previewed),
    "account": ("/api/accounts", lambda client, _area: read_account(client)),
    "list counts": ("/api/lists/L1", lambda client, _area: count_of_children(client, SOURCES["list_profiles"], "L1")),
    "aggregates": ("/api/metric-aggregates", counted),
}
_RIGHT: dict[str, Any] = {}


def right_of(reader: str, client: KlaviyoClient, area: StagingArea) -> Any:
    """What a reader gives of right answers, read once."""
    if reader not in _RIGHT:
        _RIGHT[reader] = READERS[reader][1](client, area)
    return _RIGHT[reader]


COLLECTION_READERS = ["metrics", "members of lists", "lists as parents", "preview"]


def on_page(path: str, page: int, twist: Twist, times: int | None = None) -> Twist:
    """Twists one page of one path, so many times."""
    left = [times if times is not None else 1_000]

    def only(asked: Asked, document: Document) -> Any:
        if asked.path != path or asked.page != page or not left[0]:
            return document
        left[0] -= 1
        return twist(asked, document)

    return only


@pytest.mark.parametrize(("reader", "case"), broad(product(READERS, NOT_WHOLE)))
def test_answer_that_says_it_is_not_whole_is_retried_then_fails_with_what_it_said(
    klaviyo: Klaviyo, client: KlaviyoClient, area: StagingArea, reader: str, case: str
) -> None:
    (path, read), (twist, says) = READERS[reader], NOT_WHOLE[case]
    right = right_of(reader, client, area)

    klaviyo.twist = on_page(path, 0, twist)
    with pytest.raises(UnavailableError, match=rf"after 3 attempts.*({says})"):
        read(client, area)

    klaviyo.twist = on_page(path, 0, twist, times=2)
    assert read(client, area) == right


@pytest.mark.parametrize(("reader", "case"), broad(product(COLLECTION_READERS, WRONG_ITEMS)))
def test_row_of_another_type_or_without_an_id_is_retried_then_fails(
    klaviyo: Klaviyo, client: KlaviyoClient, area: StagingArea, reader: str, case: str
) -> None:
    (path, read), (twist, says) = READERS[reader], WRONG_ITEMS[case]
    right = right_of(reader, client, area)

    klaviyo.twist = on_page(path, 0, twist)
    with pytest.raises(UnavailableError, match=rf"after 3 attempts.*({says})"):
        read(client, area)

    klaviyo.twist = on_page(path, 0, twist, times=1)
    assert read(client, area) == right


@pytest.mark.parametrize(
    ("page", "reader", "case"), broad(product((1, 2), ("metrics", "members of lists", "preview"), NO_LINKS))
)
def test_later_page_without_links_is_retried_then_fails(
    klaviyo: Klaviyo, client: KlaviyoClient, area: StagingArea, reader: str, case: str, page: int
) -> None:
    (path, read), (twist, says) = READERS[reader], NO_LINKS[case]
    if reader == "preview" and page == 2:
        pytest.skip("a preview has enough rows before")
    right = right_of(reader, client, area)

    klaviyo.twist = on_page(path, page, twist)
    with pytest.raises(KlaviyoError, match=says):
        read(client, area)

    klaviyo.twist = on_page(path, page, twist, times=2)
    assert read(client, area) == right


@pytest.mark.parametrize("case", ["missing", "null", "empty", "without next"])
def test_lone_first_page_without_links_is_the_end(
    klaviyo: Klaviyo, client: KlaviyoClient, area: StagingArea, case: str
) -> None:
    klaviyo.twist = NO_LINKS[case][0]

    assert load(client, area, "lists").ids == ["L1"]


def test_page_without_rows_in_the_middle_is_read_past(
    klaviyo: Klaviyo, client: KlaviyoClient, area: StagingArea
) -> None:
    klaviyo.twist = on_page("/api/metrics", 1, having(data=[]))

    assert load(client, area, "metrics").ids == METRICS[:20] + METRICS[40:]


def test_event_without_a_metric_is_answered_by_null_and_is_no_fault(
    klaviyo: Klaviyo, client: KlaviyoClient, area: StagingArea, monkeypatch: pytest.MonkeyPatch
) -> None:
    things = {**THINGS, "/api/events/E1/metric": None, "/api/events/E2/metric": COLLECTIONS["/api/metrics"][0]}
    monkeypatch.setattr(klaviyo, "things", things)

    found = load(client, area, "event_metrics", ids=["E1", "E2"])

    assert [(row["event_id"], row["metric_id"]) for row in found.rows] == [("E2", "M000")]
