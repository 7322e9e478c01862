"""The mechanism that keeps tests off today's date: one clock in the product, another one in tests, and shifts."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from klaviyo_pipeline import clock
from klaviyo_pipeline_tests import clocks
from klaviyo_pipeline_tests.clocks import shifted

PRODUCT = Path(clock.__file__).parent
ASKS_THE_CLOCK = re.compile(r"\bdatetime\.(?:now|utcnow|today)\(|\bdate\.today\(")


def test_product_asks_the_time_of_day_in_one_place() -> None:
    """The sandbox is another program with a clock of its own. Durations come from `time.monotonic`."""
    asking = {
        path.relative_to(PRODUCT).as_posix()
        for path in PRODUCT.rglob("*.py")
        if "sandbox" not in path.parts and ASKS_THE_CLOCK.search(path.read_text())
    }
    assert asking == {"clock.py"}


def test_clock_of_the_tests_starts_at_its_date_runs_and_can_be_advanced() -> None:
    first = clock.now()
    assert timedelta() <= first - clocks.NOW - clocks.advanced() < timedelta(hours=3)
    clocks.advance(seconds=7)
    assert clock.now() - first >= timedelta(seconds=7)


@pytest.mark.parametrize("year", range(2026, 2034))
def test_shifts_lie_ahead_and_on_the_days_that_they_name(year: int) -> None:
    now = datetime(year, 11, 28, 3, tzinfo=UTC)
    moments = shifted.moments(now)
    assert all(now <= moment for moment in moments.values())
    assert f"{moments['leap-day']:%m-%d}" == "02-29"
    assert f"{moments['new-year']:%m-%d %H:%M:%S}" == "12-31 23:59:30"
    assert {f"{moments[name]:%a}" for name in ("summer-time", "winter-time")} == {"Sun"}


@pytest.mark.skipif(not shifted.LIBRARIES, reason="libfaketime is not installed")
@pytest.mark.parametrize("name", shifted.moments(datetime.now(UTC)))
def test_process_under_a_shifted_clock_shows_that_time_and_its_waits_end(name: str) -> None:
    start = shifted.moments(datetime.now(UTC))[name]
    program = (
        "import datetime, subprocess, sys, threading, time; time.sleep(0.01); threading.Event().wait(0.01)\n"
        "show = 'import datetime; print(datetime.datetime.now(datetime.UTC).isoformat())'\n"
        "exec(show); sys.stdout.flush(); subprocess.run([sys.executable, '-c', show])"
    )

    shown = subprocess.run(
        [sys.executable, "-c", program], env=shifted.environment(start), capture_output=True, text=True, check=True
    )

    ours, childs = (datetime.fromisoformat(line) for line in shown.stdout.split())
    assert start - timedelta(seconds=2) <= ours <= childs < start + timedelta(minutes=5)
