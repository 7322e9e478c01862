"""What the report shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from klaviyo_pipeline.charts.model import Chart
    from klaviyo_pipeline.status.model import Status


class Mark(StrEnum):
    """How a chart draws its values."""

    BAR = "bar"
    LINE = "line"


@dataclass(frozen=True)
class Figure:
    """A chart of the report, or the reason why it is not there.

    Attributes:
        name: Its id in the page.
        title: Its title.
        chart: Its values; None without rows.
        unit: The unit of the values, such as EUR or %; blank for a number of things.
        mark: How it is drawn.
        missing: Why there is no chart, in a sentence.
    """

    name: str
    title: str
    chart: Chart | None = None
    unit: str = ""
    mark: Mark = Mark.BAR
    missing: str = ""


@dataclass(frozen=True)
class Check:
    """The latest result of a check. Times are aware UTC."""

    asset: str
    name: str
    passed: bool
    is_error: bool
    text: str
    at: datetime


@dataclass(frozen=True)
class Difference:
    """A count that differs: ours and Klaviyo's."""

    day: str
    what: str
    ours: int
    klaviyos: int


@dataclass(frozen=True)
class Change:
    """What loads changed in a table within a day."""

    table: str
    loads: int
    inserted: int
    updated: int
    deleted: int
    rows: int


@dataclass(frozen=True)
class Report:
    """The whole report.

    Attributes:
        at: The moment, aware UTC.
        timezone: The time zone of the charts' days.
        status: The state of the tables.
        figures: The charts, in order.
        changes: The tables that loads have changed since a day before.
        checks: The latest result of every check that has run.
        reconciliation: The results of the comparisons with Klaviyo's own counts.
        differences: The first counts that differ.
    """

    at: datetime
    timezone: str
    status: Status
    figures: Sequence[Figure]
    changes: Sequence[Change] = field(default=())
    checks: Sequence[Check] = field(default=())
    reconciliation: Sequence[Check] = field(default=())
    differences: Sequence[Difference] = field(default=())

    @property
    def failed(self) -> Sequence[Check]:
        """The checks that have not passed, errors first."""
        return sorted((check for check in self.checks if not check.passed), key=lambda each: not each.is_error)
