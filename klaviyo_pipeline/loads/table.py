"""A data source's table: the catalogue's columns with DuckDB's types."""

from __future__ import annotations

from collections.abc import Sequence

from klaviyo_pipeline.klaviyo.catalogue.columns import EXTRA, ColumnType
from klaviyo_pipeline.klaviyo.catalogue.columns import Column as SourceColumn
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.warehouse.tables import Column, Table

DUCKDB_TYPES: dict[ColumnType, str] = {
    ColumnType.STRING: "VARCHAR",
    ColumnType.INTEGER: "BIGINT",
    ColumnType.FLOAT: "DOUBLE",
    ColumnType.BOOLEAN: "BOOLEAN",
    ColumnType.TIMESTAMP: "TIMESTAMPTZ",
    ColumnType.DATE: "DATE",
    ColumnType.JSON: "JSON",
}
EXTRA_COLUMN = Column(EXTRA, "JSON", "Attributes not known here, and values that do not fit their column's type.")


def table_of(source: Source, schema: str, name: str | None = None, options: frozenset[str] = frozenset()) -> Table:
    """The table of a data source, with the columns that these options give it."""
    columns = [
        Column(column.name, DUCKDB_TYPES[column.type], column.description) for column in source.columns_for(options)
    ]
    return Table(
        schema=schema,
        name=name or source.name,
        columns=(*columns, EXTRA_COLUMN),
        primary_key=source.primary_key,
        comment=f"{source.description} Klaviyo: {source.doc}",
    )


def not_answered(columns: Sequence[SourceColumn], revision: str) -> tuple[str, ...]:
    """The columns that answers of this revision lack. Rows from another revision keep their values."""
    return tuple(column.name for column in columns if column.moved and column.path_in(revision) is None)
