"""What a fetch keeps in mind: its tasks, how far they are, and what it noticed on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from klaviyo_pipeline.klaviyo.extract.requests import Stream
from klaviyo_pipeline.klaviyo.staging.slices import StagedSlice
from klaviyo_pipeline.klaviyo.windows import TimeSlice

MOST_NAMES = 1000
LONGEST_NAME = 200
OTHER_NAMES = "(others)"


@dataclass
class Task:
    """A slice of a stream: queued, or being read by one worker. What is ``dropped`` meanwhile does not count."""

    stream: Stream
    bounds: TimeSlice
    staged: StagedSlice
    pages: int = 0
    rows: int = 0
    first_time: datetime | None = None
    last_time: datetime | None = None
    in_order: bool = True
    more: bool = True
    dropped: bool = False


@dataclass
class Progress:
    """Where a fetch is. Counts since it began.

    ``rows`` were kept. ``rows_passed_over`` lay outside of their slice: Klaviyo's filter was wider, or another slice
    reads them. Such a row may be passed over several times.
    ``fraction`` is how much of the time (or, without a time, of the streams) has been read, from 0 to 1.
    ``limit_per_minute`` is how many requests are allowed at present; the waits are summed over all ``connections``.
    """

    pages: int = 0
    rows: int = 0
    rows_passed_over: int = 0
    page_bytes: int = 0
    slices_done: int = 0
    slices_running: int = 0
    slices_waiting: int = 0
    connections: int = 0
    resumed_rows: int = 0
    elapsed_s: float = 0.0
    fraction: float = 0.0
    limit_per_minute: float = 0.0
    limit_wait_s: float = 0.0
    retry_wait_s: float = 0.0
    retries: int = 0

    @property
    def rows_per_second(self) -> float:
        """Rows read a second, on average."""
        return self.rows / self.elapsed_s if self.elapsed_s else 0.0

    def plus(self, later: Progress) -> Progress:
        """The sum of both, and where the later one is."""
        summed = {name: getattr(self, name) + getattr(later, name) for name in _SUMMED}
        return replace(later, **summed)


_SUMMED = (
    *("pages", "rows", "rows_passed_over", "page_bytes", "slices_done", "resumed_rows"),
    *("elapsed_s", "limit_wait_s", "retry_wait_s", "retries"),
)


@dataclass
class Findings:
    """What a fetch noticed on its way."""

    revisions: set[str] = field(default_factory=set)
    unknown: Counter[str] = field(default_factory=Counter)
    misfits: Counter[str] = field(default_factory=Counter)
    vanished: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    """Metrics that a report is refused for, and why."""

    def add(self, unknown: Mapping[str, int], misfits: Mapping[str, int]) -> None:
        """Count what a page had; past MOST_NAMES under one name, since a server can make up names without end."""
        for into, found in ((self.unknown, unknown), (self.misfits, misfits)):
            for name, count in found.items():
                short = name[:LONGEST_NAME]
                into[short if short in into or len(into) < MOST_NAMES else OTHER_NAMES] += count

    def add_revision(self, revision: str) -> None:
        """A revision that answered."""
        if len(self.revisions) < MOST_NAMES:
            self.revisions.add(revision)


class Connections:
    """How many requests are under way at once: one more as long as that makes the fetch faster.

    It does while those there are do little but wait for Klaviyo, and the processor could serve another. Beyond that
    a connection only takes memory, and is one more page lost if the run is killed. How many it takes to ride at the
    limit depends on how long Klaviyo takes to answer: at 58 requests a second (events) and 1 s each, 58.

    Args:
        most: Never more than so many.
    """

    FIRST = 10
    WAITING = 0.6
    """The share of a page's time that goes to waiting for its answer, below which pages queue for something here."""
    BUSY = 0.9
    """Enough connections to keep one processor busy for this share of the time are enough."""
    _WEIGHT = 0.2

    def __init__(self, most: int) -> None:
        self.most = most
        self.count = 0
        self._waiting = 1.0
        self._quickest_s = float("inf")
        self._cpu_s = 0.0

    def page_took(self, network_s: float, cpu_s: float, all_s: float) -> None:
        """A page took so long from one to the next: of which so long for its answer, and so much processor time."""
        self._waiting += self._WEIGHT * (min(1.0, network_s / max(all_s, 1e-6)) - self._waiting)
        # The quickest answer: others also waited for their turn at Python's lock.
        self._quickest_s = min(self._quickest_s, network_s)
        self._cpu_s += (self._WEIGHT if self._cpu_s else 1.0) * (cpu_s - self._cpu_s)

    @property
    def one_more_helps(self) -> bool:
        """Whether another connection would make the fetch faster."""
        if self.count < min(self.FIRST, self.most):
            return True
        busy = self.count * self._cpu_s > self.BUSY * (self._quickest_s + self._cpu_s)
        return self.count < self.most and self._waiting > self.WAITING and not busy
