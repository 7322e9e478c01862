"""Everything that reads a small document: whatever it holds, there is a result or an error that says what is wrong."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from klaviyo_pipeline.klaviyo.client.answers import LARGEST_DOCUMENT
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.client.rate_limits import EndpointLimit
from klaviyo_pipeline.klaviyo.client.settings import ClientSettings
from klaviyo_pipeline.klaviyo.client.transport import Answered
from klaviyo_pipeline.klaviyo.endpoints.account import Account, read_account
from klaviyo_pipeline.klaviyo.endpoints.key_check import check_account
from klaviyo_pipeline.klaviyo.endpoints.metric_aggregates import events_by_day
from klaviyo_pipeline.klaviyo.endpoints.parents import count_of_children
from klaviyo_pipeline.klaviyo.errors import KlaviyoError, NoCountError, UnavailableError, UnreadablePageError
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.hostile.documents import variants
from klaviyo_pipeline_tests.hostile.server import WireServer, answer, says, serving

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)
ACCOUNT = {
    "data": [
        {
            "type": "account",
            "id": "ABC123",
            "attributes": {
                "timezone": "Europe/Copenhagen",
                "preferred_currency": "DKK",
                "contact_information": {"organization_name": "Shop", "default_sender_name": "Sender"},
            },
        }
    ],
    "links": {"self": "https://a.klaviyo.com/api/accounts"},
}
COUNT = {"data": {"type": "list", "id": "L", "attributes": {"name": "List", "profile_count": 7}}}
AGGREGATE = {
    "data": {
        "type": "metric-aggregate",
        "id": "M",
        "attributes": {
            "dates": ["2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"],
            "data": [{"dimensions": [], "measurements": {"count": [3.0, 4]}}],
        },
    },
    "links": {"self": "https://a.klaviyo.com/api/metric-aggregates", "next": None, "prev": None},
}


def count_events(client: KlaviyoClient) -> Any:
    return events_by_day(client, "M", START, END, ZoneInfo("UTC"))


READERS: dict[str, tuple[Callable[[KlaviyoClient], Any], dict[str, Any]]] = {
    "account": (read_account, ACCOUNT),
    "account_check": (lambda client: check_account(client, CORE), ACCOUNT),
    "list_count": (lambda client: count_of_children(client, CORE["list_profiles"], "L"), COUNT),
    "aggregates": (count_events, AGGREGATE),
}


class Fixed:
    """A transport that gives the same answer to every request."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def send(self, _target: str, _body: bytes | None = None, _held: object = None) -> Answered:
        return Answered(200, {}, self.body)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> KlaviyoClient:
    """A client that retries at once."""
    monkeypatch.setattr(EndpointLimit, "reserve", lambda _self: 0.0)
    monkeypatch.setattr(KlaviyoClient, "_wait_before", lambda _self, _attempt, _hint: 0.0)
    return KlaviyoClient("pk_hostile", ClientSettings(retry_limit=1))


def reading(client: KlaviyoClient, name: str, body: bytes) -> Any:
    client._http = Fixed(body)  # type: ignore[assignment]
    return READERS[name][0](client)


def test_documents_when_right_then_are_read(client: KlaviyoClient) -> None:
    assert reading(client, "account", json.dumps(ACCOUNT).encode()) == Account("ABC123", "Europe/Copenhagen", "DKK")
    assert reading(client, "account_check", json.dumps(ACCOUNT).encode()).account == "Shop"
    assert reading(client, "list_count", json.dumps(COUNT).encode()) == 7
    counted = reading(client, "aggregates", json.dumps(AGGREGATE).encode())
    assert counted == {date(2026, 1, 1): 3, date(2026, 1, 2): 4}


@pytest.mark.parametrize("name", sorted(READERS))
def test_document_when_any_part_is_missing_or_something_else_then_is_read_or_refused_in_words(
    name: str, client: KlaviyoClient
) -> None:
    messages = []
    for document in variants(READERS[name][1]):
        try:
            reading(client, name, json.dumps(document).encode())
        except KlaviyoError as error:
            messages.append(str(error))
    assert len(messages) > 50
    assert all(message.isprintable() and len(message) < 1000 for message in messages)


BODIES = {
    "HTML": b"<!DOCTYPE html><html>maintenance</html>",
    "nothing": b"",
    "an array": b"[]",
    "null": b"null",
    "a text": b'"no"',
    "no data": b"{}",
    "nested": b'{"data":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "a number of 5,000 digits": b'{"data":' + b"9" * 5000 + b"}",
    "no UTF-8": b'{"data":"\xff"}',
    "cut off": json.dumps(ACCOUNT).encode()[:-10],
    "17 MB": b'{"data":"' + b"x" * LARGEST_DOCUMENT + b'"}',
}


@pytest.mark.parametrize("what", sorted(BODIES))
@pytest.mark.parametrize("name", sorted(READERS))
def test_document_when_it_is_none_then_is_asked_for_again_and_refused(
    name: str, what: str, client: KlaviyoClient
) -> None:
    with pytest.raises(UnavailableError, match=r"after 2 attempts.*unreadable answer"):
        reading(client, name, BODIES[what])


MESSAGES = {
    "another number of values": (
        "aggregates",
        {
            **AGGREGATE,
            "data": {
                "type": "metric-aggregate",
                "attributes": {"dates": [], "data": [{"measurements": {"count": [1]}}]},
            },
        },
        "count has 1 values for 0 dates",
    ),
    "a count below zero": (
        "aggregates",
        {
            "data": {
                "type": "metric-aggregate",
                "attributes": {"dates": ["2026-01-01T00:00:00Z"], "data": [{"measurements": {"count": [-1]}}]},
            }
        },
        "a count is a number (-1), but must be a whole number",
    ),
    "a date that is none": (
        "aggregates",
        {"data": {"type": "metric-aggregate", "attributes": {"dates": ["today"], "data": []}}},
        "a date is 'today', which begins no day in UTC",
    ),
    "a date beyond time": (
        "aggregates",
        {"data": {"type": "metric-aggregate", "attributes": {"dates": ["9999-12-31T23:59:59-12:00"], "data": []}}},
        "which begins no day in UTC",
    ),
    "no attributes": ("list_count", {"data": {}}, "the answer has no data.attributes"),
    "two accounts": ("account", {"data": [{}, {}]}, "the answer has 2 accounts, but must have one"),
    "a time zone that is a number": (
        "account",
        {"data": [{"id": "A", "attributes": {"timezone": 5}}]},
        "timezone is a number (5), but must be a text",
    ),
}


@pytest.mark.parametrize("what", sorted(MESSAGES))
def test_message_when_a_document_is_wrong_then_names_the_place_and_what_is_there(
    what: str, client: KlaviyoClient
) -> None:
    name, document, message = MESSAGES[what]
    with pytest.raises(UnavailableError) as refused:
        reading(client, name, json.dumps(document).encode())
    assert message in str(refused.value)


@pytest.mark.parametrize("timezone", [None, ""])
def test_account_when_it_has_no_time_zone_then_it_is_blank(timezone: Any, client: KlaviyoClient) -> None:
    document = {"data": [{"id": "A", "attributes": {"timezone": timezone}}]}
    assert reading(client, "account", json.dumps(document).encode()) == Account("A", "", "")


@pytest.mark.parametrize("attributes", [{}, {"profile_count": None}])
def test_count_when_klaviyo_has_none_then_is_not_asked_for_again(attributes: Any, client: KlaviyoClient) -> None:
    with pytest.raises(NoCountError, match="no profile_count for list 'L'"):
        reading(client, "list_count", json.dumps({"data": {"attributes": attributes}}).encode())


def test_counts_when_written_as_texts_then_are_read(client: KlaviyoClient) -> None:
    document = {"data": {"attributes": {"profile_count": "12"}}}
    assert reading(client, "list_count", json.dumps(document).encode()) == 12


def test_aggregates_when_pages_never_end_then_an_error_says_so(client: KlaviyoClient) -> None:
    document = AGGREGATE | {"links": {"next": "https://a.klaviyo.com/api/metric-aggregates?page%5Bcursor%5D=again"}}
    with pytest.raises(UnreadablePageError, match=r"a next link leads back to a page already read"):
        reading(client, "aggregates", json.dumps(document).encode())


@pytest.fixture
def server() -> Iterator[WireServer]:
    yield from serving()


def test_account_check_when_every_page_is_html_then_says_what_answered_over_http(
    server: WireServer, client: KlaviyoClient
) -> None:
    server.then(says(answer(BODIES["HTML"])))
    over_http = KlaviyoClient("pk_hostile", ClientSettings(retry_limit=1), base_url=server.url)
    with pytest.raises(UnavailableError, match=r"^Account: .*no valid JSON"):
        check_account(over_http, CORE)
