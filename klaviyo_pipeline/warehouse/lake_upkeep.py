"""Upkeep of a lake: small files become large ones, and old snapshots and what only they needed are removed.

Every load writes files of its own, and a changed row stays in its file beside a note that it is gone. Readers continue
meanwhile.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from klaviyo_pipeline.warehouse.compacting import compact
from klaviyo_pipeline.warehouse.lake import Lake
from klaviyo_pipeline.warehouse.ledger import LEDGER
from klaviyo_pipeline.warehouse.sql import literal

if TYPE_CHECKING:
    import duckdb

_log = logging.getLogger(__name__)
_CATALOG_TABLES = "__ducklake_metadata_lake"
"""DuckLake's name for the tables of the catalog."""
# DuckLake keeps the least and the greatest text that a column ever had. Those of its files tell what it has now; where
# a file does not tell, the wider bounds stay, since bounds that are too narrow would hide rows.
_NARROW_STATISTICS = f"""
UPDATE {_CATALOG_TABLES}.ducklake_table_column_stats AS stats
SET min_value = found.least, max_value = found.greatest
FROM (
    SELECT table_id, column_id, min(of_file.min_value) AS least, max(of_file.max_value) AS greatest
    FROM {_CATALOG_TABLES}.ducklake_file_column_stats AS of_file
    JOIN {_CATALOG_TABLES}.ducklake_data_file AS file USING (data_file_id, table_id)
    JOIN {_CATALOG_TABLES}.ducklake_column AS col USING (table_id, column_id)
    WHERE file.end_snapshot IS NULL AND col.end_snapshot IS NULL AND col.column_type IN ('varchar', 'json')
    GROUP BY table_id, column_id
    HAVING bool_and(of_file.min_value IS NOT NULL OR of_file.null_count = file.record_count)
) AS found
WHERE stats.table_id = found.table_id AND stats.column_id = found.column_id AND found.least IS NOT NULL
"""

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

    Loads of a table wait while its files are merged; all loads wait for the rest, which is short.

    Raises:
        WarehouseError: The lake cannot be read or written.
    """
    if dry_run:
        with lake.reading() as con:
            files = _files(con)
            return Upkeep(files, files, *_removed(con, lake, keep_days, dry_run=True))
    with lake.reading() as con:
        before, tables = _files(con), _tables(con)
    for schema, name in tables:
        # The ledger is the one table that loads write without its lock.
        with lake.writing(*(() if (schema, name) == (LEDGER.schema, LEDGER.name) else (f"{schema}.{name}",))) as con:
            _merge(con, schema, name)
    with lake.writing() as con:
        return Upkeep(before, _files(con), *_removed(con, lake, keep_days, dry_run=False))


def _tables(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    return con.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database() ORDER BY ALL"
    ).fetchall()


def _merge(con: duckdb.DuckDBPyConnection, schema: str, name: str) -> None:
    within, table = literal(schema), literal(name)
    for call in (
        f"flush_inlined_data('lake', schema_name => {within}, table_name => {table})",
        f"rewrite_data_files('lake', {table}, schema => {within})",
        f"merge_adjacent_files('lake', {table}, schema => {within})",
    ):
        con.execute(f"CALL ducklake_{call}").fetchall()


def forget(lake: Lake) -> None:
    """Leave no byte of rows and values that are no longer in the tables. Loads wait meanwhile.

    Time travel does not reach an earlier snapshot afterwards. A file that no snapshot has, as a killed load leaves it,
    stays: it may belong to another lake with the same data path. A warning says how many there are.

    Raises:
        WarehouseError: The lake cannot be read or written.
    """
    with lake.writing() as con:
        for call in (
            "flush_inlined_data('lake')",
            "rewrite_data_files('lake', delete_threshold => 0)",
            "expire_snapshots('lake', older_than => now())",
            "cleanup_old_files('lake', cleanup_all => true)",
        ):
            con.execute(f"CALL ducklake_{call}").fetchall()
        con.execute(_NARROW_STATISTICS).fetchall()  # which ends its transaction in Postgres
        orphans = con.execute("CALL ducklake_delete_orphaned_files('lake', dry_run => true, cleanup_all => true)")
        if count := len(orphans.fetchall()):
            _log.warning(
                "%d Parquet files below the data path belong to no snapshot of %s. Killed loads may have left them, "
                "with rows that were erased. If no other lake has this data path, remove them with "
                "ducklake_delete_orphaned_files.",
                count,
                lake.name,
            )
        if lake.address.postgres:
            # Not FULL, for which readers would have to wait: Postgres writes over the old rows of the catalog in time.
            con.execute(
                f"CALL postgres_execute({literal(_CATALOG_TABLES)}, 'VACUUM', use_transaction => false)"
            ).fetchall()
    if lake.catalog_file is not None:
        compact(lake.catalog_file)


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
