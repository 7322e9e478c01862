"""What the destination in use can do, as far as the rest of the warehouse depends on it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_ZSTD_SINCE = (1, 2)
"""The storage version from which a file can hold columns compressed by ZSTD."""


@dataclass(frozen=True)
class Capabilities:
    """What the destination in use can do.

    Attributes:
        compresses_columns: A column can be declared with its compression, among them ZSTD.
        buffers_columns: A column that was added is held in memory until a checkpoint.
        is_exclusive: A session that writes is alone; otherwise others may commit meanwhile.
        divides_by_day: The files of a table can be divided by the day of a time.
    """

    compresses_columns: bool
    buffers_columns: bool
    is_exclusive: bool
    divides_by_day: bool


def capabilities_of(con: duckdb.DuckDBPyConnection) -> Capabilities:
    """The capabilities of the destination that is in use in a session."""
    kind = con.execute("SELECT type FROM duckdb_databases() WHERE database_name = current_database()").fetchall()[0][0]
    is_file = kind == "duckdb"
    return Capabilities(
        compresses_columns=is_file and storage_version(con) >= _ZSTD_SINCE,
        buffers_columns=is_file,
        is_exclusive=is_file,
        divides_by_day=kind == "ducklake",
    )


def storage_version(con: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    """The oldest DuckDB, as major and minor version, that can read the file in use; (0, 0) where it does not say.

    A file keeps the format that it was made in. DuckDB 1.x makes files of format 1.0 unless told otherwise.
    """
    stated = con.execute(
        "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = current_database()"
    ).fetchall()[0][0]
    found = re.match(r"v([0-9]+)\.([0-9]+)", stated or "")
    return (int(found[1]), int(found[2])) if found else (0, 0)
