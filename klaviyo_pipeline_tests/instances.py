"""DuckDBs that are started once and serve many sessions, and instances of Dagster that serve many runs.

A session of the warehouse starts a DuckDB of its own: 18 ms of CPU time, and 19 ms more when it first asks for the
columns of a table. The tests open thousands of sessions, so here a session that ends without an error hands its DuckDB
to the next one. Processes that a test starts open their sessions as the product does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.sql import literal, quote

if TYPE_CHECKING:
    import dagster as dg

LONGEST = 4
"""So many DuckDBs wait for the next session, at most."""

_RESET = "RESET disabled_optimizers; RESET wal_autocheckpoint"
"""The settings of a whole DuckDB that sessions change and leave."""


@contextmanager
def shared() -> Iterator[None]:
    """Sessions of all databases with the same settings take a DuckDB that waits."""
    waiting: list[tuple[str, duckdb.DuckDBPyConnection]] = []

    @contextmanager
    def instance(self: Database) -> Iterator[duckdb.DuckDBPyConnection]:
        config = self._config()
        spills_to = str(config.pop("temp_directory"))
        key = repr(sorted(config.items()))
        started = _taken(waiting, key) or duckdb.connect(":memory:", config=config)
        with ExitStack() as stack:
            stack.callback(started.close)
            started.execute("SET temp_directory = ?", [spills_to])
            with started.cursor() as con:
                yield con
            if _is_as_new(started, spills_to):
                waiting.append((key, started))
                stack.pop_all()
                while len(waiting) > LONGEST:
                    waiting.pop(0)[1].close()

    def stop() -> None:
        while waiting:
            waiting.pop()[1].close()
        while _readers:
            _readers.pop().close()

    os.register_at_fork(before=stop)  # A forked process would have the DuckDBs without their threads.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "_instance", instance)
        yield
    stop()


def of_dagster() -> dg.DagsterInstance | None:
    """Keeps the records of the main thread's runs: to make one takes 40 ms. None in other threads, which would lock its
    tables: there Dagster makes one for each run.
    """
    return _of_main_thread() if threading.current_thread() is threading.main_thread() else None


@cache
def _of_main_thread() -> dg.DagsterInstance:
    import dagster as dg  # not above: processes that write without Dagster import this module

    return dg.DagsterInstance.ephemeral()


_readers: list[duckdb.DuckDBPyConnection] = []


def rows(file: Path, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """The rows of a query on a file. All tests of a process share the DuckDB that reads: to start one takes 20 ms."""
    try:
        con = _readers.pop()
    except IndexError:
        con = duckdb.connect(":memory:")
        con.execute("SET TimeZone = 'UTC'")
    catalog = quote(file.stem)
    con.execute(f"ATTACH {literal(str(file))} AS {catalog} (TYPE duckdb, READ_ONLY)")
    try:
        con.execute(f"USE {catalog}.main")
        return con.execute(query, list(parameters)).fetchall()
    finally:
        con.execute(f"USE memory; DETACH {catalog}")
        _readers.append(con)


def _taken(waiting: list[tuple[str, duckdb.DuckDBPyConnection]], key: str) -> duckdb.DuckDBPyConnection | None:
    """The DuckDB with these settings that came last, which no other thread gets."""
    for entry in reversed(waiting.copy()):
        if entry[0] == key:
            try:
                waiting.remove(entry)
            except ValueError:
                continue  # Another thread was faster.
            return entry[1]
    return None


def _is_as_new(started: duckdb.DuckDBPyConnection, spills_to: str) -> bool:
    """Detaches the files. Whether no session before can be noticed: nothing was spilled, no file is still in use."""
    try:
        started.execute(_RESET)
        files = started.execute("SELECT database_name FROM duckdb_databases() WHERE NOT internal").fetchall()
        for (name,) in files:
            if name != "memory":
                started.execute(f'DETACH "{name}"')
    except duckdb.Error:
        return False
    return not Path(spills_to).exists()
