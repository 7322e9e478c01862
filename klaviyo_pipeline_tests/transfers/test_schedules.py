"""Schedules: cron, time zone and delay, by Dagster's own evaluation, over changes to and from daylight saving."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator
from hypothesis import given, settings
from hypothesis import strategies as st

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.orchestration.automation.cron import check_cron, delayed, parse_delay
from klaviyo_pipeline.orchestration.automation.delayed_schedules import tick_of
from klaviyo_pipeline.transfers.definitions import transfer_definitions
from klaviyo_pipeline.transfers.folder import Folder
from klaviyo_pipeline_tests.transfers.workplace import Workplace

NEW_YORK = "America/New_York"
SPRING, AUTUMN = datetime(2026, 3, 8, tzinfo=ZoneInfo(NEW_YORK)), datetime(2026, 11, 1, tzinfo=ZoneInfo(NEW_YORK))


def ticks(crons: list[str] | str, zone: str, start: datetime, days: float) -> list[datetime]:
    """When Dagster would tick."""
    end = start + timedelta(days=days)
    found = schedule_execution_time_iterator(start.timestamp(), crons, zone)
    return list(itertools.takewhile(lambda tick: tick < end, found))


def schedule_of(place: Workplace, text: str, name: str = "daily") -> dg.ScheduleDefinition:
    place.write(name, text)
    (schedule,) = transfer_definitions(Folder()).schedules or ()
    assert isinstance(schedule, dg.ScheduleDefinition)
    return schedule


def evaluate(schedule: dg.ScheduleDefinition, at: datetime) -> dg.RunRequest | str:
    """The run that Dagster would start at a tick, or why none."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = schedule.evaluate_tick(dg.build_schedule_context(instance, scheduled_execution_time=at))
    return result.run_requests[0] if result.run_requests else str(result.skip_message)


@pytest.mark.parametrize(
    ("cron", "delay", "crons"),
    [
        ("10 0 * * *", "0", ["10 0 * * *"]),
        ("10 0 * * *", "90m", ["40 1 * * *"]),
        ("10 0 * * *", "61s", ["12 0 * * *"]),
        ("30 23 * * *", "1h", ["30 0 * * *"]),
        ("@hourly", "600", ["10 * * * *"]),
        ("@monthly", "1d2h", ["0 2 2 * *"]),
        ("0 23 * * 1-5", "2h", ["0 1 * * 2,3,4,5,6"]),
        ("0 23 * * mon,sat", "2h", ["0 1 * * 0,2"]),
        ("*/20 22-23 * * 0", "30m", ["30,50 22 * * 0", "10 23 * * 0", "30,50 23 * * 0", "10 0 * * 1"]),
    ],
)
def test_delay_shifts_the_cron_expression(cron: str, delay: str, crons: list[str]) -> None:
    week = datetime(2026, 6, 1, tzinfo=UTC)
    made = delayed(cron, parse_delay(delay))

    assert ticks(made, "UTC", week, 40) == ticks(crons, "UTC", week, 40)


@settings(deadline=None, max_examples=40)
@given(
    minute=st.sampled_from(["0", "30", "*/15", "5,50", "10-40/10"]),
    hour=st.sampled_from(["*", "0", "23", "*/6", "8-18", "1,22"]),
    weekday=st.sampled_from(["*", "0", "1-5", "6", "7"]),
    delay=st.integers(0, 3 * 24 * 60),
)
def test_every_tick_stands_for_the_tick_so_long_before(minute: str, hour: str, weekday: str, delay: int) -> None:
    cron, length = f"{minute} {hour} * * {weekday}", timedelta(minutes=delay)
    start = datetime(2026, 6, 10, tzinfo=UTC)

    late = ticks(delayed(cron, length), "UTC", start + length, 15)

    assert late == [tick + length for tick in ticks(cron, "UTC", start, 15)]
    assert all(tick_of(tick, cron, "UTC", length) == tick - length for tick in late[:30])


@pytest.mark.parametrize("cron", ["", "* * *", "61 * * * *", "@yearly", "daily", "0 0 0 * * *", "a b c d e"])
def test_what_is_no_cron_expression_is_refused(cron: str) -> None:
    with pytest.raises(ConfigurationError, match="cron is"):
        check_cron(cron)


@pytest.mark.parametrize("delay", ["-1", "soon", "1.5h", "30x", "8d", "1h 1"])
def test_what_is_no_delay_is_refused(delay: str) -> None:
    with pytest.raises(ConfigurationError, match="delay is"):
        parse_delay(delay)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        # In spring the day has 23 hours, in autumn 25; ticks stay at 00:10 on the clock, runs at 03:10.
        (SPRING, ["03-07 05:10 08:10", "03-08 05:10 07:10", "03-09 04:10 07:10", "03-10 04:10 07:10"]),
        (AUTUMN, ["10-31 04:10 07:10", "11-01 04:10 08:10", "11-02 05:10 08:10", "11-03 05:10 08:10"]),
    ],
)
def test_schedule_over_a_change_of_the_clock_runs_late_over_the_window_of_its_tick(
    place: Workplace, change: datetime, expected: list[str]
) -> None:
    text = f"source: lists\nschedule: {{cron: '10 0 * * *', timezone: {NEW_YORK}, delay: 3h}}"
    schedule = schedule_of(place, text)
    assert schedule.execution_timezone == NEW_YORK

    seen = []
    for at in ticks(list(schedule.cron_schedule), NEW_YORK, change - timedelta(days=1), 4):
        request = evaluate(schedule, at)
        assert isinstance(request, dg.RunRequest)
        end = datetime.fromisoformat(request.run_config["ops"]["transfers__daily"]["config"]["end_time"])
        assert request.run_key == request.tags["klaviyo/tick"] == end.isoformat()
        seen.append(f"{end:%m-%d %H:%M} {at.astimezone(UTC):%H:%M}")
    assert seen == expected


@pytest.mark.parametrize(("change", "hours"), [(SPRING, 23), (AUTUMN, 25)])
def test_hourly_schedule_over_a_change_of_the_clock_misses_and_repeats_no_hour(
    place: Workplace, change: datetime, hours: int
) -> None:
    schedule = schedule_of(place, f"source: lists\nschedule: {{cron: '@hourly', timezone: {NEW_YORK}, delay: 30m}}")
    day_end = (change + timedelta(days=1)).astimezone(UTC)

    requests = [
        evaluate(schedule, at)
        for at in ticks(list(schedule.cron_schedule), NEW_YORK, change, 2)
        if at.astimezone(UTC) < day_end
    ]

    ends = [datetime.fromisoformat(request.run_key) for request in requests if isinstance(request, dg.RunRequest)]
    assert len(ends) == hours
    assert {b - a for a, b in itertools.pairwise(ends)} == {timedelta(hours=1)}


def test_paused_deleted_or_broken_transfer_skips_its_ticks_without_a_reload(place: Workplace) -> None:
    text = "source: lists\nschedule: {cron: '@daily'}\n"
    schedule, at = schedule_of(place, text), datetime(2026, 6, 1, tzinfo=UTC)
    assert isinstance(evaluate(schedule, at), dg.RunRequest)

    place.write("daily", text.replace("}", ", paused: true}"))
    assert "daily is paused" in str(evaluate(schedule, at))
    place.write("daily", text.replace("}", ", repeat: false}"))
    assert "daily is paused" in str(evaluate(schedule, at))
    place.write("daily", "source: nothing")
    assert "source is 'nothing'" in str(evaluate(schedule, at))
    place.write("daily", text).unlink()
    assert "There is no transfer 'daily'" in str(evaluate(schedule, at))


def test_schedule_is_on_if_it_repeats_off_while_paused_and_absent_otherwise(place: Workplace) -> None:
    on = schedule_of(place, "source: lists\nschedule: {cron: '@daily'}")
    assert on.default_status is dg.DefaultScheduleStatus.RUNNING
    off = schedule_of(place, "source: lists\nschedule: {cron: '@daily', paused: true}")
    assert off.default_status is dg.DefaultScheduleStatus.STOPPED
    by_hand = schedule_of(place, "source: lists\nschedule: {cron: '@daily', auto_start: false}")
    assert by_hand.default_status is dg.DefaultScheduleStatus.STOPPED
    assert isinstance(evaluate(by_hand, datetime(2026, 6, 1, tzinfo=UTC)), dg.RunRequest)
    place.write("daily", "source: lists\nschedule: {cron: '@daily', repeat: false}")
    assert not transfer_definitions(Folder()).schedules


@pytest.mark.parametrize(
    "options", ["{incremental: false}", "{start_time: '2026-01-01', end_time: '2026-02-01'}"], ids=["whole", "fixed"]
)
def test_tick_of_a_transfer_whose_window_is_not_a_ticks_is_a_plain_run(place: Workplace, options: str) -> None:
    schedule = schedule_of(place, f"source: lists\noptions: {options}\nschedule: {{cron: '@daily'}}")
    request = evaluate(schedule, datetime(2026, 6, 1, tzinfo=UTC))
    assert isinstance(request, dg.RunRequest)
    assert not request.run_config
