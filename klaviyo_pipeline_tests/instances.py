"""A DuckDB that reads for all tests of a process, and an instance of Dagster that serves many runs."""

from __future__ import annotations

import os
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from klaviyo_pipeline.warehouse.sql import literal, quote

if TYPE_CHECKING:
    import dagster as dg


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


def _close_readers() -> None:
    while _readers:
        _readers.pop().close()


os.register_at_fork(before=_close_readers)  # A forked process would have the DuckDB without its threads.


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
