"""The slices of a stage, as the entries of its manifest describe them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from klaviyo_pipeline.klaviyo.windows import TimeSlice
from klaviyo_pipeline.staged_pages import StagedPage


@dataclass
class StagedSlice:
    """What a manifest says of one slice: how far it was read, and where its rows are."""

    number: int
    stream: str
    bounds: TimeSlice
    file: str
    through: datetime | None = None
    pages: list[StagedPage] = field(default_factory=list)
    """The pages with rows, in the order in which they stand in the file."""
    rows: int = 0
    done: bool = False

    @property
    def bytes(self) -> int:
        """The bytes of its pages."""
        return self.pages[-1].end if self.pages else 0


class Replayed:
    """What the entries of a manifest come to."""

    def __init__(self) -> None:
        self.slices: dict[int, StagedSlice] = {}
        self.numbers = 0
        self.clock_ahead_s: float | None = None
        self.until: datetime | None = None

    def add(self, entry: dict[str, Any]) -> None:
        """Take in an entry."""
        if "slice" in entry:
            bounds = TimeSlice(time_of(entry["start"]), time_of(entry["end"]))
            self.numbers = entry["slice"] + 1
            self.slices[entry["slice"]] = StagedSlice(entry["slice"], entry["stream"], bounds, entry["file"])
        elif "cut" in entry and (staged := self.slices.get(entry["cut"])):
            staged.bounds = TimeSlice(staged.bounds.start, time_of(entry["end"]))
        elif "page" in entry and (staged := self.slices.get(entry["page"])):
            staged.through = time_of(entry["through"])
            if "rows" in entry:
                staged.pages.append(StagedPage(entry["end"], entry["rows"], entry["checksum"]))
                staged.rows += entry["rows"]
        elif "done" in entry and (staged := self.slices.get(entry["done"])):
            staged.done = True
        elif "drop" in entry:
            self.slices.pop(entry["drop"], None)
        elif "ahead" in entry:
            self.clock_ahead_s = entry["ahead"]
        elif "until" in entry:
            self.until = time_of(entry["until"])


def text_of(time: datetime | None) -> str | None:
    """A time as a manifest has it."""
    return time.isoformat() if time else None


def time_of(text: str | None) -> datetime | None:
    """A time of a manifest."""
    return datetime.fromisoformat(text) if text else None
