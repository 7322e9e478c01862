"""Marks rows whose ids the source no longer has, by a list of all of its ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline import clock
from klaviyo_pipeline.warehouse import ledger, ownership
from klaviyo_pipeline.warehouse.errors import ShrinkError, TableMissingError
from klaviyo_pipeline.warehouse.interface import transaction
from klaviyo_pipeline.warehouse.sandbox_rows import Origin, keep_apart
from klaviyo_pipeline.warehouse.sql import literal
from klaviyo_pipeline.warehouse.tables import (
    DELETED_AT,
    DELETED_AT_COLUMN,
    LOADED_AT,
    Table,
    existing_columns,
    full_name,
)
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    from datetime import datetime

    import duckdb
    import pyarrow as pa

    from klaviyo_pipeline.warehouse.interface import Warehouse
    from klaviyo_pipeline.warehouse.ownership import Owner
    from klaviyo_pipeline.warehouse.shrinking import ShrinkLimits

_IDS, _SEEN = "_klaviyo_pipeline_ids", "temp.main._klaviyo_pipeline_seen"


@dataclass(frozen=True)
class Marked:
    """What became of the rows of a table: how many were alive, and how many are marked now, or no longer are."""

    alive: int
    deleted: int
    revived: int


def mark_gone(
    database: Warehouse,
    table: Table,
    ids: pa.RecordBatchReader,
    began: datetime,
    *,
    owner: Owner,
    run_id: str,
    origin: Origin | None = None,
    shrink: ShrinkLimits | None = None,
) -> Marked:
    """Mark rows ``_deleted_at`` whose id is not among all ids of the source, and unmark those whose id is there again.

    Rows that were written after the ids began to be read stay as they are: the ids may lack them.

    Args:
        database: The database.
        table: The table, with the column ``id``.
        ids: All ids of the source: batches whose first column is ``id``.
        began: When the ids began to be read (aware).
        owner: Whose ids they are.
        run_id: The run, for the ledger.
        origin: Where the ids come from.
        shrink: How many rows may be marked without consent; None for any number.

    Raises:
        TableMissingError: There is no such table.
        ShrinkError: So many rows would be marked that it takes consent. Nothing changed.
        OwnerError: The table has rows of another account.
        MixedRowsError: The table has the rows of a sandbox and the ids are an account's, or the other way round.
        WarehouseError: The database cannot be read or written.
    """
    with database.writing() as con, transaction(con):
        if origin is not None:
            keep_apart(con, database.name, origin)
        existing = existing_columns(con, table.schema, table.name)
        if not existing:
            raise TableMissingError(
                f"There is no table {table.plain_name} in {database.name}. Load {table.name} first."
            )
        ownership.refuse_strangers(ownership.history(con, table), table, WriteMode.MERGE, owner)
        name = full_name(con, table.schema, table.name)
        if DELETED_AT not in {column.name for column in existing}:
            con.execute(f"ALTER TABLE {name} ADD COLUMN {DELETED_AT} {DELETED_AT_COLUMN.type}")
            con.execute(f"COMMENT ON COLUMN {name}.{DELETED_AT} IS {literal(DELETED_AT_COLUMN.comment)}")
        _read_ids(con, ids)
        gone = f"t.{DELETED_AT} IS NULL AND t.{LOADED_AT} < $began AND t.id NOT IN (SELECT id FROM {_SEEN})"

        def count(sql: str, **bound: Any) -> int:  # noqa: ANN401 - a parameter
            return int(con.execute(sql, bound).fetchall()[0][0])

        alive = count(f"SELECT count(*) FROM {name} WHERE {DELETED_AT} IS NULL")
        lost = count(f"SELECT count(*) FROM {name} AS t WHERE {gone}", began=began)
        _check_lost(table, alive, lost, shrink)
        now = clock.now()
        con.execute(f"UPDATE {name} AS t SET {DELETED_AT} = $now WHERE {gone}", {"now": now, "began": began})
        back = f"{DELETED_AT} IS NOT NULL AND id IN (SELECT id FROM {_SEEN})"
        revived = count(f"SELECT count(*) FROM {name} WHERE {back}")
        con.execute(f"UPDATE {name} SET {DELETED_AT} = NULL WHERE {back}")
        entry = ledger.Entry(
            "sweep",
            owner.data_source,
            table_name=table.plain_name,
            deleted=lost,
            revived=revived,
            run_id=run_id,
            data_source=owner.data_source,
            account=owner.account,
            account_key=owner.account_key,
        )
        ledger.record(con, entry)
        return Marked(alive, lost, revived)


def _read_ids(con: duckdb.DuckDBPyConnection, ids: pa.RecordBatchReader) -> None:
    con.register(_IDS, ids)
    con.execute(f"CREATE OR REPLACE TEMP TABLE {_SEEN} AS SELECT DISTINCT id FROM {_IDS}")
    con.unregister(_IDS)


def _check_lost(table: Table, alive: int, lost: int, shrink: ShrinkLimits | None) -> None:
    """Refuses to mark so many of the living rows that it takes consent."""
    if shrink is not None and shrink.refuses(alive, lost, whole=True):
        raise ShrinkError(
            f"{table.plain_name}: Klaviyo's ids lack {lost:,} of the {alive:,} rows that are here. An outage can "
            "look like that, so nothing was changed. Run it again later. If they are really gone, consent: "
            "--accept-shrink. The limits are all rows, or "
            f"more than {shrink.rows:,} that are more than {shrink.share:.0%} (KLAVIYO_SHRINK_ROWS, "
            "KLAVIYO_SHRINK_SHARE)."
        )
