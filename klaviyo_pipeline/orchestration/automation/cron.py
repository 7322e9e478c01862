"""Cron expressions and delays: one grammar for validation and for ticks.

The grammar of cron is Dagster's, which is croniter's. This module refuses two things that croniter accepts: random
fields, and fields that croniter reads in an unexpected way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from klaviyo_pipeline.errors import ConfigurationError

NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
}
LONGEST_DELAY = timedelta(days=7)
_DAY = 24 * 60
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZES = (60, 24, 31, 12, 7)
_SHORTEST_MONTH = 28
_RANDOM = re.compile(r"(?:^|[\s,])[hr](?:$|[\s,(/])")
_FROM_ITSELF = re.compile(r"(?:^|[\s,])(\w+)-\1(?:$|[\s,/])")
_LONGEST_TEXT = 200


def check_cron(text: str) -> str:
    """A cron expression of five fields for five fields or a nickname. The expression has ticks.

    Raises:
        ConfigurationError: saying what is allowed.
    """
    cron = " ".join(text.split())
    if cron.startswith("@"):
        if cron not in NICKNAMES:
            raise ConfigurationError(f"cron is {text!r}, but must be {', '.join(NICKNAMES)} or five fields.")
        return NICKNAMES[cron]
    never = f"cron is {text!r}, which never comes: its months do not have such a day."
    if not _is_grammatical(cron):
        if _is_grammatical_apart(cron):
            raise ConfigurationError(never)
        raise ConfigurationError(
            f"cron is {text[:_LONGEST_TEXT]!r}, but must be five fields (minute, hour, day of month, month, day of "
            f"week) such as '10 0 * * *', or {', '.join(NICKNAMES)}."
        )
    same = _FROM_ITSELF.search(cron)
    if same:
        raise ConfigurationError(f"cron is {text!r}, but {same[1]}-{same[1]} is no range: write {same[1]}.")
    if _steps_beyond_a_field(cron):
        raise ConfigurationError(f"cron is {text!r}, but a step must be smaller than its field: */15 for minutes.")
    if not _ticks(cron):
        raise ConfigurationError(never)
    return cron


def parse_delay(given: str | int) -> timedelta:
    """A delay: seconds as a number, or a text like ``90s``, ``30m``, ``1h30m``. Part minutes are rounded up.

    Raises:
        ConfigurationError: saying what is allowed.
    """
    text = str(given).strip().lower()
    parts = re.findall(r"(0|[1-9][0-9]{0,9})([smhd])", text)
    if re.fullmatch(r"0|[1-9][0-9]{0,9}", text):
        seconds = int(text)
    elif parts and "".join(number + unit for number, unit in parts) == text:
        seconds = sum(int(number) * _UNITS[unit] for number, unit in parts)
    else:
        raise ConfigurationError(
            f"delay is {text[:_LONGEST_TEXT]!r}, but must be seconds, or a text such as 90s, 30m or 1h30m."
        )
    if seconds > LONGEST_DELAY.total_seconds():
        raise ConfigurationError(f"delay is {given!r}, but must be at most {LONGEST_DELAY.days} days.")
    return timedelta(minutes=-(-seconds // 60))


def delayed(cron: str, delay: timedelta) -> list[str]:
    """The cron expressions of the delayed ticks.

    Raises:
        ConfigurationError: where cron cannot say it: a day that would move into the next month.
    """
    cron = check_cron(cron)
    if not delay:
        return [cron]
    fields, nth_weekdays = _expand(cron)
    date = _Date(cron, fields[2:], bool(nth_weekdays))
    shift = int(delay.total_seconds()) // 60
    moved: dict[int, dict[int, set[int]]] = {}
    for hour in _numbers(fields[1], range(24)):
        for minute in _numbers(fields[0], range(60)):
            days, rest = divmod(hour * 60 + minute + shift, _DAY)
            days = 0 if date.is_every_day else days
            moved.setdefault(days, {}).setdefault(rest % 60, set()).add(rest // 60)
    expressions = []
    for days, by_minute in sorted(moved.items()):
        by_hours: dict[str, list[int]] = {}
        for minute, at in sorted(by_minute.items()):
            by_hours.setdefault(_spelled(at, range(24)), []).append(minute)
        later = date.later(days)
        expressions += [f"{_spelled(each, range(60))} {at} {later}" for at, each in by_hours.items()]
    return expressions


class _Date:
    """The last three fields of an expression: days, months and weekdays.

    If both days and weekdays are given, a day matches one of them.
    """

    def __init__(self, cron: str, fields: list[list[Any]], has_nth_weekday: bool) -> None:
        days, months, weekdays = fields
        if len(days) == 31 or len(weekdays) == 7:
            # Written as a range that wraps, such as 1-0, all of them do not count as a star.
            days = weekdays = ["*"]
        self._cron = cron
        self._fields = (days, ["*"] if len(months) == 12 else months, weekdays)
        self._has_nth_weekday = has_nth_weekday
        self.is_every_day = all(field == ["*"] for field in self._fields)

    def later(self, days: int) -> str:
        """The fields shifted by a number of days.

        Raises:
            ConfigurationError: where no fields say that.
        """
        if not days:
            return " ".join(self._cron.split()[2:])
        numbers, months, weekdays = self._fields
        if self._has_nth_weekday or "l" in numbers or not self._stays_in_its_month(days):
            raise ConfigurationError(
                f"delay moves a tick of {self._cron!r} past the end of its month, which cron cannot say: "
                "choose a shorter delay, or another cron expression."
            )
        later_numbers = "*" if numbers == ["*"] else _listed(day + days for day in numbers)
        later_weekdays = "*" if weekdays == ["*"] else _listed((day + days) % 7 for day in weekdays)
        return f"{later_numbers} {_listed(months)} {later_weekdays}"

    def _stays_in_its_month(self, days: int) -> bool:
        numbers, months, weekdays = self._fields
        if numbers == ["*"]:
            return bool(months == ["*"])
        by_weekday_in_some_months = weekdays != ["*"] and months != ["*"]
        return not by_weekday_in_some_months and bool(max(numbers) + days <= _SHORTEST_MONTH)


def _is_grammatical(cron: str) -> bool:
    from klaviyo_pipeline.orchestration.automation.ticks import is_schedule

    plain = cron.isascii() and len(cron) <= _LONGEST_TEXT and len(cron.split()) == len(_SIZES)
    return plain and not _RANDOM.search(cron.lower()) and is_schedule(cron)


def _is_grammatical_apart(cron: str) -> bool:
    """Whether the day and the month are valid separately. Dagster also refuses 30 February."""
    fields = cron.split()
    if len(fields) != len(_SIZES):
        return False
    minute, hour, day, month, weekday = fields
    return _is_grammatical(f"{minute} {hour} 1 {month} {weekday}") and _is_grammatical(
        f"{minute} {hour} {day} * {weekday}"
    )


def _steps_beyond_a_field(cron: str) -> bool:
    """Whether a step has only one value: */90 for minutes means every hour."""
    return any(
        int(step) >= size
        for field, size in zip(cron.split(), _SIZES, strict=True)
        for step in re.findall(r"/([0-9]+)", field)
    )


def _ticks(cron: str) -> bool:
    from klaviyo_pipeline.orchestration.automation.ticks import next_tick

    some_leap_year = datetime(2024, 1, 1, tzinfo=UTC)
    try:
        next_tick([cron], "UTC", some_leap_year)
    except Exception:  # an error of a module that is Dagster's own
        return False
    return True


def _expand(cron: str) -> tuple[list[list[Any]], Mapping[int, Any]]:
    """Each field as sorted numbers or ["*"], with "l" for the last day of a month; and the nth weekdays."""
    from croniter import croniter

    fields, nth_weekdays = croniter.expand(cron)
    return [list(field) for field in fields], nth_weekdays


def _numbers(field: list[Any], every: range) -> Iterable[int]:
    return every if field == ["*"] else field


def _spelled(numbers: Iterable[int], every: range) -> str:
    found = set(numbers)
    return "*" if len(found) == len(every) else _listed(found)


def _listed(numbers: Iterable[Any]) -> str:
    return ",".join(str(number) for number in sorted(numbers))
