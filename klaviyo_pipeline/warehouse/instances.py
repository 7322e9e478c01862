"""DuckDB instances that wait for the next session of this process.

A new instance costs 18 ms of CPU time, and 19 ms more when it first reads the catalog of a file; to attach a file costs
less than one. So a session that ends without an error leaves its instance to the next session with the same settings.
No two sessions have the same instance at a time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from klaviyo_pipeline.warehouse.sql import quote

if TYPE_CHECKING:
    import duckdb

Settings = Mapping[str, str | bool | int | float | list[str]]

MOST_WAITING = 4
"""The most instances that wait; each keeps its threads and a few MB."""
_CHANGED = ("memory_limit", "threads", "disabled_optimizers", "wal_autocheckpoint")
"""Settings of a whole instance that sessions change."""

_lock = threading.Lock()
_waiting: list[tuple[str, duckdb.DuckDBPyConnection]] = []


@contextmanager
def instance(settings: Settings, temp_directory: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to an instance without a file, which nobody else has meanwhile.

    The files that the session attaches are detached at its end, also after an error.

    Args:
        settings: DuckDB settings, unchanged.
        temp_directory: The folder for the instance's temporary files.
    """
    import duckdb

    key = repr(sorted(settings.items()))
    with ExitStack() as stack:
        started = _taken(key) or duckdb.connect(":memory:", config=dict(settings))
        stack.callback(started.close)
        started.execute("SET temp_directory = ?", [temp_directory])
        with started.cursor() as con:
            yield con
        if _is_as_new(started, settings, temp_directory):
            stack.pop_all()
            _leave(key, started)


def close_waiting() -> None:
    """Closes the instances that wait."""
    with _lock:
        closing = [each for _key, each in _waiting]
        _waiting.clear()
    for each in closing:
        each.close()


# A forked process would have the instances without their threads.
os.register_at_fork(before=close_waiting)


def _taken(key: str) -> duckdb.DuckDBPyConnection | None:
    """The instance with these settings that has waited least."""
    with _lock:
        for entry in reversed(_waiting):
            if entry[0] == key:
                _waiting.remove(entry)
                return entry[1]
    return None


def _leave(key: str, started: duckdb.DuckDBPyConnection) -> None:
    with _lock:
        _waiting.append((key, started))
        longest = _waiting.pop(0)[1] if len(_waiting) > MOST_WAITING else None
    if longest is not None:
        longest.close()


def _is_as_new(started: duckdb.DuckDBPyConnection, settings: Settings, temp_directory: str) -> bool:
    """Detaches the files and resets the settings. False if something was spilled: that folder cannot be changed."""
    import duckdb

    try:
        for name in _CHANGED:
            if name in settings:
                started.execute(f"SET {name} = ?", [settings[name]])
            else:
                started.execute(f"RESET {name}")
        files = started.execute("SELECT database_name FROM duckdb_databases() WHERE NOT internal").fetchall()
        for (name,) in files:
            if name != "memory":
                started.execute(f"DETACH {quote(name)}")
    except duckdb.Error:
        return False
    return not Path(temp_directory).exists()
