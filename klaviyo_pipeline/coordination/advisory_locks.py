"""Runs on several machines take turns, with an advisory lock that Postgres releases when the connection ends."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline.coordination.postgres import ANSWER_S, LOCK_CLASS, CoordinationError, connect, explained
from klaviyo_pipeline.errors import PipelineError

if TYPE_CHECKING:
    from klaviyo_pipeline.coordination.postgres import Coordination

REMIND_S = 300.0
_KEY = f"{LOCK_CLASS}, hashtext(%(name)s)"
_HOLDER = f"""
SELECT application_name, host(client_addr), backend_start
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND classid = {LOCK_CLASS} AND objsubid = 2
    AND objid = (hashtext(%(name)s)::bigint & 4294967295)::oid
LIMIT 1
"""


class LockTimeoutError(PipelineError):
    """The holder did not end in time. The text names it, in parentheses after a space; or is blank."""


@contextmanager
def advisory_lock(
    coordination: Coordination, name: str, say: Callable[[str, float], object], *, run_id: str = "", wait_s: float
) -> Iterator[None]:
    """Hold the lock of a name until the block ends.

    Args:
        coordination: The database.
        name: What others must not do meanwhile.
        say: Takes the holder, and how many seconds this run still waits, at once and then every five minutes.
        run_id: This run, for the messages of others.
        wait_s: The longest wait in seconds.

    Raises:
        LockTimeoutError: Another connection held it all the time.
        CoordinationError: The database did not answer.
    """
    import psycopg2

    with ExitStack() as held:
        try:
            connection = connect(coordination.address, f"run {run_id or '-'} on {socket.gethostname()}")
            held.callback(connection.close)  # which releases the lock
            with connection.cursor() as cursor:
                _wait(cursor, name, say, wait_s)
        except psycopg2.Error as error:
            raise CoordinationError(explained(coordination.address, error)) from None
        yield


def _wait(cursor: Any, name: str, say: Callable[[str, float], object], wait_s: float) -> None:  # noqa: ANN401
    deadline, patience_s = time.monotonic() + wait_s, 0.0
    while not _locked(cursor, name, patience_s):
        left_s = deadline - time.monotonic()
        cursor.execute(_HOLDER, {"name": name})
        found = cursor.fetchone()
        holder = _described(*found) if found else ""
        if left_s <= 0:
            raise LockTimeoutError(holder)
        say(holder, left_s)
        patience_s = min(left_s, REMIND_S)


def _described(name: str, host: str | None, since: datetime) -> str:
    return f" ({name}, {host or 'this machine'}, since {since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC)"


def _locked(cursor: Any, name: str, patience_s: float) -> bool:  # noqa: ANN401
    """Whether the lock could be had within so many seconds."""
    import psycopg2

    if not patience_s:
        cursor.execute(f"SELECT pg_try_advisory_lock({_KEY})", {"name": name})
        return bool(cursor.fetchone()[0])
    milliseconds = max(1, int(patience_s * 1000))
    cursor.execute(f"SET statement_timeout = {milliseconds + ANSWER_S * 1000}; SET lock_timeout = {milliseconds}")
    try:
        cursor.execute(f"SELECT pg_advisory_lock({_KEY})", {"name": name})
    except psycopg2.errors.LockNotAvailable:
        return False
    return True
