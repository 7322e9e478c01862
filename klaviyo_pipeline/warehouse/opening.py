"""The one place that chooses what keeps the tables, by its address."""

from __future__ import annotations

from typing import Any

from klaviyo_pipeline.warehouse.addresses import FileAddress, LakeAddress, parse_address
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.errors import DatabasePathError
from klaviyo_pipeline.warehouse.interface import Warehouse
from klaviyo_pipeline.warehouse.lake import Lake, ObjectStore
from klaviyo_pipeline.warehouse.motherduck import MotherDuck


def warehouse_at(
    address: str,
    *,
    data_path: str = "",
    store: ObjectStore | None = None,
    may_install: bool = False,
    **common: Any,  # noqa: ANN401 - the fields of a Warehouse
) -> Warehouse:
    """What keeps the tables at an address.

    Args:
        address: As `parse_address` takes it.
        data_path: Of a lake: where its Parquet files go.
        store: Of a lake: how to reach an ``s3://`` data path.
        may_install: Whether DuckDB may download extensions.
        common: The fields that every `Warehouse` has.

    Raises:
        DatabasePathError: The address is none, or something that it needs is missing.
    """
    try:
        found = parse_address(address, "The destination")
    except ValueError as error:
        raise DatabasePathError(str(error)) from None
    if isinstance(found, FileAddress):
        return Database(found.path, **common)
    if not isinstance(found, LakeAddress):
        return MotherDuck(found.database, may_install, **common)
    if found.postgres and not data_path:
        raise DatabasePathError(
            "A lake with its catalog in Postgres needs a place for its Parquet files: set KLAVIYO_DATA_PATH to a "
            "folder that all machines see, or to s3://bucket/folder."
        )
    if data_path.startswith("s3:") and store is None:
        raise DatabasePathError(
            f"The data path {data_path} needs keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and "
            "AWS_ENDPOINT_URL for an object store other than that of AWS."
        )
    return Lake(found, data_path, store if data_path.startswith("s3:") else None, may_install, **common)
