"""Loads that land in parts: which may, where one that was cut off continues, and what all its parts come to.

A long window is read in the order of time. When the bytes that are staged reach a bound, the part before the first
moment that is not read lands by itself, with its line in the ledger. So the stage stays small, and a kill loses no more
than the part that is being read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline.klaviyo.extract.progress import Findings
from klaviyo_pipeline.klaviyo.windows import Window
from klaviyo_pipeline.warehouse.ledger import PART
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.extract.model import ExtractRequest, StagedExtract
    from klaviyo_pipeline.loads.request import LoadRequest
    from klaviyo_pipeline.warehouse.landing import LandingResult
    from klaviyo_pipeline.warehouse.ledger import Loads
    from klaviyo_pipeline.warehouse.range_counts import RangeCounts

STAGE_BYTES = 5_000_000_000
"""A part lands before more than this is staged."""
CONTINUED_FOR = timedelta(days=7)
"""A merge that was cut off longer ago is read from its beginning: rows change meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """How far a load is that may land in parts.

    Attributes:
        of: What it is known by in the ledger.
        began: When its first run began (aware). Its watermark never passes this: what was read early may have changed.
        window: The load's whole window.
        landed: Parts that have landed.
        through: Where the last of them ended.
        cut_off: Whether an earlier run of it was cut off.
        extracts: The parts that have landed and are not the last. A kill may have left their stages.
        ended: The last part, if the load has come to its end and appends a fixed window. If its stage is still there, a
            kill came after the commit, and the load is not to be repeated.
    """

    of: str
    began: datetime
    window: Window
    landed: int = 0
    through: datetime | None = None
    cut_off: bool = False
    extracts: frozenset[str] = frozenset()
    ended: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the load reads the whole collection."""
        return self.window.start is None and self.window.end is None

    def after(self, through: datetime) -> Parts:
        """The same load when its next part has landed."""
        return replace(self, landed=self.landed + 1, through=through)

    def request(self, whole: ExtractRequest, begins: datetime | None = None) -> ExtractRequest:
        """What is still to be read."""
        if self.through is None:
            return whole
        field = whole.time_field
        assert field is not None
        window = Window(self.through, whole.window.end, whole.window.now)
        # As a later run asks for it, which then takes up the stage of this one.
        by = whole.filter_by if whole.source.time_field(whole.filter_by) == field else field.filter_by
        return replace(whole, window=window, filter_by=by, begins=begins)

    def watermark(self, staged: StagedExtract) -> datetime:
        """Up to when everything is read once this part has landed."""
        if staged.until is not None:
            return staged.until
        end = min(staged.watermark, self.began)
        return end if self.is_whole or self.through is None else max(end, self.through)

    def details(self, staged: StagedExtract) -> dict[str, Any]:
        """What the ledger remembers of a part; nothing of a load that lands at once."""
        if staged.until is None and not (self.landed or self.cut_off):
            return {}
        about = {
            "of": self.of,
            "number": self.landed + 1,
            "last": staged.until is None,
            "began": self.began.isoformat(),
        }
        return {PART: about}


@dataclass(frozen=True)
class CutOff:
    """A load that was cut off: where its last part ended, when that landed, its number, and when the load began."""

    through: datetime
    landed_at: datetime
    number: int
    began: datetime


def cut_off(loads: Loads, of: str) -> CutOff | None:
    """The load of this name that was cut off; None if there is none."""
    entry = loads.cut_off(of)
    if entry is None or entry.window_end is None or entry.landed_at is None:
        return None
    part = entry.details[PART]
    return CutOff(entry.window_end, entry.landed_at, part["number"], datetime.fromisoformat(part["began"]))


def parts_of(request: ExtractRequest, wanted: LoadRequest, loads: Loads, *, incremental: str | None) -> Parts:
    """How far a load is: an earlier run of the same window may have been cut off.

    Args:
        request: What the run reads.
        wanted: What it is asked for.
        loads: The loads so far.
        incremental: The load's name as an incremental one, whose window follows from ``loads``; None for any other.
    """
    now, window = request.window.now, request.window
    of = incremental or _name_of_window(request)
    found = cut_off(loads, of)
    landed = [entry for entry in loads.entries if not entry.details.get(PART, {}).get("last", True)]
    extracts = frozenset(entry.extract_id for entry in landed if entry.extract_id)
    anew = Parts(of=of, began=now, window=window, cut_off=found is not None, extracts=extracts)
    if incremental is None and wanted.write_mode is WriteMode.APPEND:
        anew = replace(anew, ended=loads.ended(of))
    if found is None or incremental is not None or found.through >= (window.end or now):
        return anew
    if wanted.merges and abs(now - found.landed_at) > CONTINUED_FOR:
        return anew
    return replace(anew, began=found.began, landed=found.number, through=found.through)


def _name_of_window(request: ExtractRequest) -> str:
    """What a load of a window is known by. Its end is not in it: a range of days grows from day to day."""
    field, start = request.time_field, request.window.start
    return json.dumps(
        {
            "start": start.isoformat() if start else None,
            "whole": request.is_whole,
            "field": field.name if field else None,
            "options": sorted(request.options),
            **({"chosen": sorted(request.chosen)} if request.chosen is not None else {}),
        }
    )


def incremental_name(filter_field: str, chosen: Iterable[str] | None = None) -> str:
    """What the incremental loads over a time are known by; those limited to some rows, by what they are limited to."""
    return f"incremental, by {filter_field}" + (f", of {', '.join(sorted(chosen))}" if chosen is not None else "")


def all_staged(before: StagedExtract | None, staged: StagedExtract) -> StagedExtract:
    """What has been fetched in all parts so far; its files are the last part's."""
    if before is None:
        return staged
    findings = Findings()
    for each in (before.findings, staged.findings):
        findings.revisions |= each.revisions
        findings.vanished |= each.vanished
        findings.add(each.unknown, each.misfits)
    return replace(
        staged,
        request=before.request,
        traffic=before.traffic.plus(staged.traffic),
        findings=findings,
        progress=before.progress.plus(staged.progress),
        duration_s=before.duration_s + staged.duration_s,
    )


def all_landed(before: LandingResult | None, landed: LandingResult) -> LandingResult:
    """What all parts so far did to the table."""
    if before is None:
        return landed
    return replace(
        landed,
        **{name: getattr(before, name) + getattr(landed, name) for name in _SUMMED},
        skipped=before.skipped and landed.skipped,
        added_columns=(*before.added_columns, *landed.added_columns),
        by_range=tuple(_sum(*each) for each in zip(before.by_range, landed.by_range, strict=True)),
        children=tuple(all_landed(*each) for each in zip(before.children, landed.children, strict=False)),
        parts=before.parts + landed.parts,
    )


_SUMMED = (
    *("rows_fetched", "rows_outside_window", "rows_repeated", "inserted", "updated", "unchanged", "deleted"),
    *("revived", "duration_s", "lock_wait_s"),
)


def _sum(before: RangeCounts, landed: RangeCounts) -> RangeCounts:
    names = ("rows_fetched", "rows_repeated", "inserted", "updated", "unchanged", "deleted")
    return replace(landed, **{name: getattr(before, name) + getattr(landed, name) for name in names})
