"""The Postgres database that processes share, its tables, and what happens when it cannot be reached.

A password has no place in the address: libpq takes it from PGPASSWORD or from a password file. No call waits longer
than some seconds. After a failure nothing is asked for a while, so that a database that is down slows nobody.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from typing import Any, TypeVar

from klaviyo_pipeline.errors import ConfigurationError, PipelineError
from klaviyo_pipeline.redaction import redact

T = TypeVar("T")

DRIVER = "psycopg2"
ANSWER_S = 5
"""The longest wait for a connection, and for each answer…"""
QUIET_S = 30.0
"""…and after a failure so long nothing is asked."""
LOCK_CLASS = 0x4B4C56
"""The first of the two numbers of each advisory lock: all locks of this project have it."""
_KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
_TABLES = """
CREATE SCHEMA IF NOT EXISTS klaviyo_pipeline;
CREATE TABLE IF NOT EXISTS klaviyo_pipeline.request_leases (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bucket TEXT NOT NULL,
    leased_at TIMESTAMPTZ NOT NULL,
    requests INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS request_leases_by_bucket ON klaviyo_pipeline.request_leases (bucket, leased_at);
COMMENT ON TABLE klaviyo_pipeline.request_leases IS
    'Requests to Klaviyo that processes may send: which limit they count against, when they were leased, and how many';
"""


class CoordinationError(PipelineError):
    """The Postgres database that processes share cannot be reached, or does not allow what they need."""

    retriable = True


@dataclass(eq=False)
class Coordination:
    """A shared database. Thread-safe. All calls of a process use one connection; each one commits.

    Args:
        address: The database, for libpq, without a password.
    """

    address: str
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _connection: Any = field(default=None, repr=False)
    _process: int = field(default=0, repr=False)
    _quiet_until: float = field(default=0.0, repr=False)
    _problem: str = field(default="", repr=False)

    def run(self, work: Callable[[Any], T]) -> T:
        """Call ``work`` with a cursor; once more with a new connection if the old one is gone.

        Raises:
            CoordinationError: The database did not answer, or there is no driver for it.
        """
        with self._lock:
            if time.monotonic() < self._quiet_until and self._process == os.getpid():
                raise CoordinationError(self._problem)
            is_new = self._connection is None or self._process != os.getpid()
            try:
                try:
                    return self._attempt(work)
                except _driver().Error:
                    if is_new:
                        raise
                    self._drop()
                    return self._attempt(work)
            except _driver().Error as error:
                self._drop()
                self._quiet_until = time.monotonic() + QUIET_S
                self._problem = explained(self.address, error)
                raise CoordinationError(self._problem) from None

    def check(self) -> str:
        """The address, if the database can be used.

        Raises:
            CoordinationError: It cannot.
        """
        self.run(lambda cursor: cursor.execute("SELECT 1"))
        return self.address

    def _attempt(self, work: Callable[[Any], T]) -> T:
        if self._connection is None or self._process != os.getpid():
            self._connection, self._process = connect(self.address, "klaviyo_pipeline"), os.getpid()
        with self._connection.cursor() as cursor:
            return work(cursor)

    def _drop(self) -> None:
        if self._connection is not None and self._process == os.getpid():
            with suppress(_driver().Error):
                self._connection.close()
        self._connection = None


@cache
def coordination_at(address: str) -> Coordination:
    """The one Coordination of this process for an address.

    Raises:
        ConfigurationError: The driver is not installed.
    """
    _driver()
    return Coordination(address)


def has_driver() -> bool:
    """Whether Postgres's driver for Python is installed."""
    return find_spec(DRIVER) is not None


def connect(address: str, name: str) -> Any:  # noqa: ANN401 - a connection of a driver without types
    """A new connection, in which each statement commits, to a database that has the tables."""
    connection = _driver().connect(
        address, connect_timeout=ANSWER_S, tcp_user_timeout=ANSWER_S * 1000, **_KEEPALIVES, application_name=name[:63]
    )
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            milliseconds = ANSWER_S * 1000
            cursor.execute(f"SET statement_timeout = {milliseconds}; SET synchronous_commit = off")
            cursor.execute("SELECT to_regclass('klaviyo_pipeline.request_leases_by_bucket') IS NULL")
            if cursor.fetchone()[0]:
                # One process at a time: two that make the same table fail.
                cursor.execute(f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, 0); {_TABLES}")
    except BaseException:
        connection.close()
        raise
    return connection


def explained(address: str, error: Exception) -> str:
    """What went wrong, and what to do."""
    said = " ".join(redact(str(error)).split()).rstrip(".")
    return (
        f"The Postgres database that processes share ({address}) does not work: {said}. Correct "
        "KLAVIYO_COORDINATION, PGPASSWORD or the database; KLAVIYO_COORDINATION=off does without it."
    )


def _driver() -> Any:  # noqa: ANN401 - a module without types
    try:
        import psycopg2
    except ImportError:
        raise ConfigurationError(
            "KLAVIYO_COORDINATION needs the package psycopg2. Install klaviyo-pipeline[celery] or "
            "klaviyo-pipeline[k8s]; or set KLAVIYO_COORDINATION=off."
        ) from None
    return psycopg2
