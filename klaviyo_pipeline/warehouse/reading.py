"""Reading a table back, for downstream assets and people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline.warehouse.batch import Range
from klaviyo_pipeline.warehouse.errors import TableMissingError, TableShapeError
from klaviyo_pipeline.warehouse.interface import Warehouse
from klaviyo_pipeline.warehouse.sql import fold, quoted_list
from klaviyo_pipeline.warehouse.tables import existing_columns, full_name

if TYPE_CHECKING:
    import duckdb
    import pandas as pd


@dataclass(frozen=True)
class Selection:
    """Rows and columns of a table.

    Args:
        database: The database.
        schema: The table's schema as it was landed (``klaviyo``, also in ``klaviyo.duckdb``).
        table: The table's name.
        columns: Only these, in this order; by default all.
        partition_key: The time column of the ranges.
        ranges: Only rows whose ``partition_key`` is in one of these half-open ranges of aware datetimes.
    """

    database: Warehouse
    schema: str
    table: str
    columns: Sequence[str] | None = None
    partition_key: str | None = None
    ranges: Sequence[tuple[datetime | None, datetime | None]] | None = None

    def query(self, con: duckdb.DuckDBPyConnection) -> tuple[str, list[datetime]]:
        """The query and its parameters, for a session in which the database is in use.

        Raises:
            TableMissingError: There is no such table.
            TableShapeError: The table has no such column.
        """
        there = existing_columns(con, self.schema, self.table)
        if not there:
            raise TableMissingError(
                f"There is no table {self.schema}.{self.table} in {self.database.name}. Materialize its asset "
                f"first, or check the name."
            )
        known = {fold(column.name) for column in there}
        wanted = [*(self.columns or ()), *([self.partition_key] if self.partition_key else [])]
        missing = [name for name in wanted if fold(name) not in known]
        if missing:
            raise TableShapeError(
                f"{self.schema}.{self.table} has no column {missing[0]!r}. "
                f"It has: {', '.join(column.name for column in there)}."
            )
        condition, parameters = "true", list[datetime]()
        if self.partition_key and self.ranges is not None:
            condition, parameters = (
                Range(self.partition_key, tuple(self.ranges)).condition() if self.ranges else ("false", [])
            )
        selected = "*" if self.columns is None else quoted_list(self.columns)
        return f"SELECT {selected} FROM {full_name(con, self.schema, self.table)} WHERE {condition}", parameters


def read_table(database: Warehouse, schema: str, table: str, **some: Any) -> pd.DataFrame:  # noqa: ANN401
    """Reads a table into a data frame; ``some`` are the other fields of a `Selection`. JSON comes as text.

    Raises:
        DatabaseMissingError: There is no database file yet.
        TableMissingError: There is no such table.
        TableShapeError: The table has no such column.
    """
    with database.reading() as con:
        query, parameters = Selection(database, schema, table, **some).query(con)
        frame: pd.DataFrame = (
            con.sql(query, params=parameters).to_arrow_table().to_pandas(split_blocks=True, self_destruct=True)
        )
    return frame
