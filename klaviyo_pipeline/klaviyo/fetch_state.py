"""What a fetch keeps in mind: its tasks, how far they are, and what it noticed on the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from klaviyo_pipeline.klaviyo.staging import StagedSlice
from klaviyo_pipeline.klaviyo.streams import Stream
from klaviyo_pipeline.klaviyo.windows import TimeSlice


@dataclass
class Task:
    """A slice of a stream: queued, or being read by one worker."""

    stream: Stream
    bounds: TimeSlice
    staged: StagedSlice
    pages: int = 0
    rows: int = 0
    first_time: datetime | None = None
    last_time: datetime | None = None
    in_order: bool = True
    more: bool = True
    restarts: int = 0


@dataclass
class Progress:
    """Where a fetch is. Counts since it began.

    ``fraction`` is how much of the time (or, without a time, of the streams) has been read, from 0 to 1.
    ``limit_per_minute`` is how many requests are allowed at present; the waits are summed over all ``connections``.
    """

    pages: int = 0
    rows: int = 0
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


@dataclass
class Findings:
    """What a fetch noticed on its way."""

    revisions: set[str] = field(default_factory=set)
    unknown: Counter[str] = field(default_factory=Counter)
    misfits: Counter[str] = field(default_factory=Counter)
    vanished: set[str] = field(default_factory=set)


class Connections:
    """How many requests are under way at once: one more as long as those there do little but wait for Klaviyo.

    More than that do not help: where pages wait to be decoded, or requests for their turn at the rate limit, a
    further connection only takes memory, and one more page is lost if the run is killed. How many it takes to ride
    at the limit depends on how long Klaviyo takes to answer: at 58 requests a second (events) and 1 s, 58.

    Args:
        most: Never more than so many.
    """

    FIRST = 8
    WAITING = 0.7
    """The share of a page's time that goes to waiting for its answer, above which another connection helps."""
    _WEIGHT = 0.2

    def __init__(self, most: int) -> None:
        self.most = most
        self.count = 0
        self._waiting = 1.0

    def page_took(self, network_s: float, all_s: float) -> None:
        """A page took so long from one to the next, of which so long for the answer."""
        share = min(1.0, network_s / max(all_s, 1e-6))
        self._waiting += self._WEIGHT * (share - self._waiting)

    @property
    def one_more_helps(self) -> bool:
        """Whether another connection would make the fetch faster."""
        return self.count < min(self.FIRST, self.most) or (self.count < self.most and self._waiting > self.WAITING)
