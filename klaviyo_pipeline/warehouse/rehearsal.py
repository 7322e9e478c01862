"""Tries a load into a database in a transaction that is rolled back."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from klaviyo_pipeline.warehouse.interface import Warehouse
from klaviyo_pipeline.warehouse.landing import LandRequest, land_within
from klaviyo_pipeline.warehouse.rows import Incoming
from klaviyo_pipeline.warehouse.sql import quote
from klaviyo_pipeline.warehouse.tables import SYSTEM_COLUMNS, Table, full_name, shape
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    import duckdb


def rehearse(database: Warehouse, table: Table) -> None:
    """Create a table of this shape, add columns to it, merge rows and write to the ledger; then roll back.

    Without a database it uses a temporary one, so nothing stays.

    Args:
        database: The database, with the settings of a load.
        table: The shape and the schema. The primary key's columns must be texts. The name is not used.

    Raises:
        WarehouseError: a load would fail, for this reason.
        duckdb.Error: likewise.
    """
    with database.rehearsing() as here:
        _rehearse(here, table)


def _rehearse(database: Warehouse, table: Table) -> None:
    unused = replace(table, name=f"_klaviyo_pipeline_check_{uuid.uuid4().hex}")
    import duckdb

    with database.writing() as con:
        con.begin()
        try:
            _create_with_a_row(con, unused)
            _merge(con, unused)
        finally:
            # An error that ended the transaction has undone everything already.
            with contextlib.suppress(duckdb.TransactionException):
                con.rollback()


def _create_with_a_row(con: duckdb.DuckDBPyConnection, table: Table) -> None:
    """The key columns and one row, so that the merge finds columns to add and a row to change."""
    keys = [column for column in table.columns if column.name in table.primary_key]
    shape(con, replace(table, comment=""), [*keys, *SYSTEM_COLUMNS])
    names = ", ".join(quote(column.name) for column in keys)
    target = full_name(con, table.schema, table.name)
    con.execute(f"INSERT INTO {target} ({names}) VALUES ({', '.join('?' for _ in keys)})", ["there"] * len(keys))


def _merge(con: duckdb.DuckDBPyConnection, table: Table) -> None:
    import pyarrow as pa

    rows = Incoming(pa.table({name: ["there", "new"] for name in table.primary_key}))
    load = LandRequest(table, (), WriteMode.MERGE, source="check", run_id="check", extract_id=uuid.uuid4().hex)
    try:
        land_within(con, load, rows)
    finally:
        rows.close()
