"""Where a part of a window ends, so that what is staged of it stays below a bound.

Slices are read side by side, all over the window. What lies beyond the end is dropped and read again in the next part;
so the end is chosen early, by how densely the first pages are filled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from klaviyo_pipeline.klaviyo.extract.progress import Task
from klaviyo_pipeline.klaviyo.staging.stage import Stage
from klaviyo_pipeline.klaviyo.windows import SECOND, TimeSlice

_AIMED_AT, _NEARLY_FULL = 0.8, 0.9
"""Shares of the bound: what a part is cut to, and from where on it is cut whatever is expected still."""
_ENOUGH_TO_EXPECT = 1 / 32
"""The share of the bound that is staged before anything is expected of how densely slices are filled."""
_FIRST = datetime.min.replace(tzinfo=UTC)


class PartBound:
    """Keeps what is staged of a fetch below a bound. Its caller sees to it that one thread at a time uses it.

    Args:
        stage: Where pages go.
        now: When the run began; the upper end of a slice that is open towards the future.
        most_bytes: The bound. A part whose last second has more than a tenth of it may exceed it.
    """

    def __init__(self, stage: Stage, now: datetime, most_bytes: int) -> None:
        self._stage = stage
        self._now = now
        self._most_bytes = most_bytes

    def keep(self, coming: int, running: Mapping[int, tuple[Task, float]]) -> set[int] | None:
        """End the part earlier if it has to be.

        Args:
            coming: So many more bytes are about to be staged.
            running: The slices that are being read, by number, with the pages that are expected still.

        Returns:
            The numbers of the slices that were dropped; None if nothing has changed.
        """
        left = {number: pages * task.staged.bytes / max(1, task.pages) for number, (task, pages) in running.items()}
        staged = self._stage.staged_bytes + coming
        if staged <= _NEARLY_FULL * self._most_bytes and (
            staged < _ENOUGH_TO_EXPECT * self._most_bytes or staged + sum(left.values()) <= self._most_bytes
        ):
            return None
        pieces = []
        for each in self._stage.slices.values():
            task = running[each.number][0] if each.number in running else None
            read_until = task.last_time if task is not None and task.in_order else None
            left_s = (each.bounds.upper(self._now) - read_until).total_seconds() if read_until else 0.0
            expected = left.get(each.number, 0.0)
            pieces.append(Piece(each.bounds, each.bytes, expected, max(0.0, left_s), read_until, each.done))
        end = part_end(pieces, _AIMED_AT * self._most_bytes)
        if end is None or all(each.bounds.end and each.bounds.end <= end for each in pieces):
            return None
        # The end becomes a watermark: before it nothing may come any more.
        began = min(self._stage.began, self._now)
        if end >= began - (self._stage.began - self._stage.read_until):
            return None
        return {each.number for each in self._stage.end_at(end)}


@dataclass(frozen=True)
class Piece:
    """A slice in the stage.

    Attributes:
        bounds: What it covers.
        staged: Its bytes so far.
        left: The bytes that are expected still; 0 where nobody knows.
        left_s: The seconds that are left to read; 0 where nobody knows.
        read_until: All rows before this time have been read; None where nobody knows.
        done: Whether all of it has been read.
    """

    bounds: TimeSlice
    staged: int
    left: float = 0.0
    left_s: float = 0.0
    read_until: datetime | None = None
    done: bool = False


def part_end(pieces: Iterable[Piece], most: float) -> datetime | None:
    """Where to end a part so that about so many bytes are staged, in whole seconds.

    Slices that are read from the start on without a gap are kept, whatever they have, and so is what the first
    unfinished slice has read. A second is never divided.

    Returns:
        The first moment that is not in the part; None if it cannot end before its last slice does.
    """
    total, gapless = 0.0, True
    for piece in sorted(pieces, key=lambda each: each.bounds.start or _FIRST):
        room = most - total - piece.staged
        total += piece.staged + piece.left
        if gapless and piece.done:
            continue
        first, gapless = gapless, False
        if total <= most:
            continue
        if first:
            return _within(piece, max(0.0, room)) or piece.bounds.end
        return (_within(piece, room) if room > 0 and not piece.done else None) or piece.bounds.start
    return None


def _within(piece: Piece, room: float) -> datetime | None:
    """Where a slice is to be cut so that so many more bytes come; after the second that is being read."""
    if piece.read_until is None:
        return None
    share = room / piece.left if piece.left else 0.0
    end = piece.read_until + timedelta(seconds=min(1.0, share) * piece.left_s)
    end = end.replace(microsecond=0) + SECOND
    return min(end, piece.bounds.end) if piece.bounds.end else end
