"""Once for real: a minute's cron with a time zone and a delay, under Dagster's daemon."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from klaviyo_pipeline.orchestration.dagster_home import SETTINGS
from klaviyo_pipeline_tests.transfers.workplace import Workplace

PATIENCE_S = 200
PROJECT = Path(__file__).parents[2]


@contextmanager
def daemon(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Dagster's daemon with its own home; all its processes end with the test, whatever happens."""
    log = (home / "daemon.log").open("wb")
    command = [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-m", "klaviyo_pipeline.definitions"]
    process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        yield process
    finally:
        for sign in (signal.SIGINT, signal.SIGKILL):
            try:
                os.killpg(process.pid, sign)
                process.wait(timeout=15)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        log.close()


@pytest.mark.timeout(PATIENCE_S + 60)
@pytest.mark.long
def test_minutes_cron_with_timezone_and_delay_ticks_under_the_daemon(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write(
        "minutely",
        "source: lists\noptions: {lookback_days: 0}\n"
        "schedule: {cron: '* * * * *', timezone: Asia/Kolkata, delay: 2m}\n",
    )
    home = place.root / "home"
    home.mkdir()
    shutil.copy(SETTINGS, home)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    # Dagster's storage is made by the first who asks; two at once would get into each other's way.
    runs: list[dict[str, Any]] = place.json("transfer", "history", "minutely")
    with daemon(home) as process:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and process.poll() is None:
            runs = [run for run in place.json("transfer", "history", "minutely") if run["status"] == "success"]
            if runs:
                break
            time.sleep(1)
        assert runs, (home / "daemon.log").read_text()[-3000:]

    run = runs[-1]
    tick, started = datetime.fromisoformat(run["tick"]), datetime.fromisoformat(run["started"])
    assert tick.second == 0
    assert datetime.fromisoformat(run["window_end"]) == tick
    assert started - tick >= timedelta(minutes=2)
    assert place.sql("SELECT count(*) FROM klaviyo.minutely") == [(len(place.truth("lists")),)]
