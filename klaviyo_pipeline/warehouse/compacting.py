"""Compacts a database file, because DuckDB uses freed space again but never returns it to the disk."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from klaviyo_pipeline.private_files import sync
from klaviyo_pipeline.warehouse.capabilities import storage_version
from klaviyo_pipeline.warehouse.database import ROW_GROUP_ROWS, Database
from klaviyo_pipeline.warehouse.errors import StorageFullError, WarehouseError
from klaviyo_pipeline.warehouse.sql import literal, qualified, quote

if TYPE_CHECKING:
    import duckdb

_COPY = "_klaviyo_pipeline_copy"


@dataclass(frozen=True)
class Space:
    """The size of a database file, and how much of it is free, in bytes."""

    size: int
    free: int


def space(database: Database) -> Space:
    """The free space of a file.

    Raises:
        DatabaseMissingError: There is no such file.
        WarehouseError: The file cannot be read.
    """
    with database.reading() as con:
        return _space(con, database)


def compact(database: Database) -> Space:
    """Copy a database into a new file without free space, and replace the old file. The file's mode stays.

    Nobody else can use the database meanwhile. After a kill, the old file or the complete new file is in place.

    Returns:
        The space of the new file.

    Raises:
        StorageFullError: The disk has no room for the copy.
        WarehouseError: The copy lacks rows, or the file cannot be read or written. It is unchanged.
    """
    copy = Path(f"{database.file}.compacting")
    with database.writing() as con:
        con.execute("CHECKPOINT")
        found = _space(con, database)
        if shutil.disk_usage(database.file.parent).free < found.size - found.free:
            raise StorageFullError(
                f"The disk of {database.file} has no room for a copy of it, so it was not compacted. Free "
                f"{(found.size - found.free) / 1e6:,.0f} MB and run again."
            )
        copy.unlink(missing_ok=True)
        try:
            _copy(con, database, copy)
            copy.chmod(database.file.stat().st_mode & 0o777)
            sync(copy)
            # While the lock is held, and before DuckDB closes the old file: nobody can have opened either.
            copy.replace(database.file)
            sync(database.file.parent)
        finally:
            copy.unlink(missing_ok=True)
            Path(f"{copy}.wal").unlink(missing_ok=True)
    return space(database)


def _copy(con: duckdb.DuckDBPyConnection, database: Database, copy: Path) -> None:
    major, minor = storage_version(con)
    version = f", STORAGE_VERSION 'v{major}.{minor}.0'" if major else ""
    con.execute(
        f"ATTACH {literal(str(copy))} AS {quote(_COPY)} (TYPE duckdb, ROW_GROUP_SIZE {ROW_GROUP_ROWS}{version})"
    )
    con.execute(f"COPY FROM DATABASE {quote(database.catalog)} TO {quote(_COPY)}")
    if _contents(con, database.catalog) != _contents(con, _COPY):
        raise WarehouseError(f"A copy of {database.file} does not have all of its rows. It was left as it was.")
    con.execute(f"CHECKPOINT {quote(_COPY)}")
    con.execute(f"DETACH {quote(_COPY)}")


def _contents(con: duckdb.DuckDBPyConnection, catalog: str) -> list[tuple[str, str, int]]:
    """The tables and views of a database, with the rows of tables."""
    tables = con.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = ? ORDER BY ALL", [catalog]
    ).fetchall()
    counted = [
        (schema, name, int(con.execute(f"SELECT count(*) FROM {qualified(catalog, schema, name)}").fetchall()[0][0]))
        for schema, name in tables
    ]
    views = con.execute(
        "SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = ? AND NOT internal ORDER BY ALL",
        [catalog],
    ).fetchall()
    return [*counted, *((schema, name, -1) for schema, name in views)]


def _space(con: duckdb.DuckDBPyConnection, database: Database) -> Space:
    block, free = con.execute(
        "SELECT block_size, free_blocks FROM pragma_database_size() WHERE database_name = ?", [database.catalog]
    ).fetchall()[0]
    return Space(database.file.stat().st_size, block * free)
