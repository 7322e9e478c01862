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
    ``limit_per_minute`` is how many requests are allowed at present; the waits are summed over all workers.
    """

    pages: int = 0
    rows: int = 0
    page_bytes: int = 0
    slices_done: int = 0
    slices_running: int = 0
    slices_waiting: int = 0
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
