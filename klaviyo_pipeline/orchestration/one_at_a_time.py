"""One run at a time: runs of one load wait for each other, by a lock that the kernel lets go of on any death."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from klaviyo_pipeline.klaviyo.staging import StagingArea
    from klaviyo_pipeline.orchestration.load_spec import LoadSpec

POLL_S = 0.2


@dataclass
class Turn:
    """A run's turn: from before it asks where the last one ended until its rows have landed."""

    _lock: BaseFileLock | None = None

    @classmethod
    def of(cls, spec: LoadSpec, area: StagingArea, say: Callable[[str], object]) -> Turn:
        """Wait for this load's turn; loads that may run side by side have it at once.

        Raises:
            StagingError: if the staging folder can not be written to.
        """
        if not spec.one_at_a_time:
            return cls()
        from filelock import FileLock, Timeout

        from klaviyo_pipeline.klaviyo.private_files import FILE_MODE, make_folder
        from klaviyo_pipeline.klaviyo.staging import disk_errors

        folder = area.root / "one_at_a_time"
        with disk_errors(area.root):
            make_folder(area.root)
            make_folder(folder)
        path = folder / f"{re.sub('[^A-Za-z0-9_.-]', '_', spec.ledger_name)}.lock"
        lock = FileLock(path, mode=FILE_MODE, thread_local=False, poll_interval=POLL_S)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"Another run of {spec.ledger_name} is under way: waiting for it to end.")
            lock.acquire()
        return cls(lock)

    def end(self) -> None:
        """Let the next run begin."""
        if self._lock is not None:
            self._lock.release(force=True)
            self._lock = None
