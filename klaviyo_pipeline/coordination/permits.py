"""The right to send requests, leased in small blocks from a budget that all processes of an account share.

The database keeps who has leased how many requests of an endpoint, and when. A process may send a leased request for
``LEASE_S`` seconds. It gives back what it did not send when it leases the next block. A process that dies gives back
nothing: its leases count as sent, until the rate limit's window has passed. So no lease outlives its window.

A lease counts in each window from when it begins until a window's length after it ends. So in no stretch of a window's
length the processes send more than is allowed together, whenever Klaviyo's own windows begin.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from klaviyo_pipeline.coordination.postgres import LOCK_CLASS, Coordination, CoordinationError

LEASE_S = 0.25
"""So long a leased request may be sent."""
BLOCK_SHARE = 10
"""A block is at most the shortest window's requests divided by this."""
ASK_EVERY_S = 1.0
"""A process that waits looks so often whether others gave something back."""
WARN_EVERY_S = 60.0
_log = logging.getLogger(__name__)

# One round trip: the lock is held until the statements have committed, and each sees what others committed before it.
_TAKE = f"""
SELECT pg_advisory_xact_lock({LOCK_CLASS}, hashtext(%(bucket)s));
UPDATE klaviyo_pipeline.request_leases SET requests = requests - %(unused)s WHERE id = %(lease)s;
DELETE FROM klaviyo_pipeline.request_leases
    WHERE bucket = %(bucket)s AND leased_at < clock_timestamp() - %(longest)s * interval '1 second';
WITH windows AS (
    SELECT * FROM unnest(%(lengths)s::float8[], %(allowed)s::int[]) AS each (length_s, allowed)
), counted AS (
    SELECT length_s, allowed, requests, leased_at + length_s * interval '1 second' AS ends,
        sum(requests) OVER (PARTITION BY length_s ORDER BY leased_at DESC, id DESC) AS since
    FROM windows JOIN klaviyo_pipeline.request_leases
        ON bucket = %(bucket)s AND leased_at > clock_timestamp() - length_s * interval '1 second'
), found AS (
    SELECT windows.allowed - coalesce(sum(requests), 0) AS free,
        max(ends) FILTER (WHERE since >= windows.allowed) AS free_at
    FROM windows LEFT JOIN counted USING (length_s) GROUP BY windows.length_s, windows.allowed
), granted AS (
    INSERT INTO klaviyo_pipeline.request_leases (bucket, leased_at, requests)
    SELECT %(bucket)s, clock_timestamp(), least(min(free), %(wanted)s) FROM found HAVING min(free) > 0
    RETURNING id, requests
)
SELECT (SELECT id FROM granted), (SELECT requests FROM granted),
    extract(epoch FROM max(free_at) - clock_timestamp())::float8 FROM found
"""


@dataclass(frozen=True)
class Budget:
    """The rate limits of an account that processes share.

    Attributes:
        coordination: The database.
        account: A name for the account that tells nothing of its key.
    """

    coordination: Coordination
    account: str

    def permits(self, endpoint: str) -> SharedPermits:
        """The budget of one endpoint."""
        return SharedPermits(self.coordination, f"{self.account} {endpoint}")


def shared_budget(coordination: Coordination | None, api_key: str, address: str) -> Budget | None:
    """The budget of the account of an API key at an address; None without a database.

    The key is the key of a hash, so that the database tells nothing of it.
    """
    if coordination is None:
        return None
    return Budget(coordination, hmac.digest(api_key.encode(), f"rate limits\0{address}".encode(), "sha256").hex()[:32])


class SharedPermits:
    """The budget of one endpoint and account. Its owner calls it under a lock.

    Args:
        coordination: The database.
        bucket: The name of the budget; processes that use the same name share it.
        clock: Seconds.
    """

    def __init__(self, coordination: Coordination, bucket: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._coordination = coordination
        self._bucket = bucket
        self._clock = clock
        self._lease: int | None = None
        self._left = self._block = 0
        self._size = 1
        self._ends = self._free_at = self._ask_at = 0.0
        self._warned: float | None = None

    def take(self, windows: Mapping[float, int]) -> float:
        """Take the right to send one request now (0.0), or say how many seconds to wait before asking again.

        Where the database cannot be reached, that is logged, and the answer is 0.0: the process then relies on its own
        limits and on Klaviyo's answers, as a process without a budget does.

        Args:
            windows: The requests that all processes together may send, by the window's length in seconds.
        """
        now = self._clock()
        if self._left and now < self._ends:
            self._left -= 1
            return 0.0
        if now < self._ask_at:
            return max(0.001, self._free_at - now)
        try:
            return self._next_block(windows)
        except CoordinationError as error:
            self._forget()
            if self._warned is None or now - self._warned > WARN_EVERY_S:
                self._warned = now
                _log.warning("%s Meanwhile this process keeps the rate limits by itself, by Klaviyo's answers.", error)
            return 0.0

    def _next_block(self, windows: Mapping[float, int]) -> float:
        used = self._block - self._left
        # The block follows the demand: twice what was sent in time, so that little is leased for nothing.
        most = max(1, windows[min(windows)] // BLOCK_SHARE)
        self._size = max(1, min(most, 2 * used))
        values = {
            "bucket": self._bucket,
            "lease": self._lease,
            "unused": self._left,
            "wanted": self._size,
            "lengths": [length_s + LEASE_S for length_s in windows],
            "allowed": list(windows.values()),
            "longest": max(windows) + LEASE_S,
        }
        self._forget()
        self._lease, granted, wait_s = self._coordination.run(lambda cursor: _row(cursor, values))
        now = self._clock()
        if not granted:
            wait_s = max(0.001, wait_s or 0.0)
            self._free_at, self._ask_at = now + wait_s, now + min(wait_s, ASK_EVERY_S)
            return wait_s
        self._block, self._left, self._ends = granted, granted - 1, now + LEASE_S
        return 0.0

    def _forget(self) -> None:
        self._lease, self._block, self._left = None, 0, 0


def _row(cursor: object, values: Mapping[str, object]) -> tuple[int | None, int | None, float | None]:
    cursor.execute(_TAKE, values)  # type: ignore[attr-defined]
    row: tuple[int | None, int | None, float | None] = cursor.fetchone()  # type: ignore[attr-defined]
    return row
