"""Who may read a database: the mode of a new file, and of what DuckDB writes beside it while it is open.

DuckDB takes no mode, and makes its files as the process's umask allows. So the umask is narrowed while a database is
open: there is no moment in which a new file, its WAL or its temporary files can be read by more users than the
database itself. An existing database keeps its mode, and what is written beside it follows.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DEFAULT_MODE = 0o640
_OWNER = 0o700


def mode_of(file: Path, new: int) -> int:
    """The mode of a file; of one that does not exist yet, the one that it is to have."""
    try:
        return stat.S_IMODE(file.stat().st_mode)
    except OSError:
        return new


@contextmanager
def no_wider_than(mode: int) -> Iterator[None]:
    """Files made meanwhile, by any thread, can be read and written by no more users than a file of this mode.

    The umask belongs to the process: it is as narrow as the narrowest of those who are in here at the same time, and
    what it was before once the last one leaves.
    """
    # Folders need the right to enter where files need the right to read.
    allowed = mode | (mode & 0o444) >> 2 | _OWNER
    _narrowed.enter(0o777 & ~allowed)
    try:
        yield
    finally:
        _narrowed.leave()


class _Umask:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = 0

    def enter(self, mask: int) -> None:
        with self._lock:
            before = os.umask(0o077)  # there is no call that only reads it
            os.umask(before | mask)
            if not self._inside:
                self._before = before
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                os.umask(self._before)


_narrowed = _Umask()
