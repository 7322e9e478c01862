"""The values of a chart over bins of time, without their drawing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum

MOST_BINS = 200
"""A chart has no more stretches of time than this: each still takes some pixels."""


class Step(StrEnum):
    """The length of a bin. All but hours begin at local midnight."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True)
class Series:
    """One colour of a chart: a value for each bin."""

    name: str
    values: tuple[float, ...]

    @property
    def total(self) -> float:
        """The sum of the values."""
        return sum(self.values)


@dataclass(frozen=True)
class Chart:
    """Values over time.

    Attributes:
        title: Its title.
        step: The length of a bin.
        bins: The start of each bin: aware, in the chart's time zone.
        series: The values, stacked on each other, the lowest first.
        timezone: The time zone's name, which is shown.
        loaded: The window of a run, if the chart marks it.
        is_level: Whether the values are a state (members of a list) rather than counts of what happened.
    """

    title: str
    step: Step
    bins: tuple[datetime, ...]
    series: tuple[Series, ...]
    timezone: str
    loaded: tuple[datetime, datetime] | None = None
    is_level: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether the chart has no values."""
        return not any(any(series.values) for series in self.series)


def step_for(start: datetime, end: datetime) -> Step:
    """The shortest step that does not make too many bins."""
    days = (end - start) / timedelta(days=1)
    for step, length_days in ((Step.HOUR, 1 / 24), (Step.DAY, 1), (Step.WEEK, 7)):
        if days / length_days <= MOST_BINS:
            return step
    return Step.MONTH


def bins_between(start: datetime, end: datetime, step: Step, zone: tzinfo) -> tuple[datetime, ...]:
    """The starts of the bins that cover ``[start, end)``, in order, aware and in ``zone``."""
    bins = []
    if step is Step.HOUR:
        instant = start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        while instant < end:
            bins.append(instant.astimezone(zone))
            instant += timedelta(hours=1)
        return tuple(bins)
    day = _first_day(start.astimezone(zone).date(), step)
    while (begins := datetime.combine(day, time(), zone)) < end:
        bins.append(begins)
        day = _next(day, step)
    return tuple(bins)


def _first_day(day: date, step: Step) -> date:
    if step is Step.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if step is Step.MONTH else day


def _next(day: date, step: Step) -> date:
    if step is Step.MONTH:
        return (day + timedelta(days=31)).replace(day=1)
    return day + timedelta(days=7 if step is Step.WEEK else 1)
