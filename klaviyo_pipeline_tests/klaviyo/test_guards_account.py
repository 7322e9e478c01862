"""What the clients of one account share: one of them is told to wait, and none sends until its time is up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import responses

from klaviyo_pipeline.klaviyo.catalogue.model import MEDIUM
from klaviyo_pipeline.klaviyo.client import rate_limits
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient, Request
from klaviyo_pipeline.klaviyo.client.rate_limits import EndpointLimit, RateLimits
from klaviyo_pipeline.klaviyo.client.settings import ClientSettings
from klaviyo_pipeline_tests.klaviyo.support import VirtualTime

URL = "https://a.klaviyo.com"
METRICS = Request("/api/metrics", "/api/metrics", MEDIUM, "Metrics")
LISTS = Request("/api/lists", "/api/lists", MEDIUM, "Lists")


class Shared(VirtualTime):
    """Virtual time in which other connections send while one waits."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: list[Callable[[], Any]] = []
        self.sent: dict[str, list[float]] = {}

    def wait(self, seconds: float) -> bool:
        until = self.now + seconds
        while self.meanwhile:
            self.meanwhile.pop()()
        super().wait(max(0.0, until - self.now))
        return False


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Shared:
    made = Shared()
    monkeypatch.setattr(rate_limits, "_ACCOUNTS", Accounts(made))
    return made


class Accounts(dict[str, RateLimits]):
    """The process's limits by account, all on one virtual clock."""

    def __init__(self, clock: Shared) -> None:
        super().__init__()
        self._clock = clock

    def setdefault(self, key: str, _default: Any = None) -> RateLimits:
        return super().setdefault(key, RateLimits(1.0, self._clock))


def client(key: str = "pk_one") -> KlaviyoClient:
    return KlaviyoClient(key, ClientSettings(max_retry_wait_s=60))


def send(by: KlaviyoClient, clock: Shared, request: Request = METRICS) -> None:
    by.fetch(request, lambda body, _revision: body, clock)  # type: ignore[arg-type]


@pytest.fixture
def klaviyo(clock: Shared) -> Any:
    """Answers 429 with ``Retry-After: 20`` to the first request, and notes when each arrives."""

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        arrivals = clock.sent.setdefault(request.headers["Authorization"], [])
        arrivals.append(clock.now)
        if len(clock.sent) == len(arrivals) == 1:
            return 429, {"Retry-After": "20"}, "{}"
        return 200, {}, '{"data": []}'

    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for request in (METRICS, LISTS):
            mock.add_callback("GET", URL + request.target, answer)
        yield mock


@pytest.mark.usefixtures("klaviyo")
def test_connections_of_an_account_when_one_is_told_to_wait_then_none_sends_before_the_time_is_up(
    clock: Shared,
) -> None:
    told, others = clock.now, [client() for _ in range(3)]
    clock.meanwhile = [lambda each=each: send(each, clock) for each in others]
    send(client(), clock)

    (arrivals,) = clock.sent.values()
    assert len(arrivals) == 5
    assert arrivals[0] == told
    assert min(arrivals[1:]) >= told + 20


@pytest.mark.usefixtures("klaviyo")
def test_connections_when_the_request_is_of_another_endpoint_or_account_then_they_are_not_held(clock: Shared) -> None:
    told = clock.now
    clock.meanwhile = [lambda: send(client(), clock, LISTS), lambda: send(client("pk_two"), clock)]
    send(client(), clock)

    first, second = clock.sent.values()
    assert second == [told]
    assert first[:2] == [told, told]
    assert first[2] >= told + 20


def test_quota_when_many_requests_follow_a_429_within_a_second_then_it_recovers_by_one_step_only() -> None:
    clock = VirtualTime()
    limit = EndpointLimit(MEDIUM, 1.0, clock)
    limit.throttled(1.0)
    for step in (1.05, 1.05 * 1.05, 1.05 * 1.05 * 1.05):
        clock.now += 1.1
        assert sum(limit.reserve() == 0.0 for _ in range(50)) == int(MEDIUM.burst * 0.8 * step)


@pytest.mark.parametrize("header", ["9, 9;w=1, 150;w=60", "9;w=1, 9, 150;w=60", "9;w=1, 150;w=60, 9, 150"])
def test_remaining_when_the_quota_in_force_stands_anywhere_then_the_first_bare_number_is_meant(header: str) -> None:
    clock = VirtualTime()
    limit = EndpointLimit(MEDIUM, 1.0, clock)
    limit.observe({"RateLimit-Limit": header, "RateLimit-Remaining": "4"})
    sent = []
    for _ in range(2):
        sent.append(sum(limit.reserve() == 0.0 for _ in range(20)))
        clock.now += 1.1
    assert sent == [4, 9]
