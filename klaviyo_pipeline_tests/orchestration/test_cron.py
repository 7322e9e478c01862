"""Cron expressions and delays: what is accepted ticks, at the times that the text says, so much later."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator
from hypothesis import event, given
from hypothesis import strategies as st

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.orchestration.automation.cron import LONGEST_DELAY, check_cron, delayed, parse_delay
from klaviyo_pipeline.orchestration.automation.delayed_schedules import tick_of
from klaviyo_pipeline_tests.soaking import examples

BOUNDS = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 6)}
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


@dataclass(frozen=True)
class Field:
    """A field's text, and the numbers that it means by the manual of cron."""

    text: str
    numbers: frozenset[int]


@st.composite
def parts(draw: st.DrawFn, name: str) -> Field:
    low, high = BOUNDS[name]
    number = st.integers(low, high)
    kind = draw(st.sampled_from(["one", "range", "wrapping", "stepped", "every", "name"]))
    first, last = sorted(draw(st.lists(number, min_size=2, max_size=2, unique=True)))
    step = draw(st.integers(1, max(1, high // 2)))
    if kind == "name" and name == "weekday":
        return Field(WEEKDAYS[first], frozenset({first}))
    if kind == "range":
        return Field(f"{first}-{last}", frozenset(range(first, last + 1)))
    if kind == "wrapping":
        return Field(f"{last}-{first}", frozenset([*range(last, high + 1), *range(low, first + 1)]))
    if kind == "stepped" and step <= last:
        return Field(f"{first}-{last}/{step}", frozenset(range(first, last + 1, step)))
    if kind == "every":
        return Field(f"*/{step}", frozenset(range(low, high + 1, step)))
    return Field(str(first), frozenset({first}))


@st.composite
def fields(draw: st.DrawFn, name: str, stars: int = 1) -> Field:
    low, high = BOUNDS[name]
    if draw(st.integers(0, stars + 1)) < stars:
        return Field("*", frozenset(range(low, high + 1)))
    chosen = draw(st.lists(parts(name), min_size=1, max_size=2))
    numbers = frozenset[int]().union(*(part.numbers for part in chosen))
    # Cron's manuals differ about a field that names every day one by one.
    return Field("*" if len(numbers) > high - low else ",".join(part.text for part in chosen), numbers)


@st.composite
def crons(draw: st.DrawFn) -> dict[str, Field]:
    stars = {"minute": 0, "hour": 1, "day": 2, "month": 3, "weekday": 2}
    return {name: draw(fields(name, count)) for name, count in stars.items()}


def spelled(cron: dict[str, Field]) -> str:
    return " ".join(field.text for field in cron.values())


def matches(cron: dict[str, Field], day: date) -> bool:
    """Whether ticks fall on a day: where day and weekday are both restricted, one of them is enough."""
    by_day, by_weekday = day.day in cron["day"].numbers, day.isoweekday() % 7 in cron["weekday"].numbers
    all_days, all_weekdays = len(cron["day"].numbers) == 31, len(cron["weekday"].numbers) == 7
    either = by_day and by_weekday if all_days or all_weekdays else by_day or by_weekday
    return either and day.month in cron["month"].numbers


def by_brute_force(cron: dict[str, Field], start: datetime, days: int) -> list[datetime]:
    """Every minute of the days at which the expression ticks."""
    found = []
    for day in (start + timedelta(days=number) for number in range(days)):
        if matches(cron, day.date()):
            times = itertools.product(sorted(cron["hour"].numbers), sorted(cron["minute"].numbers))
            found += [day.replace(hour=hour, minute=minute) for hour, minute in times]
    return found


def ticks(expressions: list[str], start: datetime, end: datetime) -> list[datetime]:
    """When Dagster ticks."""
    found = schedule_execution_time_iterator(start.timestamp(), expressions, "UTC")
    return list(itertools.takewhile(lambda tick: tick < end, found))


@examples(40)
@given(
    cron=crons(),
    start=st.dates(date(2023, 1, 1), date(2028, 12, 31)),
    delay=st.one_of(st.just(0), st.integers(0, 3 * 24 * 60), st.sampled_from([1, 24 * 60, 7 * 24 * 60])),
)
def test_a_cron_with_a_delay_is_refused_or_ticks_so_much_later(cron: dict[str, Field], start: date, delay: int) -> None:
    begin, length = datetime.combine(start, datetime.min.time(), UTC), timedelta(minutes=delay)
    a_day = len(cron["minute"].numbers) * len(cron["hour"].numbers)
    days = max(2, min(35, 400 // a_day))  # Dagster computes few thousand ticks a second
    try:
        expressions = delayed(spelled(cron), length)
    except ConfigurationError as error:
        event("refused")
        if "never comes" in str(error):
            assert not by_brute_force(cron, datetime(2023, 1, 1, tzinfo=UTC), 4 * 366 + 31)
        elif "past the end of its month" not in str(error):
            raise
        return
    event("accepted")

    expected = [tick + length for tick in by_brute_force(cron, begin, days)]

    assert ticks(expressions, begin + length, begin + length + timedelta(days=days)) == expected
    assert all(tick_of(tick, spelled(cron), "UTC", length) == tick - length for tick in expected[:5])


@examples(100)
@given(
    text=st.one_of(
        st.lists(
            st.text("0123456789*/,-#LlHhRrWw?~@%\u0663\u00b2 monFEB", min_size=1, max_size=6), min_size=4, max_size=6
        ).map(" ".join),
        st.text(max_size=30),
        crons().map(spelled),
    ),
    delay=st.one_of(st.text("0123456789smhd :.-\u0663\u00b2", max_size=6), st.integers(-10, 10**9)),
    zone=st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]),
)
def test_what_is_accepted_makes_a_schedule_that_ticks(text: str, delay: str | int, zone: str) -> None:
    try:
        cron = check_cron(text)
        length = parse_delay(delay) if isinstance(delay, int) or delay else timedelta()
        expressions = delayed(cron, length)
    except ConfigurationError:
        return

    schedule = dg.ScheduleDefinition(
        name="any", job_name="any", cron_schedule=expressions, execution_timezone=zone, execution_fn=lambda _: None
    )

    assert list(schedule.cron_schedule) == expressions
    start = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    for tick in itertools.islice(schedule_execution_time_iterator(start, expressions, zone), 3):
        assert timedelta() <= tick - tick_of(tick, cron, zone, length) <= LONGEST_DELAY + timedelta(hours=2)


@pytest.mark.parametrize(
    ("cron", "delay", "expected"),
    [
        ("0 23 * * sat-sun", "2h", ["0 1 * * 0,1"]),
        ("0 22-2 * * *", "1h", ["0 0,1,2,3,23 * * *"]),
        ("50-55 * * * *", "10m", ["0,1,2,3,4,5 * * * *"]),
        ("0 23 13 * fri", "2h", ["0 1 14 * 6"]),
        ("0 1 31 * *", "2h", ["0 3 31 * *"]),
        ("0 1 L * *", "2h", ["0 3 L * *"]),
    ],
)
def test_fields_that_wrap_or_name_move_by_the_delay(cron: str, delay: str, expected: list[str]) -> None:
    assert delayed(cron, parse_delay(delay)) == expected


def test_minutes_that_wrap_move_by_the_delay() -> None:
    start = datetime(2026, 6, 1, tzinfo=UTC)
    minutes = [
        tick.minute for tick in ticks(delayed("50-10 * * * *", timedelta(minutes=5)), start, start.replace(hour=1))
    ]
    assert minutes == [*range(16), 55, 56, 57, 58, 59]


@pytest.mark.parametrize(
    "cron", ["0 23 29 * *", "0 23 30 * *", "0 23 31 1 *", "0 23 L * *", "0 23 * * 5#2", "0 23 * 6 5"]
)
def test_a_day_that_would_move_into_the_next_month_is_refused(cron: str) -> None:
    with pytest.raises(ConfigurationError, match="past the end of its month"):
        delayed(cron, timedelta(hours=2))


@pytest.mark.parametrize(
    "cron", ["0 0 31 2 *", "0 0 31 feb *", "0 0 31 4 *", "0 0 30 2 *", "0 0 31 4,6,9,11 *", "5 5 30,31 2 *"]
)
def test_a_cron_that_never_comes_is_refused(cron: str) -> None:
    with pytest.raises(ConfigurationError, match="never comes"):
        check_cron(cron)


@pytest.mark.parametrize("cron", ["0 23 1 * 1-0", "0 23 15-14 * 3"])
def test_a_range_that_wraps_around_all_days_moves_as_every_day(cron: str) -> None:
    start = datetime(2026, 6, 1, tzinfo=UTC)
    late = ticks(delayed(cron, timedelta(hours=2)), start, start + timedelta(days=30))
    assert late == [tick + timedelta(hours=2) for tick in ticks([cron], start - timedelta(days=1), late[-1])]


def test_the_leap_day_comes() -> None:
    assert check_cron("0 0 29 2 *") == "0 0 29 2 *"


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("R 0 * * *", "five fields"),
        ("H 0 * * *", "five fields"),
        ("R(0-5) 0 * * *", "five fields"),
        ("0 0 * * 5,r", "five fields"),
        ("1-1 * * * *", "1-1 is no range: write 1"),
        ("0 0 * * mon-mon", "mon-mon is no range: write mon"),
        ("*/90 * * * *", "a step must be smaller"),
        ("\u0663 * * * *", "five fields"),
        ("0 " * 4000, "five fields"),
    ],
)
def test_what_croniter_takes_for_something_else_is_refused(cron: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        check_cron(cron)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "delay", ["1:30", "010", "00", "\u00b2", "\u0663", "1e3", "0x10", "1_000", "9" * 5000, "", "0b1"]
)
def test_a_delay_that_reads_two_ways_is_refused(delay: str) -> None:
    with pytest.raises(ConfigurationError, match="delay is") as caught:
        parse_delay(delay)
    assert len(str(caught.value)) < 400
