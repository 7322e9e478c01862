"""What of a request is retried, and how long is waited."""

import email.utils
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_pipeline.klaviyo.client import answers
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.errors import (
    AuthenticationError,
    CancelledError,
    KlaviyoError,
    NotFoundError,
    RateLimitedError,
    RequestRefusedError,
    RevisionError,
    ScopeError,
    UnavailableError,
)
from klaviyo_pipeline_tests.klaviyo.support import VirtualTime
from klaviyo_pipeline_tests.klaviyo.virtual import PAGE, REQUEST, URL, client, clock, fetch, klaviyo, make, problem

__all__ = ["client", "clock", "klaviyo", "make"]


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
