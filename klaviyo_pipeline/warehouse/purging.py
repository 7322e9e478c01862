"""Leaves no byte of rows and values that are no longer in the tables.

A DuckDB file keeps them in freed blocks, and a lake in older files and snapshots.
"""

from __future__ import annotations

from klaviyo_pipeline.warehouse.compacting import compact
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.errors import WarehouseError
from klaviyo_pipeline.warehouse.interface import Warehouse
from klaviyo_pipeline.warehouse.lake import Lake
from klaviyo_pipeline.warehouse.lake_upkeep import forget


def check_purgeable(database: Warehouse) -> None:
    """Check the kind of the database before its rows change.

    Raises:
        WarehouseError: The old bytes of such a database are out of reach.
    """
    if not isinstance(database, Database | Lake):
        raise WarehouseError(
            f"{database.name} is neither a DuckDB file nor a DuckLake, so nothing can be erased from it for good. "
            "Nothing was changed."
        )


def purge(database: Warehouse) -> None:
    """Copy a DuckDB file into a new one; of a lake, remove older snapshots and the files that only they need.

    Raises:
        StorageFullError: The disk has no room for the copy.
        WarehouseError: The database cannot be written.
    """
    if isinstance(database, Lake):
        forget(database)
    elif isinstance(database, Database):
        compact(database)
