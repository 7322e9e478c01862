"""Runs of one load wait for each other, with locks that end when a process dies.

On one machine it is a lock on a file. Where several machines write the same destination, it is also an advisory lock in
the Postgres database that they share.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from klaviyo_pipeline import clock
from klaviyo_pipeline.errors import PipelineError

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from klaviyo_pipeline.coordination.postgres import Coordination
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
    coordination: Coordination | None = None,
    place: str = "",
) -> Iterator[None]:
    """Hold a load's lock, from before it reads the watermark until its rows have landed.

    The kernel releases the lock when the process dies, and Postgres when the connection ends.

    Args:
        load: The load's name in the ledger.
        area: The staging folder; runs that share it wait for each other.
        say: Takes a message about the run that this run waits for, at once and then every five minutes.
        run_id: This run, for the messages of others.
        wait_s: The longest wait in seconds, for each lock.
        coordination: The database that machines share; None: only runs on this machine wait for each other.
        place: The destination. In the shared database, loads of the same name into different ones are different.

    Raises:
        AnotherRunError: if the other run has not ended by then; it names that run.
        CoordinationError: if the shared database does not answer. Without it, two machines could append the same rows.
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
        with _machines_lock(coordination, place, load, say, run_id, wait_s):
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
            raise _too_long(load, _who(holder), wait_s)
        say(_waiting(load, _who(holder), remaining_s))


@contextmanager
def _machines_lock(
    coordination: Coordination | None,
    place: str,
    load: str,
    say: Callable[[str], object],
    run_id: str,
    wait_s: float,
) -> Iterator[None]:
    if coordination is None:
        yield
        return
    from klaviyo_pipeline.coordination.advisory_locks import LockTimeoutError, advisory_lock

    def waits(holder: str, remaining_s: float) -> None:
        say(_waiting(load, holder, remaining_s))

    with ExitStack() as held:
        try:
            held.enter_context(advisory_lock(coordination, f"{place} {load}", waits, run_id=run_id, wait_s=wait_s))
        except LockTimeoutError as error:
            raise _too_long(load, str(error), wait_s) from None
        yield


def _waiting(load: str, holder: str, remaining_s: float) -> str:
    return f"Another run of {load} is active{holder}: waiting up to {remaining_s:.0f} s for it to end."


def _too_long(load: str, holder: str, wait_s: float) -> AnotherRunError:
    return AnotherRunError(
        f"Another run of {load} is active{holder}. This run waited {wait_s:g} s for it and read nothing. "
        "Wait for that run, or end it. same_load_timeout_s of the resource duckdb sets a longer wait."
    )


def _who(holder: Path) -> str:
    """The run that holds the lock, from its note; blank without one."""
    try:
        found = json.loads(holder.read_text())
        run = f"run {found['run']}, " if found["run"] else ""
        return f" ({run}process {found['pid']}, since {found['since']})"
    except (OSError, ValueError, LookupError, TypeError):
        return ""
