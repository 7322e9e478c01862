"""What is said once a run, however many of its assets notice it."""

from __future__ import annotations

import threading

_lock = threading.Lock()
_said: dict[str, set[str]] = {}
_RUNS_REMEMBERED = 100


def first_time(run_id: str, notice: str) -> bool:
    """Whether this is new in the run. With a process for each asset, each process says it once."""
    with _lock:
        if run_id not in _said and len(_said) >= _RUNS_REMEMBERED:
            del _said[next(iter(_said))]
        known = _said.setdefault(run_id, set())
        if notice in known:
            return False
        known.add(notice)
        return True
