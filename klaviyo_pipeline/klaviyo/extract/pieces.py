"""The pieces of a report's window, each as long as Klaviyo allows, and what is asked for each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline.klaviyo.extract.question import Question, counts_of
from klaviyo_pipeline.klaviyo.extract.requests import Stream
from klaviyo_pipeline.times import start_of

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from klaviyo_pipeline.klaviyo.catalogue.model import Source
    from klaviyo_pipeline.klaviyo.catalogue.reporting import Report
    from klaviyo_pipeline.klaviyo.windows import Window

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Piece:
    """What one request reads: days, both included; or one of Klaviyo's windows, as it is on the last day."""

    first: date
    last: date
    window: str = ""

    def __str__(self) -> str:
        return self.window or f"{self.first} to {self.last}"


def pieces_of(report: Report, window: Window, zone: ZoneInfo) -> list[Piece]:
    """The pieces of a window, oldest first; each as long as Klaviyo allows.

    A report of named windows has one piece for each.

    Args:
        report: The report.
        window: The window; days that it touches are read whole.
        zone: The account's time zone, whose days count.
    """
    if report.windows:
        today = window.now.astimezone(zone).date()
        return [Piece(today, today, name) for name in report.windows]
    first, last = days_of(window, zone)
    pieces = []
    while True:
        end = min(last, first + (report.longest_days - 1) * DAY)
        pieces.append(Piece(first, end))
        if end == last:
            return pieces
        first = end + DAY - report.overlap_days * DAY


def days_of(window: Window, zone: ZoneInfo) -> tuple[date, date]:
    """The first and the last day that a window with a start touches, up to today."""
    assert window.start is not None
    today = window.now.astimezone(zone).date()
    last = min(today, (window.end - timedelta(microseconds=1)).astimezone(zone).date()) if window.end else today
    return window.start.astimezone(zone).date(), last


def stream_of(source: Source, piece: Piece, id_: str | None, zone: ZoneInfo, now: datetime, revision: str) -> Stream:
    """The stream that reads a piece, for one conversion metric or metric where the report takes one.

    Args:
        source: The report.
        piece: What is read.
        id_: The metric; None for a report that takes none.
        zone: The account's time zone.
        now: The present: Klaviyo is not asked about the time after it.
        revision: The revision that answers.
    """
    report = source.report
    assert report is not None
    if report.cursor_in_body:
        assert id_ is not None
        high = min(start_of(piece.last + DAY, zone), now)
        attributes = counts_of(id_, report.statistics_in(revision), start_of(piece.first, zone), high, zone, report.by)
    else:
        groups = report.groups_in(revision)
        attributes = {
            "statistics": list(report.statistics_in(revision)),
            "timeframe": _timeframe(piece, now.astimezone(zone)),
            **({"interval": report.interval} if report.interval else {}),
            **({"group_by": list(groups)} if groups else {}),
            **({source.fan_out.id_column: id_} if source.fan_out else {}),
        }
    constants: dict[str, Any] = {source.fan_out.id_column: id_} if source.fan_out else {}
    if piece.window:
        constants |= {"window": piece.window, "as_of_date": piece.last}
    of_which = f" of {source.fan_out.noun} {id_!r}" if source.fan_out else ""
    return Stream(
        key=f"{id_ or 'all'} {piece}",
        path=source.path,
        subject=f"{source.title}{of_which}, {piece}",
        constants=constants,
        question=Question(source.resource, attributes, report.grain, zone, report.cursor_in_body, by=report.by),
    )


def _timeframe(piece: Piece, now: datetime) -> dict[str, str]:
    """A time frame: both ends belong to it, and Klaviyo reads them in the account's zone, whatever their offset."""
    if piece.window:
        return {"key": piece.window}
    ends = f"{now:%H:%M:%S}" if piece.last == now.date() else "23:59:59"
    return {"start": f"{piece.first}T00:00:00+00:00", "end": f"{piece.last}T{ends}+00:00"}
