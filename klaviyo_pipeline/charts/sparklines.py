"""A chart as text: a line of small bars for each series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from klaviyo_pipeline.charts.model import Chart

_BARS = "▁▂▃▄▅▆▇█"
_MOST = 40
"""Bars of a line: so many fit into a column of a table."""


@dataclass(frozen=True)
class Trend:
    """A series in a line: its name, its values as bars, and their sum, or the last value of a level."""

    name: str
    bars: str
    value: float


def trends(chart: Chart) -> list[Trend]:
    """A line for each series, the largest first. Longer series have several values in a bar."""
    size = -(-len(chart.bins) // _MOST)
    found = []
    for series in chart.series:
        parts = [series.values[at : at + size] for at in range(0, len(series.values), size)]
        values = [part[-1] if chart.is_level else sum(part) for part in parts]
        found.append(
            Trend(series.name or "(none)", bars(values), series.values[-1] if chart.is_level else series.total)
        )
    return found


def bars(values: Sequence[float]) -> str:
    """Values as bars from zero, or from the lowest if it is negative, to the highest; a blank for zero."""
    low, high = min(0.0, *values), max(0.0, *values)
    if high == low:
        return " " * len(values)
    steps = (round((value - low) / (high - low) * (len(_BARS) - 1)) for value in values)
    return "".join(_BARS[step] if value else " " for step, value in zip(steps, values, strict=True))
