"""Klaviyo's two fixed rate windows, one second (burst) and one minute (steady), per endpoint per account.

Source: Klaviyo's rate limits guide; header formats as recorded on 2026-07-15. That a refused request uses up
nothing, and that a lowered limit counts apart, is inferred.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from klaviyo_pipeline.sandbox.api.contracts import Limit
from klaviyo_pipeline.sandbox.api.errors import throttled

Headers = tuple[tuple[bytes, bytes], ...]

_BURST_S, _STEADY_S = 1, 60


@dataclass(slots=True)
class _Window:
    seconds: int
    started: int = -1
    used: int = 0

    def turn(self, now: float) -> None:
        current = int(now // self.seconds)
        if current != self.started:
            self.started, self.used = current, 0

    def ends_in(self, now: float) -> float:
        return (self.started + 1) * self.seconds - now


@dataclass(slots=True)
class _Windows:
    burst: _Window = field(default_factory=lambda: _Window(_BURST_S))
    steady: _Window = field(default_factory=lambda: _Window(_STEADY_S))


class RateLimits:
    """Counts requests; `clock` gives seconds and is replaceable in tests."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._windows: dict[tuple[str, Limit], _Windows] = {}

    def spend(self, operation: str, limit: Limit) -> Headers:
        """Take one request from both windows and return the headers that tell of it.

        Raises:
            ApiError: 429 with `Retry-After`, where either window is used up.
        """
        now = self._clock()
        windows = self._windows.setdefault((operation, limit), _Windows())
        open_windows = ((windows.burst, limit[0]), (windows.steady, limit[1]))
        waits = []
        for window, size in open_windows:
            window.turn(now)
            if window.used >= size:
                waits.append(window.ends_in(now))
        if waits:
            raise throttled(max(1, math.ceil(max(waits))))
        for window, _ in open_windows:
            window.used += 1
        left, reset = min((size - window.used, int(window.ends_in(now))) for window, size in open_windows)
        burst, steady = limit
        return (
            (b"ratelimit-limit", b"%d, %d;w=1, %d;w=60" % (burst, burst, steady)),
            (b"ratelimit-remaining", b"%d" % left),
            (b"ratelimit-reset", b"%d" % reset),
        )

    def reset(self) -> None:
        """Open all windows afresh."""
        self._windows.clear()
