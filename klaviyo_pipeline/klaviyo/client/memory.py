"""A bound on the bytes of all answers that a process holds at once, however many connections read them.

One page has a cap (``max_page_mb``), but 64 connections that each hold such a page would need 64 times as much. So
bytes are taken from one budget as they arrive. A connection that finds it empty waits for another one to give back
its bytes. One connection at a time may take more than is left: so large pages are read one after the other, and
connections that hold half a page each never wait for each other forever.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

HELD_BYTES = 512 * 2**20
"""So many bytes the answers of an account's connections may have together, beside one that is larger."""


class Held:
    """The bytes of one answer. ``waited_s`` is how long it waited for them, in seconds."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self.count = 0
        self.waited_s = 0.0

    def take(self, count: int) -> None:
        """Take bytes from the budget. Waits until they are free."""
        self._budget._take(self, count)


class MemoryBudget:
    """A limit for the bytes of all answers that are in memory together. Thread-safe."""

    def __init__(self, most: int = HELD_BYTES) -> None:
        self._left = most
        self._beyond: Held | None = None
        """The one answer that may take more than is left."""
        self._changed = threading.Condition()

    @contextmanager
    def answer(self) -> Iterator[Held]:
        """The bytes of one answer, until its page is read."""
        held = Held(self)
        try:
            yield held
        finally:
            with self._changed:
                self._left += held.count
                if self._beyond is held:
                    self._beyond = None
                self._changed.notify_all()

    def _take(self, held: Held, count: int) -> None:
        with self._changed:
            if self._left < count and self._beyond not in (None, held):
                began = time.monotonic()
                self._changed.wait_for(lambda: self._left >= count or self._beyond is None)
                held.waited_s += time.monotonic() - began
            if self._left < count:
                self._beyond = held
            self._left -= count
            held.count += count


_ACCOUNTS: dict[str, MemoryBudget] = {}
_ACCOUNTS_LOCK = threading.Lock()


def memory_of_account(account: str) -> MemoryBudget:
    """The one budget that all clients of this process share for an account (any text that names it)."""
    with _ACCOUNTS_LOCK:
        return _ACCOUNTS.setdefault(account, MemoryBudget())
