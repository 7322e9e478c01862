"""Staying just under Klaviyo's rate limits: a burst (1 s) and a steady (60 s) window an endpoint and account.

The limits are seeded from the catalogue and corrected by what Klaviyo says: ``RateLimit-Limit`` (for example
``75, 75;w=1, 750;w=60``) states the windows, ``RateLimit-Remaining`` shows what other integrations of the
account used up, ``Retry-After`` on a 429 says how long to stay away. A server whose answers state no limit (a
sandbox with limits off) is taken at its word until it answers 429. Klaviyo's windows are fixed, and nobody outside
knows when they begin; so never more than the quota is sent in *any* stretch of a window's length.

After a 429 requests are sent more slowly: the burst is smaller for some seconds. The minute's quota stays, because
what was sent already cannot be taken back, and a smaller quota would stop every request for the rest of the minute.
A 429 counts for nothing if an answer that comes before ``Retry-After`` is over shows that the limit was not used up.

Where processes share a budget (``Permits``), each request also needs a permit of it, so that all of them together keep
the windows. Without one, several processes on one account find their share by the headers, and by some 429s.
Source: Klaviyo's guide "Rate limits, status codes, and errors"; headers as recorded from the live API.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from klaviyo_pipeline.klaviyo.catalogue.model import Tier

FEW = 2
"""A share of so few requests would be half of them or none: reports have two a minute."""
LONGEST_RATE_S = 3600.0
"""A longer window is a quota: what one program leaves of it, no other can use at another time."""
EDGE_S = 0.02
"""Added to a window's length: requests sent evenly do not arrive evenly."""
SLOWER = 0.8
"""After a 429 the burst is this share of what it was…"""
RECOVERY = 1.05
"""…and grows again by this factor with every second that passes without one."""
LOOK_AGAIN = 0.03
"""A request that waits looks again after this share of its wait: the limit may have recovered by then…"""
SHORTEST_LOOK_S = 0.02
"""…but not more often than this."""
MOST_WINDOWS = 8
"""So many stated windows are kept; Klaviyo states two or three."""
MOST_SENT = 100_000
"""A larger quota is no limit to one process. It counts as this one, and no more requests are remembered."""
LARGEST_QUOTA = 10**9
"""A larger number is no quota: such a window is not kept."""
LONGEST_WINDOW_S = 7 * 86_400.0
"""A longer window is no rate limit."""


class Permits(Protocol):
    """The budget of one endpoint and account that several processes share."""

    def take(self, windows: Mapping[float, int]) -> float:
        """Take the right to send one request now (0.0), or say how many seconds to wait before asking again.

        Args:
            windows: The requests that all processes together may send, by the window's length in seconds.
        """


class SharedBudget(Protocol):
    """The budget of an account that several processes share."""

    def permits(self, endpoint: str) -> Permits:
        """The budget of one endpoint."""


@dataclass
class _Window:
    length_s: float
    quota: int
    foreign: int = 0
    """Requests of other integrations seen in this window…"""
    foreign_until: float = 0.0
    """…and when that observation ends."""

    def allowed(self, share: float, now: float) -> int:
        foreign = self.foreign if now < self.foreign_until else 0
        return max(1, min(self.shared(share), self.quota - foreign))

    def shared(self, share: float) -> int:
        """The requests that all processes with a budget may send together."""
        whole = self.quota <= FEW or self.length_s > LONGEST_RATE_S
        return max(1, int(self.quota * (1.0 if whole else share)))


@dataclass(frozen=True)
class _Refusal:
    """A 429: when the refused request was sent, and what was known of the limit before."""

    sent_at: float
    caution: float
    limited: bool
    proven: bool


@dataclass(frozen=True)
class _Answer:
    """When an answered request was sent, and how many more the window of this length had left, if it says so."""

    sent_at: float
    remaining: int | None
    length_s: float


@dataclass
class _Sent:
    """What is known of an endpoint and account: its windows, and when this process sent its latest requests."""

    windows: list[_Window]
    permits: Permits | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    sent: deque[float] = field(default_factory=deque)
    blocked_until: float = 0.0
    refusal: _Refusal | None = None
    """The 429 that everybody waits for."""
    answer: _Answer | None = None
    """The latest answer; none after it showed that a 429 was wrong, so that a second one is taken seriously."""
    caution: float = 1.0
    caution_since: float = 0.0
    limited: bool = True
    proven: bool = False
    """Whether the server has ever stated or enforced a limit."""


class EndpointLimit:
    """The rate limit of one endpoint and account, and the share of it to use. Thread-safe.

    Args:
        tier: The limit in the catalogue.
        share: The share of each window that may be full when a request is sent, whoever filled it.
        clock: Seconds.
        shared_with: A limit of the same endpoint and account, whose requests count here too.
        permits: The budget that this process shares with others.
    """

    def __init__(
        self,
        tier: Tier,
        share: float,
        clock: Callable[[], float] = time.monotonic,
        shared_with: EndpointLimit | None = None,
        permits: Permits | None = None,
    ) -> None:
        self.share = share
        self.clock = clock
        windows = [_Window(length_s, quota) for length_s, quota in tier.windows]
        self._catalogued = frozenset(window.length_s for window in windows)
        """Lengths of the windows that stay, whatever an answer states."""
        self._known: _Sent = shared_with._known if shared_with is not None else _Sent(windows, permits)

    def acquire(self, sleep: Callable[[float], None], expect: Callable[[float], None] = lambda _wait_s: None) -> float:
        """Wait for the right to send one request, and say how many seconds that took.

        Args:
            sleep: Sleeps for so many seconds; may raise to give up waiting.
            expect: Told before each sleep how many seconds are left to wait, as far as is known; may raise, too.
        """
        waited_s = 0.0
        while (wait_s := self.reserve()) > 0:
            expect(wait_s)
            step_s = min(wait_s, max(SHORTEST_LOOK_S, wait_s * LOOK_AGAIN))
            sleep(step_s)
            waited_s += step_s
        return waited_s

    def reserve(self) -> float:
        """Take the right to send one request now (0.0), or say how many seconds to wait before asking again."""
        with self._known.lock:
            now = self.clock()
            self._recover(now)
            wait_s = self._known.blocked_until - now
            shares = self._shares() if self._known.limited else []
            for window, share in shares:
                allowed = window.allowed(share, now)
                if len(self._known.sent) >= allowed:
                    wait_s = max(wait_s, self._known.sent[-allowed] + window.length_s + EDGE_S - now)
            if wait_s <= 0 and shares and self._known.permits is not None:
                wait_s = self._known.permits.take({window.length_s: window.shared(share) for window, share in shares})
                now = self.clock()
            if wait_s > 0:
                return wait_s
            self._known.sent.append(now)
            self._forget(now)
            return 0.0

    def _shares(self) -> list[tuple[_Window, float]]:
        """The windows, each with the share of it that may be used; after a 429 less of the shortest."""
        shortest_s = min(window.length_s for window in self._known.windows)
        return [
            (window, self.share * (self._known.caution if window.length_s == shortest_s else 1.0))
            for window in self._known.windows
        ]

    def throttled(self, retry_after_s: float, sent_at: float | None = None) -> None:
        """Klaviyo answered 429: nobody sends before its time is up, and the burst is smaller for a while.

        Args:
            retry_after_s: How long to stay away, in seconds.
            sent_at: When the refused request was sent, by this limit's clock; None if that is not known.
        """
        with self._known.lock:
            known, now = self._known, self.clock()
            # Requests under way together are refused together: that is one event, not many.
            if now >= known.blocked_until:
                at = now if sent_at is None else sent_at
                known.refusal = _Refusal(at, known.caution, known.limited, known.proven)
                if not known.limited:
                    known.sent.clear()  # the server has shown that it did not count these
                known.caution = max(0.2, known.caution * SLOWER)
                known.caution_since = now
            elif known.refusal is not None and sent_at is not None:
                known.refusal = replace(known.refusal, sent_at=max(sent_at, known.refusal.sent_at))
            known.limited = known.proven = True
            known.blocked_until = max(known.blocked_until, now + retry_after_s)
            if sent_at is not None and known.answer is not None and now - known.answer.sent_at < known.answer.length_s:
                self._contradict(known.answer)

    def observe(self, headers: Mapping[str, str], sent_at: float | None = None) -> None:
        """Correct the windows by an answer's ``RateLimit-*`` headers; unreadable headers are ignored.

        A window that an earlier answer stated and this one does not is forgotten.

        Args:
            headers: The headers of a request that was not refused.
            sent_at: When that request was sent, by this limit's clock; None if that is not known.
        """
        header = headers.get("RateLimit-Limit")
        stated, remaining = _policies(header or ""), _remaining(headers)
        with self._known.lock:
            if sent_at is not None:
                quota_in_force, policies = stated or (0, {})
                length_s = next((length_s for length_s, quota in policies.items() if quota == quota_in_force), 0.0)
                self._known.answer = _Answer(sent_at, remaining, length_s)
                self._contradict(self._known.answer)
            if stated is None:
                self._known.limited = self._known.proven or header is not None
                return
            self._known.limited = self._known.proven = True
            quota_in_force, policies = stated
            now = self.clock()
            self._known.windows = [
                window
                for window in self._known.windows
                if window.length_s in policies or window.length_s in self._catalogued
            ]
            for length_s, quota in policies.items():
                self._window(length_s).quota = quota
            if remaining is None:
                return
            # The first number says which window the remaining count is about.
            for window in self._known.windows:
                if window.quota == quota_in_force:
                    ours = sum(1 for sent in self._known.sent if sent > now - window.length_s)
                    window.foreign = max(0, window.quota - remaining - ours)
                    reset_s = _seconds(headers.get("RateLimit-Reset")) or window.length_s
                    window.foreign_until = now + min(reset_s, window.length_s)
                    break

    @property
    def requests_per_minute(self) -> float:
        """The rate that is allowed for long: the configured share of the tightest quota."""
        with self._known.lock:
            rates = [each for each in self._known.windows if each.length_s <= LONGEST_RATE_S]
            return min(window.quota / window.length_s for window in rates) * 60.0 * self.share

    @property
    def stated(self) -> dict[float, int]:
        """The quotas by their window's length in seconds, if the server has ever stated or enforced a limit."""
        with self._known.lock:
            return {window.length_s: window.quota for window in self._known.windows} if self._known.proven else {}

    def _contradict(self, answer: _Answer) -> None:
        """Nobody waits for a refusal any longer if an answer shows that the limit was not used up."""
        known, refusal = self._known, self._known.refusal
        left_s = known.blocked_until - self.clock()
        if refusal is None or left_s <= 0 or answer.remaining == 0:
            return
        if answer.sent_at > refusal.sent_at or self._had_room(answer, left_s):
            known.caution, known.limited, known.proven = refusal.caution, refusal.limited, refusal.proven
            known.blocked_until, known.refusal, known.answer = 0.0, None, None

    def _had_room(self, answer: _Answer, wait_s: float) -> bool:
        """Whether a window as long as a wait had more requests left than were sent since the answer's."""
        since = sum(1 for sent in self._known.sent if sent > answer.sent_at)
        return answer.remaining is not None and answer.remaining > since and wait_s <= answer.length_s

    def _recover(self, now: float) -> None:
        if self._known.caution < 1.0 and now - self._known.caution_since > 1.0:
            self._known.caution = min(1.0, self._known.caution * RECOVERY)
            self._known.caution_since = now

    def _window(self, length_s: float) -> _Window:
        for window in self._known.windows:
            if window.length_s == length_s:
                return window
        window = _Window(length_s, 0)
        self._known.windows.append(window)
        return window

    def _forget(self, now: float) -> None:
        longest = max(window.length_s for window in self._known.windows) + EDGE_S
        most = max(window.quota for window in self._known.windows)
        while self._known.sent and (self._known.sent[0] < now - longest or len(self._known.sent) > most):
            self._known.sent.popleft()


class RateLimits:
    """All limits of one account, by endpoint, for clients that use the same share of them. Thread-safe."""

    def __init__(
        self, share: float, clock: Callable[[], float] = time.monotonic, budget: SharedBudget | None = None
    ) -> None:
        self._share = share
        self._clock = clock
        self._budget = budget
        self._lock = threading.Lock()
        self._limits: dict[tuple[str, float], EndpointLimit] = {}

    def with_share(self, share: float) -> RateLimits:
        """The limits of the same account for clients that use another share: all of their requests count together."""
        other = RateLimits(share, self._clock, self._budget)
        other._lock, other._limits = self._lock, self._limits
        return other

    def of(self, endpoint: str, tier: Tier) -> EndpointLimit:
        """The limit of an endpoint, made from its catalogued tier when it is first used."""
        with self._lock:
            if (endpoint, self._share) not in self._limits:
                same = next((limit for (name, _), limit in self._limits.items() if name == endpoint), None)
                permits = self._budget.permits(endpoint) if self._budget is not None and same is None else None
                self._limits[endpoint, self._share] = EndpointLimit(tier, self._share, self._clock, same, permits)
            return self._limits[endpoint, self._share]


_ACCOUNTS: dict[tuple[str, SharedBudget | None], RateLimits] = {}
_ACCOUNTS_LOCK = threading.Lock()


def limits_of_account(account: str, share: float, budget: SharedBudget | None = None) -> RateLimits:
    """The one set of limits that all clients of this process share for an account (any text that names it).

    ``budget`` is what they share with other processes.

    Clients that use different shares of the limit count each other's requests, so that together they stay below the
    largest of their shares.
    """
    with _ACCOUNTS_LOCK:
        return _ACCOUNTS.setdefault((account, budget), RateLimits(share, budget=budget)).with_share(share)


def _policies(header: str) -> tuple[int, dict[float, int]] | None:
    """``75, 75;w=1, 750;w=60`` as (75, {1.0: 75, 60.0: 750}); None where it says nothing."""
    policies: dict[float, int] = {}
    in_force: int | None = None
    try:
        for part in header.split(",", 2 * MOST_WINDOWS)[: 2 * MOST_WINDOWS]:
            quota, *parameters = part.strip().split(";")
            for parameter in parameters:
                name, _, value = parameter.strip().partition("=")
                if name == "w" and _is_limit(float(value), int(quota)) and len(policies) < MOST_WINDOWS:
                    policies[float(value)] = min(int(quota), MOST_SENT)
            if not parameters and in_force is None:
                in_force = min(int(quota), MOST_SENT)
    except ValueError:
        return None
    if not policies:
        return None
    return in_force if in_force is not None else next(iter(policies.values())), policies


def _remaining(headers: Mapping[str, str]) -> int | None:
    try:
        return max(0, int(headers.get("RateLimit-Remaining", "")))
    except ValueError:
        return None


def _is_limit(length_s: float, quota: int) -> bool:
    return 0 < length_s <= LONGEST_WINDOW_S and 0 < quota <= LARGEST_QUOTA


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if seconds > 0 else None
