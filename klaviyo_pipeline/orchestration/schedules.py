"""Schedules that run a tick later than it falls, over the window that it stands for.

Dagster ticks by cron expressions alone, so a delay becomes a shifted expression: ``10 0 * * *`` an hour and a half
later is ``40 1 * * *``. A delay is counted on the clock of the schedule's time zone, daylight saving or not. Each
tick of the shifted expression stands for the one of the given expression that is nearest to so long before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from klaviyo_pipeline.klaviyo.errors import ConfigurationError

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
}
LONGEST_DELAY = timedelta(days=7)
_DAY = 24 * 60
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_ALL_FIELDS = 5


def check_cron(text: str) -> str:
    """A cron expression of five fields for one of them or a nickname.

    Raises:
        ConfigurationError: saying what is allowed.
    """
    from dagster._utils.schedules import is_valid_cron_schedule

    cron = " ".join(text.split())
    if cron.startswith("@"):
        if cron not in NICKNAMES:
            raise ConfigurationError(f"cron is {text!r}, but must be {', '.join(NICKNAMES)} or five fields.")
        return NICKNAMES[cron]
    if len(cron.split()) != _ALL_FIELDS or not is_valid_cron_schedule(cron):
        raise ConfigurationError(
            f"cron is {text!r}, but must be five fields (minute, hour, day of month, month, day of week) such as "
            f"'10 0 * * *', or {', '.join(NICKNAMES)}."
        )
    return cron


def parse_delay(given: str | int) -> timedelta:
    """A delay: seconds as a number, or a text like ``90s``, ``30m``, ``1h30m``. Part minutes are rounded up.

    Raises:
        ConfigurationError: saying what is allowed.
    """
    text = str(given).strip().lower()
    parts = re.findall(r"(\d+)([smhd])", text)
    if text.isdigit():
        seconds = int(text)
    elif parts and "".join(number + unit for number, unit in parts) == text:
        seconds = sum(int(number) * _UNITS[unit] for number, unit in parts)
    else:
        raise ConfigurationError(f"delay is {given!r}, but must be seconds, or a text such as 90s, 30m or 1h30m.")
    if seconds > LONGEST_DELAY.total_seconds():
        raise ConfigurationError(f"delay is {given!r}, but must be at most {LONGEST_DELAY.days} days.")
    return timedelta(minutes=-(-seconds // 60))


def delayed(cron: str, delay: timedelta) -> list[str]:
    """The cron expressions of ticks so much later.

    Raises:
        ConfigurationError: where cron can not say it: a day at the end of a month that would move into the next.
    """
    cron = check_cron(cron)
    if not delay:
        return [cron]
    minutes, hours, days, months, weekdays = cron.split()
    shift = int(delay.total_seconds()) // 60
    moved: dict[int, dict[int, set[int]]] = {}
    for hour in _numbers(hours, 0, 23):
        for minute in _numbers(minutes, 0, 59):
            day, rest = divmod(hour * 60 + minute + shift, _DAY)
            moved.setdefault(day, {}).setdefault(rest % 60, set()).add(rest // 60)
    if days == months == weekdays == "*":
        together: dict[int, set[int]] = {}
        for by_minute in moved.values():
            for minute, at in by_minute.items():
                together.setdefault(minute, set()).update(at)
        moved = {0: together}
    expressions = []
    for day, by_minute in sorted(moved.items()):
        date = f"{_later_days(days, months, day, cron)} {months} {_later_weekdays(weekdays, day)}"
        by_hours: dict[str, list[int]] = {}
        for minute, at in sorted(by_minute.items()):
            by_hours.setdefault(_spelled(at, 24), []).append(minute)
        expressions += [f"{_spelled(set(each), 60)} {at} {date}" for at, each in by_hours.items()]
    return expressions


def tick_of(at: datetime, cron: str, timezone: str, delay: timedelta) -> datetime:
    """The tick of ``cron`` that a tick of the delayed schedule stands for, in UTC."""
    from dagster._utils.schedules import schedule_execution_time_iterator

    # In UTC: two times of one zone are compared and subtracted by their clocks, whatever happens to these in between.
    at = at.astimezone(UTC)
    if not delay:
        return at
    wanted, margin = at - delay, timedelta(hours=2)
    best, nearest = wanted, None
    earliest = (wanted - max(margin, delay)).timestamp()
    for local in schedule_execution_time_iterator(earliest, check_cron(cron), timezone):
        tick = local.astimezone(UTC)
        if tick > at or tick > wanted + margin:
            break
        distance = abs(tick - wanted)
        if nearest is None or distance <= nearest:
            best, nearest = tick, distance
    return best


def tick_schedule(
    *,
    name: str,
    job: dg.JobDefinition | UnresolvedAssetJobDefinition,
    cron: str,
    timezone: str,
    delay: timedelta,
    running: bool,
    run_config: Callable[[datetime], Mapping[str, Any] | str],
    tags: Mapping[str, str],
    description: str,
) -> dg.ScheduleDefinition:
    """A schedule with one run a tick, which knows the tick that it stands for.

    Args:
        name: The schedule's name.
        job: The job to run.
        cron: When ticks fall.
        timezone: The time zone in which they do, an IANA name.
        delay: How much later their runs begin.
        running: Whether the schedule is on unless a person says otherwise in Dagster.
        run_config: The run's config, by the end of the window that a tick stands for; or why there is to be no run.
        tags: The run's tags.
        description: For people.
    """

    def evaluate(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        tick = tick_of(context.scheduled_execution_time, cron, timezone, delay)
        config = run_config(tick)
        if isinstance(config, str):
            return dg.SkipReason(config)
        return dg.RunRequest(
            run_key=tick.isoformat(), run_config=config, tags={**tags, "klaviyo/tick": tick.isoformat()}
        )

    return dg.ScheduleDefinition(
        name=name,
        job=job,
        cron_schedule=delayed(cron, delay),
        execution_timezone=timezone,
        execution_fn=evaluate,
        default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
        description=description,
    )


def _numbers(text: str, low: int, high: int) -> list[int]:
    """The numbers that a cron field of minutes or hours stands for."""
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        start = low if first == "*" else int(first)
        end = high if first == "*" or (step and not last) else int(last or first)
        found.update(range(start, end + 1, int(step or 1)))
    return sorted(found)


def _spelled(numbers: set[int], all_of_them: int) -> str:
    return "*" if len(numbers) == all_of_them else ",".join(str(number) for number in sorted(numbers))


def _later_days(text: str, months: str, days: int, cron: str) -> str:
    if not days or (text == "*" and months == "*"):
        return text
    try:
        moved = [day + days for day in _numbers(text, 1, 31)]
    except ValueError:
        moved = [99]
    if max(moved) > 28:
        raise ConfigurationError(
            f"delay moves a tick of {cron!r} past the end of its month, which cron can not say: "
            "choose a shorter delay, or another cron expression."
        )
    return ",".join(str(day) for day in moved)


_WEEKDAYS = {name: str(number) for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}


def _later_weekdays(text: str, days: int) -> str:
    if not days or text == "*":
        return text
    digits = re.sub(r"[a-z]{3}", lambda found: _WEEKDAYS[found[0]], text.lower())
    try:
        moved = {(day + days) % 7 for day in _numbers(digits, 0, 7)}
    except ValueError:
        raise ConfigurationError(
            f"delay can not be applied to the day of week {text!r}: name the days by numbers or names."
        ) from None
    return ",".join(str(day) for day in sorted(moved))
