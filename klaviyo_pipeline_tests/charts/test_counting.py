"""What charts show: sums over hours, days, weeks and months, the largest by name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import pytest

from klaviyo_pipeline.charts.counting import OTHERS, Counted, chart_of
from klaviyo_pipeline.charts.model import MOST_BINS, Step, bins_between, step_for

COPENHAGEN = ZoneInfo("Europe/Copenhagen")


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def rows(*given: tuple[str, str, float]) -> str:
    """A query that gives these rows: a time, a series, an amount."""
    values = ", ".join(f"('{instant}'::TIMESTAMPTZ, '{series}', {amount})" for instant, series, amount in given)
    return f"SELECT * FROM (VALUES {values}) AS given (instant, series, amount)"


def test_hour_that_clocks_go_through_twice_is_two_hours(con: duckdb.DuckDBPyConnection) -> None:
    query = rows(
        ("2026-10-25 00:10+00", "a", 1),  # 02:10 in summer time
        ("2026-10-25 01:10+00", "a", 2),  # 02:10 again
        ("2026-10-25 22:59+00", "a", 4),
        ("2026-10-25 23:00+00", "a", 8),  # tomorrow
    )
    start, end = datetime(2026, 10, 25, tzinfo=COPENHAGEN), datetime(2026, 10, 26, tzinfo=COPENHAGEN)

    chart = chart_of(con, Counted("per {step}", query), start, end, COPENHAGEN)

    assert (chart.title, chart.step, len(chart.bins)) == ("per hour", Step.HOUR, 25)
    assert [begins.hour for begins in chart.bins[:5]] == [0, 1, 2, 2, 3]
    assert chart.series[0].values == (0, 0, 1, 2, *[0] * 20, 4)


def test_days_weeks_and_months_begin_at_local_midnight(con: duckdb.DuckDBPyConnection) -> None:
    query = rows(("2026-03-28 22:59+00", "a", 1), ("2026-03-28 23:00+00", "a", 2), ("2026-03-31 22:00+00", "a", 4))
    start, end = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 4, 1, 12, tzinfo=UTC)

    def values(step: Step) -> dict[str, float]:
        chart = chart_of(con, Counted("", query), start, end, COPENHAGEN, step=step)
        return {
            f"{begins:%m-%d %H:%M}": value for begins, value in zip(chart.bins, chart.series[0].values, strict=True)
        }

    assert values(Step.DAY) == {
        "03-28 00:00": 1,
        "03-29 00:00": 2,
        "03-30 00:00": 0,
        "03-31 00:00": 0,
        "04-01 00:00": 4,
    }
    assert values(Step.WEEK) == {"03-23 00:00": 3, "03-30 00:00": 4}
    assert values(Step.MONTH) == {"03-01 00:00": 3, "04-01 00:00": 4}


def test_largest_series_are_named_and_the_rest_is_one(con: duckdb.DuckDBPyConnection) -> None:
    query = rows(*((f"2026-05-05 0{number}:00+00", f"s{number}", 10 - number) for number in range(9)))
    start = datetime(2026, 5, 5, tzinfo=UTC)

    chart = chart_of(con, Counted("", query), start, start + timedelta(days=1), ZoneInfo("UTC"))

    assert [(series.name, series.total) for series in chart.series] == [
        *((f"s{number}", 10 - number) for number in range(5)),
        (OTHERS, 5 + 4 + 3 + 2),
    ]


def test_level_includes_what_was_before_and_nothing_of_later(con: duckdb.DuckDBPyConnection) -> None:
    query = rows(
        ("2020-01-01 00:00+00", "a", 5),
        ("2026-05-05 01:00+00", "a", 1),
        ("2026-05-06 01:00+00", "a", -2),
        ("2026-05-08 00:00+00", "a", 100),
    )
    start, end = datetime(2026, 5, 4, tzinfo=UTC), datetime(2026, 5, 8, tzinfo=UTC)

    chart = chart_of(con, Counted("", query, is_level=True), start, end, ZoneInfo("UTC"), step=Step.DAY)

    assert chart.series[0].values == (5, 6, 4, 4)


def test_chart_has_few_enough_stretches_of_time_whatever_it_spans() -> None:
    start = datetime(2016, 2, 29, 13, tzinfo=UTC)
    for days in (1, 7, 30, 200, 365, 1300, 3650):
        end = start + timedelta(days=days)
        bins = bins_between(start, end, step_for(start, end), COPENHAGEN)
        assert 10 <= len(bins) <= MOST_BINS + 1
        assert bins[0] <= start < bins[1]
        assert bins[-1] < end
