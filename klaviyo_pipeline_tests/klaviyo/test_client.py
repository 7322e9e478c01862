"""One request, done well: what is retried, how long is waited, and what is said when nothing helps."""

import email.utils
import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import responses
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.model import MEDIUM
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.client import answers
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient, Request, target_of_link
from klaviyo_pipeline.klaviyo.client.rate_limits import RateLimits
from klaviyo_pipeline.klaviyo.client.settings import ClientSettings
from klaviyo_pipeline.klaviyo.decode.pages import PageDecoder
from klaviyo_pipeline.klaviyo.errors import (
    AuthenticationError,
    CancelledError,
    CursorRefusedError,
    KlaviyoError,
    NotFoundError,
    RateLimitedError,
    RequestRefusedError,
    RevisionError,
    ScopeError,
    UnavailableError,
)
from klaviyo_pipeline.sandbox.server import RunningSandbox
from klaviyo_pipeline_tests.klaviyo.support import VirtualTime

KEY = "pk_" + "0123456789abcdef" * 2
URL = "https://a.klaviyo.com/api/metrics"
PAGE = {"data": [], "links": {"self": URL, "next": None, "prev": None}}
REQUEST = Request("/api/metrics", "/api/metrics", MEDIUM, "Metrics", ("metrics:read",))


def problem(status: int, detail: str, code: str = "invalid", **source: str) -> dict[str, Any]:
    error = {"id": "1", "status": status, "code": code, "title": "t", "detail": detail, "source": source}
    return {"status": status, "json": {"errors": [error]}}


@pytest.fixture
def clock() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def make(clock: VirtualTime) -> Callable[..., KlaviyoClient]:
    """Makes a client whose rate limits and waits are in virtual time."""

    def make(revision: str | None = None, **changes: Any) -> KlaviyoClient:
        made = KlaviyoClient(KEY, ClientSettings(**changes), revision=revision)
        made._limits = RateLimits(1.0, clock)
        return made

    return make


@pytest.fixture
def client(make: Callable[..., KlaviyoClient]) -> KlaviyoClient:
    return make()


@pytest.fixture
def klaviyo() -> Any:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def fetch(client: KlaviyoClient, clock: VirtualTime, request: Request = REQUEST) -> Any:
    decoder = PageDecoder(SOURCES["metrics"].columns, client.revision)
    return client.fetch(request, lambda body, _revision: decoder.decode(body), clock)  # type: ignore[arg-type]


# What is sent


def test_request_when_sent_then_names_key_revision_and_format(
    client: KlaviyoClient, clock: VirtualTime, klaviyo: Any
) -> None:
    klaviyo.get(URL, json=PAGE)
    fetch(client, clock)
    sent = klaviyo.calls[0].request.headers
    assert sent["Authorization"] == f"Klaviyo-API-Key {KEY}"
    assert sent["revision"] == "2026-07-15"
    assert sent["Accept"] == "application/vnd.api+json"
    assert sent["User-Agent"].startswith("klaviyo-pipeline/")


def test_request_when_netrc_has_an_entry_for_the_host_then_the_key_is_sent_all_the_same(
    client: KlaviyoClient, clock: VirtualTime, klaviyo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine a.klaviyo.com login someone password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert requests.utils.get_netrc_auth(URL) == ("someone", "secret"), "the entry is one that requests would use"
    klaviyo.get(URL, json=PAGE)
    fetch(client, clock)
    assert klaviyo.calls[0].request.headers["Authorization"] == f"Klaviyo-API-Key {KEY}"


def test_answer_when_another_revision_answered_then_says_which(
    client: KlaviyoClient, clock: VirtualTime, klaviyo: Any
) -> None:
    klaviyo.get(URL, json=PAGE, headers={"X-Klaviyo-API-Revision": "2025-01-15"})
    klaviyo.get(URL, json=PAGE)
    assert fetch(client, clock).revision == "2025-01-15"
    assert fetch(client, clock).revision == "2026-07-15"


# Retries


FAULTS: dict[str, dict[str, Any]] = {
    **{str(status): {"status": status, "body": "<html>oops</html>"} for status in (500, 502, 503, 504, 520, 524, 408)},
    "429": {"status": 429, "json": {"errors": []}, "headers": {"Retry-After": "1"}},
    "html with 200": {"status": 200, "body": "<!DOCTYPE html><html>maintenance</html>"},
    "html with 403": {"status": 403, "body": "<html>challenge</html>", "headers": {"cf-mitigated": "challenge"}},
    "html with 404": {"status": 404, "body": "<html>no such site</html>"},
    "cut-off json": {"status": 200, "body": '{"data": [{"type": "metric", "id": "a", "attr'},
    "cut-off refusal": {"status": 400, "body": '{"errors": [{"id": "5a9'},
    "empty": {"status": 200, "body": ""},
    "another document": {"status": 200, "json": {"rows": []}},
    "a list": {"status": 200, "json": []},
    "no connection": {"body": requests.exceptions.ConnectionError("refused")},
    "connect timeout": {"body": requests.exceptions.ConnectTimeout()},
    "read timeout": {"body": requests.exceptions.ReadTimeout()},
    "reset": {"body": ConnectionResetError(104, "Connection reset by peer")},
    "tls": {"body": requests.exceptions.SSLError("handshake failure")},
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_request_when_a_fault_passes_then_is_retried_and_answered(
    fault: str, client: KlaviyoClient, clock: VirtualTime, klaviyo: Any
) -> None:
    klaviyo.get(URL, **FAULTS[fault])
    klaviyo.get(URL, **FAULTS[fault])
    klaviyo.get(URL, json=PAGE)
    answer = fetch(client, clock)
    assert (answer.retries, client.traffic.requests, client.traffic.retries) == (2, 3, 2)
    assert answer.value.rows == 0


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_request_when_a_fault_stays_then_gives_up_naming_the_page_and_the_attempts(
    fault: str, make: Callable[..., KlaviyoClient], clock: VirtualTime, klaviyo: Any
) -> None:
    klaviyo.get(URL, **FAULTS[fault])
    client = make(retry_limit=3)
    with pytest.raises(RateLimitedError if fault == "429" else UnavailableError) as given_up:
        fetch(client, clock)
    assert len(klaviyo.calls) == 4
    assert "Metrics" in str(given_up.value)
    assert " 4 " in str(given_up.value)
    if fault != "429":
        assert "/api/metrics" in str(given_up.value)
        assert "https://a.klaviyo.com" in str(given_up.value)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (problem(400, "Bad filter."), RequestRefusedError),
        (problem(401, "Incorrect authentication credentials."), AuthenticationError),
        (problem(403, "You do not have permission."), ScopeError),
        (problem(404, "Not there."), NotFoundError),
        (problem(410, "Gone."), RevisionError),
        (problem(422, "No."), RequestRefusedError),
        ({"status": 302, "headers": {"Location": "https://elsewhere.example/"}}, RequestRefusedError),
    ],
)
def test_request_when_refused_for_good_then_is_not_retried(
    answer: dict[str, Any], error: type[KlaviyoError], client: KlaviyoClient, clock: VirtualTime, klaviyo: Any
) -> None:
    klaviyo.get(URL, **answer)
    with pytest.raises(error, match=r"^Metrics"):
        fetch(client, clock)
    assert len(klaviyo.calls) == 1
    assert clock.waits == []


def test_waits_when_retrying_then_double_within_their_jitter_up_to_the_cap(
    make: Callable[..., KlaviyoClient], clock: VirtualTime, klaviyo: Any
) -> None:
    client = make(retry_limit=7, initial_retry_wait_s=2, max_retry_wait_s=30)
    klaviyo.get(URL, status=503)
    with pytest.raises(UnavailableError):
        fetch(client, clock)
    assert len(clock.waits) == 7
    for wait_s, ceiling in zip(clock.waits, [2, 4, 8, 16, 30, 30, 30], strict=True):
        assert 0.75 * ceiling <= wait_s <= ceiling
    assert client.traffic.retry_wait_s == pytest.approx(sum(clock.waits))


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("text", "seconds"), [("7", 7.0), ("2.5", 2.5), ("0", 0.0), (" 3 ", 3.0), ("-4", 0.0)])
def test_retry_after_when_a_number_then_that_long_is_waited(
    status: int, text: str, seconds: float, client: KlaviyoClient, clock: VirtualTime, klaviyo: Any
) -> None:
    klaviyo.get(URL, status=status, headers={"Retry-After": text})
    klaviyo.get(URL, json=PAGE)
    begin = clock.now
    fetch(client, clock)
    assert clock.now - begin >= max(seconds, 0.75)
    if status == 503:
        assert clock.waits == [seconds] if seconds >= 1 else 0.75 <= clock.waits[0] <= 1.0


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("hint", ["0", "-1", "0.001", "Fri, 20 Nov 2020 10:00:00 GMT", "-inf", None])
def test_retry_after_when_zero_or_past_then_the_waits_double_all_the_same(
    hint: str | None, status: int, make: Callable[..., KlaviyoClient], clock: VirtualTime, klaviyo: Any
) -> None:
    well_at = clock.now + 4.0
    headers = {} if hint is None else {"Retry-After": hint}

    def answer(_request: Any) -> Any:
        return (200, {}, json.dumps(PAGE)) if clock.now >= well_at else (status, headers, "")

    klaviyo.add_callback("GET", URL, answer)
    assert fetch(make(retry_limit=5), clock).retries <= 3


def test_retry_after_when_longer_than_the_doubled_wait_then_lengthens_it(
    make: Callable[..., KlaviyoClient], clock: VirtualTime, klaviyo: Any
) -> None:
    klaviyo.get(URL, status=503, headers={"Retry-After": "7"})
    with pytest.raises(UnavailableError):
        fetch(make(retry_limit=5), clock)
    assert clock.waits[:3] == [7.0, 7.0, 7.0]
    assert 12.0 <= clock.waits[4] <= 16.0


def test_retry_after_when_an_http_date_then_is_waited_until_then(
    client: KlaviyoClient, clock: VirtualTime, klaviyo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = datetime(2026, 11, 23, 10, tzinfo=UTC).timestamp()
    monkeypatch.setattr(answers.time, "time", lambda: today)
    klaviyo.get(URL, status=503, headers={"Retry-After": email.utils.formatdate(today + 20, usegmt=True)})
    klaviyo.get(URL, status=503, headers={"Retry-After": email.utils.formatdate(today - 20, usegmt=True)})
    klaviyo.get(URL, json=PAGE)
    fetch(client, clock)
    assert clock.waits[0] == pytest.approx(20.0)
    assert 1.5 <= clock.waits[1] <= 2.0


def test_retry_after_when_a_date_of_a_clock_that_is_ahead_then_is_measured_by_that_clock() -> None:
    told = {"Date": "Fri, 20 Nov 2099 10:00:00 GMT", "Retry-After": "Fri, 20 Nov 2099 10:00:02 GMT"}
    assert answers.retry_after(told) == 2


@pytest.mark.parametrize(
    "text", ["soon", "", "Wed, 99 Foo 2026", "1,5", "nan", "Fri, 20 Nov 99999 10:00:00 GMT",
             "Fri, 20 Nov 2020 10:00:00 +9999999999"]
)  # fmt: skip
def test_retry_after_when_unreadable_then_is_ignored(
    text: str, client: KlaviyoClient, clock: VirtualTime, klaviyo: Any
) -> None:
    klaviyo.get(URL, status=503, headers={"Retry-After": text})
    klaviyo.get(URL, json=PAGE)
    fetch(client, clock)
    assert len(clock.waits) == 1
    assert 0.75 <= clock.waits[0] <= 1.0


@given(st.text(max_size=40) | st.floats().map(str) | st.integers().map(str))
def test_retry_after_when_any_text_then_seconds_or_nothing(text: str) -> None:
    seconds = answers.retry_after({"Retry-After": text})
    assert seconds is None or seconds >= 0.0


@pytest.mark.parametrize("text", ["86400", "inf", "9" * 400, "1e300", "Fri, 20 Nov 9998 10:00:00 GMT"])
def test_retry_after_when_longer_than_allowed_then_fails_at_once_naming_the_setting(
    text: str, make: Callable[..., KlaviyoClient], clock: VirtualTime, klaviyo: Any
) -> None:
    client = make(max_retry_wait_s=60)
    klaviyo.get(URL, status=429, headers={"Retry-After": text})
    with pytest.raises(RateLimitedError, match=r"max_retry_wait_s \(60 s\)"):
        fetch(client, clock)
    assert clock.waits == []


def test_request_when_an_earlier_one_was_told_to_wait_a_day_then_does_not_wait_that_long(
    make: Callable[..., KlaviyoClient], clock: VirtualTime, klaviyo: Any
) -> None:
    client = make(max_retry_wait_s=60)
    klaviyo.get(URL, status=429, headers={"Retry-After": "86400"})
    for _ in range(2):
        with pytest.raises(RateLimitedError):
            fetch(client, clock)
    assert sum(clock.waits) <= 60


def test_stated_limit_when_its_wait_is_longer_than_allowed_then_fails_saying_how_long(
    make: Callable[..., KlaviyoClient], clock: VirtualTime, klaviyo: Any
) -> None:
    client = make(max_retry_wait_s=60)
    klaviyo.get(URL, json=PAGE, headers={"RateLimit-Limit": "1, 1;w=86400"})
    fetch(client, clock)
    with pytest.raises(RateLimitedError, match=r"^Metrics: .* wait 86400 s .*1 in 86400 s.*max_retry_wait_s \(60 s\)"):
        fetch(client, clock)
    assert clock.waits == []


def test_stated_limit_when_its_wait_is_long_then_is_logged_once_a_minute(
    make: Callable[..., KlaviyoClient], clock: VirtualTime, klaviyo: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client = make(max_retry_wait_s=300)
    klaviyo.get(URL, json=PAGE, headers={"RateLimit-Limit": "1, 1;w=200"})
    for _ in range(3):
        fetch(client, clock)
    assert sum(clock.waits) == pytest.approx(400, abs=1)
    assert [record.getMessage() for record in caplog.records if "waiting" in record.message] == [
        "Metrics: waiting 200 s for Klaviyo's rate limit"
    ]


def test_catalogued_limit_when_longer_than_max_retry_wait_then_is_waited_for(
    make: Callable[..., KlaviyoClient], clock: VirtualTime, klaviyo: Any
) -> None:
    client = make(max_retry_wait_s=30)
    klaviyo.get(URL, json=PAGE, headers={"RateLimit-Limit": "10, 10;w=1, 10;w=60"})
    for _ in range(11):
        fetch(client, clock)
    assert sum(clock.waits) > 30


def test_request_when_another_was_told_to_wait_then_waits_too(
    client: KlaviyoClient, clock: VirtualTime, klaviyo: Any
) -> None:
    klaviyo.get(URL, json=PAGE)
    client.limit(REQUEST).throttled(12.0)
    fetch(client, clock)
    assert sum(clock.waits) == pytest.approx(12.0)
    assert client.traffic.limit_wait_s == pytest.approx(12.0)


def test_request_when_cancelled_while_waiting_then_stops_at_once(
    client: KlaviyoClient, clock: VirtualTime, klaviyo: Any
) -> None:
    klaviyo.get(URL, status=503)
    clock.cancelled = True
    with pytest.raises(CancelledError, match=r"Metrics"):
        fetch(client, clock)
    assert len(klaviyo.calls) <= 1


def test_throttling_when_answered_then_is_counted(client: KlaviyoClient, clock: VirtualTime, klaviyo: Any) -> None:
    klaviyo.get(URL, status=429, headers={"Retry-After": "1"})
    klaviyo.get(URL, json=PAGE)
    before = client.traffic.copy()
    fetch(client, clock)
    counted = client.traffic.since(before)
    assert (counted.requests, counted.retries, counted.throttled) == (2, 1, 1)


@pytest.mark.parametrize(
    "date", ["", "soon", "Fri, 20 Nov 99999 10:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT",
             "Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 20 Nov 2020 10:00:00 +9999999999"]
)  # fmt: skip
def test_clock_when_the_answers_date_is_none_then_is_not_measured_by_it(
    date: str, client: KlaviyoClient, clock: VirtualTime, klaviyo: Any
) -> None:
    klaviyo.get(URL, json=PAGE, headers={"Date": date})
    fetch(client, clock)
    assert client.clock_ahead_s == 0.0


@pytest.mark.parametrize(
    "text", ["", "latest", "; DROP TABLE", "../", "2026-13-45", "0000-00-00", "2026-07-15.x", "２０２６-07-15",
             "2026-07-15 ", "2" * 5000, "2026-07-15/../.."]
)  # fmt: skip
def test_revision_when_an_answer_names_none_that_can_be_then_counts_as_not_named(
    text: str, client: KlaviyoClient, clock: VirtualTime, klaviyo: Any
) -> None:
    klaviyo.get(URL, json=PAGE, headers={"X-Klaviyo-API-Revision": text})
    assert fetch(client, clock).revision == "2026-07-15"


@pytest.mark.parametrize("text", ["2027-01-15", "2027-01-15.pre"])
def test_revision_when_an_answer_names_a_later_one_then_counts(
    text: str, client: KlaviyoClient, clock: VirtualTime, klaviyo: Any
) -> None:
    klaviyo.get(URL, json=PAGE, headers={"X-Klaviyo-API-Revision": text})
    assert fetch(client, clock).revision == text


@pytest.mark.parametrize("status", [204, 206, 304, 501, 530, 999])
def test_request_when_the_status_is_no_pages_then_is_retried(
    status: int, client: KlaviyoClient, clock: VirtualTime, klaviyo: Any
) -> None:
    klaviyo.get(URL, status=status, body="" if status in {204, 304} else "?")
    klaviyo.get(URL, json=PAGE)
    assert fetch(client, clock).retries == 1


# What is said


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


# What is refused before anything is sent


@pytest.mark.parametrize("key", ["", "  ", "\n"])
def test_client_when_there_is_no_key_then_message_names_the_variable(key: str) -> None:
    with pytest.raises(ConfigurationError, match=r"KLAVIYO_API_KEY"):
        KlaviyoClient(key)


@pytest.mark.parametrize("key", ["pk_a b", "pk_ü", "pk_\x00a", "pk_a\r\nEvil: yes"])
def test_client_when_the_key_holds_odd_characters_then_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigurationError, match=r"characters") as refused:
        KlaviyoClient(key)
    assert key not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["", "a.klaviyo.com", "ftp://a.klaviyo.com", "https://", "https://user:pw@host", "https://:pw@host", "http://[::1",
     "http://host:port", "http://host:99999"],
)  # fmt: skip
def test_client_when_the_address_is_none_then_is_refused_without_showing_a_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"base_url") as refused:
        KlaviyoClient(KEY, base_url=url)
    assert "pw" not in str(refused.value)


def test_client_when_the_revision_is_malformed_then_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"revision"):
        KlaviyoClient(KEY, revision="latest")


# Links


@pytest.mark.parametrize(
    ("link", "followed"),
    [
        ("https://a.klaviyo.com/api/events?page%5Bcursor%5D=x%3D%3D", "/api/events?page%5Bcursor%5D=x%3D%3D"),
        ("https://elsewhere.example/api/events?a=b", "/api/events?a=b"),
        ("http://elsewhere.example:8080/api/events?next=https://x/y", "/api/events?next=https://x/y"),
        ("/api/events?a=b", "/api/events?a=b"),
        ("https://elsewhere.example", "/"),
    ],
)
def test_link_when_followed_then_only_path_and_query_count_to_the_letter(link: str, followed: str) -> None:
    assert target_of_link(link) == followed


@pytest.mark.parametrize(
    "link", ["@evil.example/api", ".evil.example/api", ":80@evil.example/", "//evil.example/api", "evil", "", "?a=b",
             "https://evil.example", "https:\\\\evil.example\\", "javascript:alert(1)", "\\@evil.example"]
)  # fmt: skip
def test_link_when_made_to_lead_elsewhere_then_stays_on_the_configured_host(link: str) -> None:
    url = requests.Request("GET", "https://a.klaviyo.com" + target_of_link(link)).prepare().url
    assert url is not None
    assert url.startswith("https://a.klaviyo.com/")


@given(st.text(max_size=30))
def test_link_when_any_text_then_stays_on_the_configured_host(link: str) -> None:
    assert target_of_link(link).startswith("/")


def test_network_time_is_that_of_the_last_exchange_alone(sandbox: RunningSandbox) -> None:
    client = KlaviyoClient("pk_sandbox", ClientSettings(), base_url=sandbox.url)
    began = time.monotonic()
    answer = client.fetch(REQUEST, lambda body, _revision: len(body))
    assert 0 < answer.network_s <= time.monotonic() - began
