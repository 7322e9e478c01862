"""Reading a table back, for downstream assets and people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from klaviyo_pipeline.warehouse.batch import Range
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.errors import TableMissingError, TableShapeError
from klaviyo_pipeline.warehouse.sql import fold, quoted_list
from klaviyo_pipeline.warehouse.tables import existing_columns, full_name

if TYPE_CHECKING:
    import pandas as pd


def read_table(
    database: Database,
    schema: str,
    table: str,
    *,
    columns: Sequence[str] | None = None,
    partition_key: str | None = None,
    ranges: Sequence[tuple[datetime | None, datetime | None]] | None = None,
) -> pd.DataFrame:
    """Reads a table, or some columns and time ranges of it, into a data frame. JSON comes as text.

    Args:
        database: The database.
        schema: The table's schema as it was landed (``klaviyo``, also in ``klaviyo.duckdb``).
        table: The table's name.
        columns: Only these, in this order; by default all.
        partition_key: The time column of the ranges.
        ranges: Only rows whose ``partition_key`` is in one of these half-open ranges of aware datetimes.

    Raises:
        DatabaseMissingError: There is no database file yet.
        TableMissingError: There is no such table.
        TableShapeError: The table has no such column.
    """
    with database.reading() as con:
        there = existing_columns(con, schema, table)
        if not there:
            raise TableMissingError(
                f"There is no table {schema}.{table} in {database.file}. Materialize its asset "
                f"first, or check the name."
            )
        known = {fold(column.name) for column in there}
        wanted = [*(columns or ()), *([partition_key] if partition_key else [])]
        missing = [name for name in wanted if fold(name) not in known]
        if missing:
            raise TableShapeError(
                f"{schema}.{table} has no column {missing[0]!r}. It has: {', '.join(column.name for column in there)}."
            )
        condition, parameters = "true", list[datetime]()
        if partition_key and ranges is not None:
            condition, parameters = Range(partition_key, tuple(ranges)).condition() if ranges else ("false", [])
        selected = "*" if columns is None else quoted_list(columns)
        query = f"SELECT {selected} FROM {full_name(con, schema, table)} WHERE {condition}"
        frame: pd.DataFrame = (
            con.sql(query, params=parameters).to_arrow_table().to_pandas(split_blocks=True, self_destruct=True)
        )
    return frame
