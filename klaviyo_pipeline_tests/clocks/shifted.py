"""Runs a command at another time: `python -m klaviyo_pipeline_tests.clocks.shifted leap-day pytest ...`.

The clock of the command, and of every process that it starts, is the real one plus a fixed number of seconds.
Debian's libfaketime does that. Three of its traps are avoided here:

- It shifts the monotonic clock too, and timeouts of threads then never end: only the calendar is shifted.
- A clock that starts "at" a moment starts there in every new process: an offset is the same in all of them.
- `time.sleep` fails: see `preload/sitecustomize.py`.

One remains: files keep the real time of their last change.
"""

from __future__ import annotations

import calendar
import os
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

LIBRARIES = tuple(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
"""Where Debian's package has the library; empty where it is not installed."""
_PRELOAD = Path(__file__).with_name("preload")


def moments(now: datetime) -> dict[str, datetime]:
    """The times at which the suite is run, by name; each is `now` or later. All in UTC."""
    days = [now.date() + timedelta(days=ahead) for ahead in range(8 * 366)]
    half_a_minute_before_one = time(0, 59, 30)  # the European Union changes its clocks at 01:00 UTC
    return {
        "45-days": now + timedelta(days=45),
        "400-days": now + timedelta(days=400),
        "leap-day": _at(_first(day for day in days if (day.month, day.day) == (2, 29)), time(12)),
        "new-year": _at(_first(day for day in days if (day.month, day.day) == (12, 31)), time(23, 59, 30)),
        "summer-time": _at(_first(day for day in days if _is_last_sunday(day, 3)), half_a_minute_before_one),
        "winter-time": _at(_first(day for day in days if _is_last_sunday(day, 10)), half_a_minute_before_one),
    }


def environment(start: datetime, given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a process whose clock shows `start` now.

    Raises:
        FileNotFoundError: if libfaketime is not installed.
    """
    if not LIBRARIES:
        raise FileNotFoundError("libfaketime is not installed. Install it: sudo apt-get install libfaketime")
    path = [str(_PRELOAD), *filter(None, [given.get("PYTHONPATH")])]
    already_s = float(os.environ.get("FAKETIME", "0").removesuffix("s"))
    offset_s = (start - datetime.now(UTC)).total_seconds() + already_s
    return {
        **given,
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME": f"{offset_s:+.0f}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": os.pathsep.join(path),
    }


def _at(day: date, at: time) -> datetime:
    return datetime.combine(day, at, UTC)


def _first(days: Iterable[date]) -> date:
    return next(iter(days))


def _is_last_sunday(day: date, month: int) -> bool:
    return day.month == month and day.weekday() == calendar.SUNDAY and (day + timedelta(days=7)).month != month


def main() -> None:
    """Replaces this process by the command."""
    known = moments(datetime.now(UTC))
    if len(sys.argv) < 3 or sys.argv[1] not in known:
        sys.exit(f"usage: python -m klaviyo_pipeline_tests.clocks.shifted {{{','.join(known)}}} COMMAND [ARGUMENT...]")
    start = known[sys.argv[1]]
    print(f"The clock shows {start:%Y-%m-%d %H:%M:%S} UTC.", flush=True)
    try:
        os.execvpe(sys.argv[2], sys.argv[2:], environment(start))
    except FileNotFoundError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
