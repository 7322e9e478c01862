"""Upkeep of a lake: small files become large ones, and old snapshots and what only they needed are removed.

Every load writes files of its own, and a changed row stays in its file beside a note that it is gone. Readers continue
meanwhile, and loads wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from klaviyo_pipeline.warehouse.lake import Lake
from klaviyo_pipeline.warehouse.sql import literal

if TYPE_CHECKING:
    import duckdb

READERS_DAYS = 1
"""A file that no table needs any more stays so long: a reader may have begun with it."""


@dataclass(frozen=True)
class Upkeep:
    """What was done, or would be.

    Attributes:
        files_before: The files of all tables, with those that note removed rows.
        files_after: The same afterwards; as before in a dry run.
        snapshots: Snapshots that were removed: time travel does not reach them any more.
        removed: Files that were removed.
    """

    files_before: int
    files_after: int
    snapshots: int
    removed: int


def tidy(lake: Lake, keep_days: int, *, dry_run: bool = False) -> Upkeep:
    """Merge small files, remove snapshots older than so many days, and files that nothing has needed for a day.

    Raises:
        WarehouseError: The lake cannot be read or written.
    """
    if dry_run:
        with lake.reading() as con:
            files = _files(con)
            return Upkeep(files, files, *_removed(con, lake, keep_days, dry_run=True))
    with lake.writing() as con:
        before = _files(con)
        for call in ("flush_inlined_data", "rewrite_data_files", "merge_adjacent_files"):
            con.execute(f"CALL ducklake_{call}({literal(lake.catalog)})")
            con.fetchall()
        return Upkeep(before, _files(con), *_removed(con, lake, keep_days, dry_run=False))


def _removed(con: duckdb.DuckDBPyConnection, lake: Lake, keep_days: int, *, dry_run: bool) -> tuple[int, int]:
    """How many snapshots and files are removed. The times are those of DuckDB's own clock, as in the catalog."""
    counts = []
    for call, days in (("expire_snapshots", keep_days), ("cleanup_old_files", READERS_DAYS)):
        con.execute(
            f"CALL ducklake_{call}({literal(lake.catalog)}, dry_run => {str(dry_run).lower()}, "
            f"older_than => now() - INTERVAL {days:d} DAY)"
        )
        counts.append(len(con.fetchall()))
    return counts[0], counts[1]


def _files(con: duckdb.DuckDBPyConnection) -> int:
    found = con.execute("SELECT coalesce(sum(file_count + delete_file_count), 0) FROM ducklake_table_info('lake')")
    return int(found.fetchall()[0][0])
