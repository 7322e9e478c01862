"""Windows and slices: which stretch of time to load, and how it is divided.

All times are aware UTC. A window is half-open, ``[start, end)``, so windows that meet neither lose nor repeat
a row. Requests are made in whole seconds (Klaviyo refuses windows below a second as empty); the exact bounds
are applied to the rows afterwards.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from klaviyo_pipeline.errors import ConfigurationError

SECOND = timedelta(seconds=1)
HISTORY_START = datetime(2012, 1, 1, tzinfo=UTC)
"""Klaviyo was founded in 2012; only a first guess for cutting slices, the first slice has no lower bound."""


@dataclass(frozen=True)
class Window:
    """What to load: rows whose time lies in ``[start, end)``; None means unbounded on that side.

    ``now`` is when the run began. No watermark goes past it, and a request is never bounded by a time after it:
    some of Klaviyo's endpoints refuse filters in the future. Rows dated after ``now`` (Klaviyo takes events up
    to a year ahead) are loaded where the window is open towards the future.
    """

    start: datetime | None
    end: datetime | None
    now: datetime

    def __post_init__(self) -> None:
        if self.start and self.start >= self.now:
            raise ConfigurationError(f"start_time {self.start.isoformat()} lies in the future.")
        if self.start and self.end and self.start >= self.end:
            raise ConfigurationError(
                f"start_time {self.start.isoformat()} must be before end_time {self.end.isoformat()}."
            )

    @property
    def watermark(self) -> datetime:
        """Up to when this window is complete once it is loaded."""
        return min(self.end, self.now) if self.end else self.now

    @property
    def request_start(self) -> datetime | None:
        """The start for the request, in whole seconds."""
        return self.start.replace(microsecond=0) if self.start else None

    @property
    def request_end(self) -> datetime | None:
        """The end for the request, in whole seconds; None where the window is open towards the future."""
        if self.end is None:
            return None
        whole = self.end.replace(microsecond=0)
        whole = whole if whole == self.end else whole + SECOND
        return whole if whole <= self.now else None


@dataclass(frozen=True)
class TimeSlice:
    """A part of a window in whole seconds, ``[start, end)``; None means unbounded."""

    start: datetime | None
    end: datetime | None

    def upper(self, now: datetime) -> datetime:
        """Where the slice's rows end for the purpose of dividing it."""
        return self.end or now


def cut(window: Window, pieces: int) -> list[TimeSlice]:
    """Divide a window into a maximum number of equal slices, without gaps or overlaps."""
    start, end = window.request_start, window.request_end
    low, high = start or HISTORY_START, end or window.now.replace(microsecond=0)
    edges = divide(low, high, pieces)
    bounds: list[datetime | None] = [start, *edges, end]
    return [TimeSlice(a, b) for a, b in itertools.pairwise(bounds)]


def divide(low: datetime, high: datetime, pieces: int) -> list[datetime]:
    """The inner edges, in whole seconds, that divide a period into a maximum number of equal parts."""
    seconds = int((high - low).total_seconds())
    pieces = max(1, min(pieces, seconds))
    return [low + timedelta(seconds=seconds * i // pieces) for i in range(1, pieces)]
