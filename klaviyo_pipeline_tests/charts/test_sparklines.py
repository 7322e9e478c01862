"""A chart as lines of bars."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from klaviyo_pipeline.charts.model import Chart, Series, Step
from klaviyo_pipeline.charts.sparklines import bars, trends

DAY = datetime(2026, 11, 1, tzinfo=UTC)


def chart(values: list[float], *, is_level: bool = False) -> Chart:
    bins = tuple(DAY + timedelta(days=number) for number in range(len(values)))
    return Chart("Things", Step.DAY, bins, (Series("a", tuple(values)),), "UTC", is_level=is_level)


def test_bars_are_as_high_as_the_values_and_zero_is_blank() -> None:
    assert bars([0, 1, 8, 4]) == " ▂█▅"
    assert bars([0, 0]) == "  "
    assert bars([-7, 0, 7]) == "▁ █"


def test_long_series_sums_values_and_a_level_takes_the_last_ones() -> None:
    values = [float(number) for number in range(100)]
    (counted,) = trends(chart(values))
    (level,) = trends(chart(values, is_level=True))
    assert len(counted.bars) == len(level.bars) == 34
    assert (counted.value, level.value) == (sum(values), 99)
    assert counted.bars[-2:] == "█▃"  # the last bar has one day, the one before it three
    assert level.bars[-1] == "█"
