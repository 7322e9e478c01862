"""What the client says when nothing helps, and that the key is in none of it."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
import requests

from klaviyo_pipeline.klaviyo.catalogue.model import MEDIUM
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient, Request
from klaviyo_pipeline.klaviyo.client.rate_limits import RateLimits
from klaviyo_pipeline.klaviyo.client.settings import ClientSettings
from klaviyo_pipeline.klaviyo.errors import (
    AuthenticationError,
    CursorRefusedError,
    KlaviyoError,
    NotFoundError,
    RequestRefusedError,
    RevisionError,
    ScopeError,
    UnavailableError,
)
from klaviyo_pipeline.sandbox.server import RunningSandbox
from klaviyo_pipeline_tests.klaviyo.support import VirtualTime
from klaviyo_pipeline_tests.klaviyo.virtual import KEY, REQUEST, URL, client, clock, fetch, klaviyo, make, problem

__all__ = ["client", "clock", "klaviyo", "make"]


REFUSALS: dict[str, bytes] = {
    "errors is an object": b'{"errors": {}}',
    "errors is null": b'{"errors": null}',
    "no errors": b'{"errors": []}',
    "an error is null": b'{"errors": [null]}',
    "an error is a number": b'{"errors": [5]}',
    "source is a list": b'{"errors": [{"source": [], "detail": "D"}]}',
    "source is a text": b'{"errors": [{"source": "here", "detail": "D"}]}',
    "source names an object": b'{"errors": [{"source": {"parameter": {}}, "detail": "D"}]}',
    "detail is a number": b'{"errors": [{"detail": 5}]}',
    "status is a text": b'{"errors": [{"status": "four hundred", "detail": "D"}]}',
    "a list": b"[]",
    "null": b"null",
    "a text": b'"no"',
    "nested": b'{"errors": [{"detail": ' + b"[" * 5000 + b"]" * 5000 + b"}]}",
    "a number of 5,000 digits": b'{"errors": [{"detail": ' + b"9" * 5000 + b"}]}",
    "not UTF-8": b'{"errors": [{"detail": "\xff"}]}',
    "UTF-16": '{"errors": [{"detail": "D"}]}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"errors": [{"detail": "D"}]}',
    "control characters": b'{"errors": [{"detail": "\\u001b[2J\\u0000\\r\\nInjected: yes\\u202e\\ud800"}]}',
    "ten megabytes": b'{"errors": [{"detail": "' + b"x" * 10_000_000 + b'"}]}',
}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422, 302, 418, 429, 500])
@pytest.mark.parametrize("what", sorted(REFUSALS))
def test_message_when_the_error_document_is_odd_then_is_one_short_printable_line(
    what: str, status: int, make: Callable[..., KlaviyoClient], clock: VirtualTime, klaviyo: Any
) -> None:
    klaviyo.get(URL, status=status, body=REFUSALS[what])
    with pytest.raises(KlaviyoError) as refused:
        fetch(make(retry_limit=1), clock)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 1000


def test_message_when_the_page_has_a_long_address_then_only_its_beginning_is_shown(
    client: KlaviyoClient, clock: VirtualTime, klaviyo: Any
) -> None:
    klaviyo.get(URL, status=422)
    request = Request("/api/metrics?a=\x1b" + "x" * 10_000, "/api/metrics", MEDIUM, "Metrics\n" * 1000)
    with pytest.raises(RequestRefusedError) as refused:
        fetch(client, clock, request)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 1000


def test_message_when_the_key_is_wrong_then_is_a_sentence_that_says_where_the_key_is_from(
    client: KlaviyoClient, clock: VirtualTime, klaviyo: Any
) -> None:
    klaviyo.get(URL, **problem(401, "Incorrect authentication credentials.", "authentication_failed"))
    with pytest.raises(AuthenticationError) as refused:
        fetch(client, clock)
    assert str(refused.value) == (
        "Metrics: Klaviyo does not accept the API key from the code (401: Incorrect authentication credentials.). "
        "Check the key there, or make a new one in Klaviyo, Settings, API keys."
    )


def test_message_when_a_scope_is_missing_then_names_the_scope(
    client: KlaviyoClient, clock: VirtualTime, klaviyo: Any
) -> None:
    klaviyo.get(URL, **problem(403, "You do not have permission to perform this action.", "permission_denied"))
    with pytest.raises(ScopeError, match=r"metrics:read.*private key"):
        fetch(client, clock)


def test_message_when_the_host_is_unreachable_then_names_it_and_the_cause(clock: VirtualTime) -> None:
    client = KlaviyoClient(KEY, ClientSettings(retry_limit=1), base_url="http://127.0.0.1:9")
    client._limits = RateLimits(1.0, clock)
    with pytest.raises(UnavailableError, match=r"http://127.0.0.1:9 after 2 attempts.*[Cc]onnection refused"):
        fetch(client, clock)


def test_message_when_the_host_has_no_address_then_says_so(clock: VirtualTime) -> None:
    client = KlaviyoClient(KEY, ClientSettings(retry_limit=1), base_url="https://klaviyo.invalid")
    client._limits = RateLimits(1.0, clock)
    with pytest.raises(UnavailableError, match=r"klaviyo\.invalid"):
        fetch(client, clock)


@pytest.mark.parametrize(
    "answer",
    [
        problem(410, "Revision 2023-02-22 has been retired."),
        problem(400, "Unable to specify a future revision date."),
        problem(400, "This revision is before the earliest available, use a date after 2026-04-15"),
    ],
)
def test_message_when_the_revision_is_not_served_then_names_it_and_what_to_set(
    answer: dict[str, Any], make: Callable[..., KlaviyoClient], clock: VirtualTime, klaviyo: Any
) -> None:
    klaviyo.get(URL, **answer)
    with pytest.raises(RevisionError, match=r"revision 2026-04-15.*blank for the default"):
        fetch(make("2026-04-15"), clock)


@pytest.mark.parametrize(
    "answer",
    [
        problem(400, "Invalid cursor provided.", pointer="/data/"),
        problem(400, "Invalid input.", parameter="page[cursor]"),
    ],
)
def test_message_when_a_cursor_is_refused_then_error_says_it_is_the_cursor(
    answer: dict[str, Any], client: KlaviyoClient, clock: VirtualTime, klaviyo: Any
) -> None:
    klaviyo.get(URL, **answer)
    with pytest.raises(CursorRefusedError) as refused:
        fetch(client, clock)
    assert refused.value.parameter == "page_cursor"


def test_message_when_a_parameter_is_refused_then_error_carries_its_name(
    client: KlaviyoClient, clock: VirtualTime, klaviyo: Any
) -> None:
    klaviyo.get(URL, **problem(400, "Page size must be between 1 and 200.", parameter="page[size]"))
    with pytest.raises(RequestRefusedError, match=r"Page size must be") as refused:
        fetch(client, clock)
    assert (refused.value.status, refused.value.parameter) == (400, "page[size]")


def test_message_when_a_list_does_not_exist_then_names_it(
    sandbox: RunningSandbox, make_client: Callable[..., KlaviyoClient]
) -> None:
    request = Request("/api/lists/NOPE01", "/api/lists/{id}", MEDIUM, "Lists")
    with pytest.raises(NotFoundError, match=r"Lists: .*NOPE01.*does not exist"):
        make_client().get_json(request)


def test_message_when_the_error_document_is_odd_then_still_names_status_and_subject(
    client: KlaviyoClient, clock: VirtualTime, klaviyo: Any
) -> None:
    for body in ('{"errors": []}', '{"errors": {}}', '{"errors": [null]}', '{"errors": [{"source": []}]}'):
        klaviyo.get(URL, status=400, body=body)
        with pytest.raises(RequestRefusedError, match=r"Metrics.*400"):
            fetch(client, clock)


# The key


SECRET_ANSWERS = [
    *(problem(status, f"The key {KEY} is not known.") for status in (400, 401, 403, 404, 410, 418)),
    problem(400, f"Invalid cursor {KEY}."),
    problem(400, f"Invalid revision {KEY}."),
    {"status": 503, "body": f"upstream saw {KEY}"},
    {"status": 429, "body": KEY, "headers": {"Retry-After": "1"}},
    {"status": 200, "body": f"<html>{KEY}</html>"},
    {"status": 200, "json": {"data": KEY, KEY: 1, "links": {"next": [KEY]}}},
    {"body": requests.exceptions.ConnectionError(f"proxy refused header Klaviyo-API-Key {KEY}")},
]


@pytest.mark.parametrize("answer", SECRET_ANSWERS)
def test_key_when_the_server_echoes_it_then_stands_in_no_message_repr_or_log(
    answer: dict[str, Any],
    make: Callable[..., KlaviyoClient],
    clock: VirtualTime,
    klaviyo: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    client = make(retry_limit=1)
    klaviyo.get(URL, **answer)
    with pytest.raises(KlaviyoError) as failed:
        fetch(client, clock)
    shown = [str(failed.value), repr(failed.value), repr(client), repr(client.traffic), client.account, caplog.text]
    assert not any(KEY in text for text in shown)


def test_key_when_debug_logging_is_on_then_does_not_stand_in_it(
    make_client: Callable[..., KlaviyoClient], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    made = make_client()
    assert made.get_json(REQUEST)["data"]
    assert "/api/metrics" in caplog.text, "the libraries below did log the request"
    output = capfd.readouterr()
    assert "pk_sandbox" not in caplog.text + output.out + output.err


def test_account_when_key_or_address_differ_then_so_does_its_name() -> None:
    names = {
        KlaviyoClient(key, base_url=url).account for key in ("a", "b") for url in ("https://y.test", "https://x.test")
    }
    assert len(names) == 4
    assert (
        KlaviyoClient("a", base_url="https://x.test/").account
        == KlaviyoClient(" a ", base_url="https://x.test").account
    )
