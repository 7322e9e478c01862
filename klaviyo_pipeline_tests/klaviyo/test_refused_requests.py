"""After a 429: all requests wait, alone for as long as Klaviyo says, and unless other answers contradict it."""

import pytest

from klaviyo_pipeline.klaviyo.catalogue.model import EXTRA_LARGE, LARGE
from klaviyo_pipeline.klaviyo.client.rate_limits import EndpointLimit
from klaviyo_pipeline_tests.klaviyo.pacing import Clock, allowed, sent_by_turns


@pytest.mark.parametrize("asked", [0.5, 1.0, 37.0])
def test_requests_when_one_is_answered_429_then_all_wait_for_retry_after(asked: float) -> None:
    clock = Clock()
    limit = EndpointLimit(EXTRA_LARGE, 0.9, clock)
    clock.send(limit)
    told = clock.now
    limit.throttled(asked)
    assert limit.reserve() == pytest.approx(asked)
    assert clock.send(limit) >= told + asked


def test_requests_when_a_shorter_retry_after_follows_a_longer_then_the_longer_holds() -> None:
    clock = Clock()
    limit = EndpointLimit(EXTRA_LARGE, 0.9, clock)
    limit.throttled(30.0)
    limit.throttled(1.0)
    assert limit.reserve() == pytest.approx(30.0)


def test_burst_when_told_off_many_times_at_once_then_is_lowered_once_and_recovers() -> None:
    clock = Clock()
    limit = EndpointLimit(LARGE, 1.0, clock)
    for _ in range(16):
        limit.throttled(1.0)
    bursts = []
    for _ in range(6):
        clock.now += 1.1
        bursts.append(sent_by_turns([limit]))
    assert bursts[0] == int(LARGE.burst * 0.8 * 1.05)
    assert bursts == sorted(bursts)
    assert bursts[-1] == LARGE.burst


@pytest.mark.parametrize("refusals", [1, 10])
@pytest.mark.parametrize("sent", [100, 600])
def test_minute_when_refused_for_a_second_then_holds_as_many_requests_as_without(sent: int, refusals: int) -> None:
    clock = Clock()
    limit, began = EndpointLimit(LARGE, 0.9, clock), clock.now
    quota = allowed(LARGE.steady, 0.9)
    for number in range(quota):
        clock.send(limit)
        if number >= sent and number % 20 == 0 and refusals:
            refusals -= 1
            limit.throttled(1.0)
    assert clock.now < began + 60 - 1.0, "none of the minute's quota waits for the next minute"
    assert clock.send(limit) >= began + 60


def test_requests_when_refused_before_any_limit_was_stated_then_those_sent_before_do_not_count() -> None:
    clock = Clock()
    limit = EndpointLimit(LARGE, 1.0, clock)
    limit.observe({})
    for _ in range(900):
        clock.send(limit)
    limit.throttled(1.0)
    began = clock.now
    assert clock.send(limit) == pytest.approx(began + 1.0, abs=0.1)
    for _ in range(LARGE.steady - 1):
        clock.send(limit)
    assert clock.now < began + 60
    assert clock.send(limit) >= began + 60


@pytest.mark.parametrize(
    ("answered", "remaining", "blocked"),
    [(2.0, "1", False), (2.0, None, False), (2.0, "0", True), (1.0, "30", True), (0.5, "30", True)],
    ids=["sent later", "sent later, no header", "sent later, the last one", "sent at once", "sent before"],
)
def test_refusal_when_a_request_sent_later_is_answered_then_counts_for_nothing(
    answered: float, remaining: str | None, blocked: bool
) -> None:
    clock = Clock(10.0)
    limit = EndpointLimit(LARGE, 1.0, clock)
    stated = {"RateLimit-Limit": "75, 75;w=1, 750;w=60"}
    limit.observe(stated)
    limit.throttled(5.0, sent_at=1.0)
    limit.observe({**stated, **({"RateLimit-Remaining": remaining} if remaining else {})}, sent_at=answered)
    assert (limit.reserve() > 4.9) is blocked
    clock.now += 6
    assert sent_by_turns([limit]) == (int(LARGE.burst * 0.8 * 1.05) if blocked else LARGE.burst)


@pytest.mark.parametrize(("retry_after_s", "remaining", "blocked"), [(1.0, 9, False), (1.0, 8, True), (40.0, 74, True)])
def test_refusal_when_an_answer_shows_more_left_than_was_sent_since_then_counts_for_nothing(
    retry_after_s: float, remaining: int, blocked: bool
) -> None:
    clock = Clock(10.0)
    limit = EndpointLimit(LARGE, 1.0, clock)
    for _ in range(9):
        clock.send(limit)
        clock.now += 0.01
    limit.throttled(retry_after_s, sent_at=10.08)
    limit.observe(
        {"RateLimit-Limit": "75, 75;w=1, 750;w=60", "RateLimit-Remaining": str(remaining)}, sent_at=10.0 + 1e-9
    )
    assert (limit.reserve() > 0.0) is blocked


def test_refusal_when_the_answer_before_it_shows_room_then_one_counts_for_nothing_and_the_next_is_taken_seriously() -> (
    None
):
    clock = Clock(10.0)
    limit = EndpointLimit(LARGE, 1.0, clock)
    limit.observe({"RateLimit-Limit": "75, 75;w=1, 750;w=60", "RateLimit-Remaining": "30"}, sent_at=9.9)
    limit.throttled(1.0, sent_at=9.95)
    assert limit.reserve() == 0.0
    limit.throttled(1.0, sent_at=9.96)
    assert limit.reserve() == pytest.approx(1.0)


def test_refusal_when_the_answer_before_it_is_of_an_earlier_window_then_holds() -> None:
    limit = EndpointLimit(LARGE, 1.0, Clock(10.0))
    limit.observe({"RateLimit-Limit": "75, 75;w=1, 750;w=60", "RateLimit-Remaining": "30"}, sent_at=8.9)
    limit.throttled(1.0, sent_at=9.95)
    assert limit.reserve() == pytest.approx(1.0)


def test_refusal_when_later_requests_were_refused_too_then_one_between_them_contradicts_nothing() -> None:
    limit = EndpointLimit(LARGE, 1.0, Clock(10.0))
    for sent_at in (1.0, 3.0, 2.0):
        limit.throttled(5.0, sent_at=sent_at)
    limit.observe({"RateLimit-Remaining": "9"}, sent_at=2.5)
    assert limit.reserve() == pytest.approx(5.0)
    limit.observe({"RateLimit-Remaining": "9"}, sent_at=3.5)
    assert limit.reserve() == 0.0


def test_waiting_when_the_limit_recovers_meanwhile_then_ends_early() -> None:
    clock = Clock()
    limit = EndpointLimit(LARGE, 1.0, clock)
    limit.throttled(40.0, sent_at=1.0)
    expected: list[float] = []

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        limit.observe({"RateLimit-Remaining": "9"}, sent_at=2.0)

    assert limit.acquire(sleep, expected.append) < 10
    assert expected == [pytest.approx(40.0)]
