"""Klaviyo's fixed rate windows, a second (burst), a minute (steady) and for reports a day, per endpoint.

Source: Klaviyo's rate limits guide; header formats as recorded on 2026-07-15. That a refused request uses up
nothing, and that a lowered limit counts apart, is inferred.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from klaviyo_pipeline.sandbox.api.contracts import Limit
from klaviyo_pipeline.sandbox.api.errors import throttled

Headers = tuple[tuple[bytes, bytes], ...]

_WINDOWS_S = (1, 60, 86_400)


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


_UNLIMITED: Limit = (1_000_000, 60_000_000)
"""What the headers state where limits are off: clients that pace themselves by them are not held up."""


class RateLimits:
    """Counts requests; `clock` gives seconds and is replaceable in tests.

    Without `enforced`, no request is refused, and the headers state limits that nobody reaches.
    """

    def __init__(self, clock: Callable[[], float] = time.time, *, enforced: bool = True) -> None:
        self._clock = clock
        self._enforced = enforced
        self._windows: dict[tuple[str, Limit], list[_Window]] = {}

    def spend(self, operation: str, limit: Limit) -> Headers:
        """Take one request from all windows and return the headers that tell of it.

        Raises:
            ApiError: 429 with `Retry-After`, where a window is used up.
        """
        now = self._clock()
        limit = limit if self._enforced else _UNLIMITED
        windows = self._windows.setdefault((operation, limit), [_Window(seconds) for seconds in _WINDOWS_S])
        open_windows = list(zip(windows, limit, strict=False))
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
        named = ", ".join(f"{size};w={window.seconds}" for window, size in open_windows)
        return (
            (b"ratelimit-limit", f"{limit[0]}, {named}".encode()),
            (b"ratelimit-remaining", b"%d" % left),
            (b"ratelimit-reset", b"%d" % reset),
        )

    def reset(self) -> None:
        """Open all windows afresh."""
        self._windows.clear()
