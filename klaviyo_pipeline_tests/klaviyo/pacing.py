"""A clock on which requests are sent, and how many of them lie in any stretch of time."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from klaviyo_pipeline.klaviyo.client.rate_limits import EndpointLimit


@dataclass
class Clock:
    now: float = 5_000.3
    sent: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def send(self, limit: EndpointLimit) -> float:
        """Wait for the right to send a request, and send it."""
        limit.acquire(self.sleep)
        self.sent.append(self.now)
        return self.now


def most_in_any_stretch(times: list[float], length_s: float) -> int:
    most, first = 0, 0
    for last, time in enumerate(times):
        while times[first] <= time - length_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def allowed(quota: int, share: float) -> int:
    return max(1, int(quota * share))


def sent_by_turns(limits: Iterable[EndpointLimit]) -> int:
    return sum(1 for limit in limits for _ in range(1000) if limit.reserve() == 0.0)
