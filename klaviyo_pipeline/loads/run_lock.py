"""Runs of one load wait for each other, with a lock that the kernel releases when a process dies."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from klaviyo_pipeline import clock
from klaviyo_pipeline.errors import PipelineError

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from klaviyo_pipeline.klaviyo.staging.stage import StagingArea

POLL_S = 0.2
REMIND_S = 300.0
DEFAULT_WAIT_S, LONGEST_WAIT_S = 3600.0, 86_400.0


class AnotherRunError(PipelineError):
    """Another run of the same load did not end within the time limit. Nothing was read."""


@contextmanager
def run_lock(
    load: str,
    area: StagingArea,
    say: Callable[[str], object],
    *,
    run_id: str = "",
    wait_s: float = DEFAULT_WAIT_S,
) -> Iterator[None]:
    """Hold a load's lock, from before it reads the watermark until its rows have landed.

    The kernel releases the lock when the process dies.

    Args:
        load: The load's name in the ledger.
        area: The staging folder; runs that share it wait for each other.
        say: Takes a message about the run that this run waits for, at once and then every five minutes.
        run_id: This run, for the messages of others.
        wait_s: The longest wait in seconds.

    Raises:
        AnotherRunError: if the other run has not ended by then; it names that run.
        StagingError: if the staging folder cannot be written to.
    """
    from filelock import FileLock

    from klaviyo_pipeline.klaviyo.staging.stage import disk_errors
    from klaviyo_pipeline.private_files import FILE_MODE, make_folder

    folder = area.root / "one_at_a_time"
    name = re.sub("[^A-Za-z0-9_.-]", "_", load)
    holder = folder / f"{name}.json"
    with disk_errors(area.root):
        make_folder(area.root)
        make_folder(folder)
    lock = FileLock(folder / f"{name}.lock", mode=FILE_MODE, thread_local=False, poll_interval=POLL_S)
    _wait(lock, load, holder, say, wait_s)
    try:
        with disk_errors(area.root):
            holder.write_text(
                json.dumps({"run": run_id, "pid": os.getpid(), "since": f"{clock.now():%Y-%m-%d %H:%M:%S} UTC"})
            )
        yield
    finally:
        with contextlib.suppress(OSError):  # it only tells others who is there
            holder.unlink(missing_ok=True)
        lock.release(force=True)


def _wait(lock: BaseFileLock, load: str, holder: Path, say: Callable[[str], object], wait_s: float) -> None:
    from filelock import Timeout

    deadline = time.monotonic() + wait_s
    remaining_s = 0.0
    while True:
        try:
            lock.acquire(timeout=max(0.0, min(remaining_s, REMIND_S)))
        except Timeout:
            remaining_s = deadline - time.monotonic()
        else:
            return
        if remaining_s <= 0:
            raise AnotherRunError(
                f"Another run of {load} is active{_who(holder)}. This run waited {wait_s:g} s for it and read nothing. "
                "Wait for that run, or end it. same_load_timeout_s of the resource duckdb sets a longer wait."
            )
        say(f"Another run of {load} is active{_who(holder)}: waiting up to {remaining_s:.0f} s for it to end.")


def _who(holder: Path) -> str:
    """The run that holds the lock, from its note; blank without one."""
    try:
        found = json.loads(holder.read_text())
        run = f"run {found['run']}, " if found["run"] else ""
        return f" ({run}process {found['pid']}, since {found['since']})"
    except (OSError, ValueError, LookupError, TypeError):
        return ""
