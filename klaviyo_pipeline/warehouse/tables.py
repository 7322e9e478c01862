"""Tables: columns to DDL, where a schema lives, additive evolution, comments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from klaviyo_pipeline.warehouse import parts
from klaviyo_pipeline.warehouse.capabilities import capabilities_of
from klaviyo_pipeline.warehouse.errors import LoadError, TableShapeError
from klaviyo_pipeline.warehouse.sql import fold, literal, qualified, quote

if TYPE_CHECKING:
    import duckdb

LOADED_AT = "_loaded_at"
RUN_ID = "_run_id"
DELETED_AT = "_deleted_at"
_NEW_VALUE_BYTES = 8
"""What a row takes in a column that was added (measured: 7 bytes of text, 2 of a truth value)."""

# A value of the first type is exactly a value of the second: a narrower declaration may land in a wider column.
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_WIDENS = {(a, b) for i, a in enumerate(_INTEGERS) for b in _INTEGERS[i + 1 :]} | {
    ("FLOAT", "DOUBLE"),
    ("INTEGER", "DOUBLE"),
    ("JSON", "VARCHAR"),
}


@dataclass(frozen=True)
class Column:
    """One column: its name, DuckDB type (``VARCHAR``, ``TIMESTAMPTZ``, ``DECIMAL(10,2)``, ...) and comment."""

    name: str
    type: str
    comment: str = ""


@dataclass(frozen=True)
class Table:
    """A table as it is declared. With no columns, they are taken from the rows.

    ``_loaded_at`` and ``_run_id`` are added to every table; ``_deleted_at`` to those that declare it or are swept.
    """

    schema: str
    name: str
    columns: tuple[Column, ...] = ()
    primary_key: tuple[str, ...] = ()
    comment: str = ""

    @property
    def plain_name(self) -> str:
        """``schema.name`` as people say it, and as the ledger records it."""
        return f"{self.schema}.{self.name}"


SYSTEM_COLUMNS = (
    Column(LOADED_AT, "TIMESTAMPTZ", "When the pipeline last wrote this row"),
    Column(RUN_ID, "VARCHAR", "The run that last wrote this row"),
)
DELETED_AT_COLUMN = Column(
    DELETED_AT,
    "TIMESTAMPTZ",
    "When a full read first found this row gone at the source; null while it is there",
)


def resolve_schema(con: duckdb.DuckDBPyConnection, schema: str) -> str:
    """The schema of the file in use in which tables of ``schema`` live.

    DuckDB calls ``klaviyo.events`` ambiguous when the catalog (the file's stem) and a schema are both named
    ``klaviyo``. So in ``klaviyo.duckdb`` the tables of schema ``klaviyo`` live in ``main``, where
    ``klaviyo.events`` resolves as catalog and table. A schema that is there already (a renamed file) is used.
    """
    return _place(con, schema)[1]


def _place(con: duckdb.DuckDBPyConnection, schema: str) -> tuple[str, str]:
    """The catalog in use, and the schema of it in which tables of ``schema`` live."""
    catalog: str = con.execute("SELECT current_database()").fetchall()[0][0]
    return catalog, _schema_in(con, catalog, schema)


def _schema_in(con: duckdb.DuckDBPyConnection, catalog: str, schema: str) -> str:
    if fold(schema) != fold(catalog):
        return schema
    found = con.execute(
        "SELECT count(*) FROM duckdb_schemas() WHERE database_name = ? AND lower(schema_name) = lower(?)",
        [catalog, schema],
    ).fetchall()[0][0]
    return schema if found else "main"


def typed_path(con: duckdb.DuckDBPyConnection, table: Table) -> str:
    """The table's name as a user can type it after opening the file: ``klaviyo.events``, quoted where it must be."""
    catalog, resolved = _place(con, table.schema)
    parts = [table.schema, table.name]
    if fold(resolved) == fold(catalog):
        parts = [catalog, resolved, table.name]
    keywords = {row[0] for row in con.execute("SELECT keyword_name FROM duckdb_keywords()").fetchall()}
    plain = all(re.fullmatch(r"[a-z_][a-z0-9_]*", part) and part not in keywords for part in parts)
    return ".".join(parts) if plain else qualified(*parts)


def full_name(con: duckdb.DuckDBPyConnection, schema: str, name: str) -> str:
    """The quoted three-part name of a table in the file in use."""
    return qualified(*_place(con, schema), name)


def has_table(con: duckdb.DuckDBPyConnection, schema: str, name: str) -> bool:
    """Whether there is such a table; faster than ``existing_columns`` in a session that writes."""
    return _table_comment(con, schema, name) is not None


def existing_columns(con: duckdb.DuckDBPyConnection, schema: str, name: str) -> tuple[Column, ...]:
    """The columns that a table has now, in order, without comments in a read-only session; none without a table."""
    catalog, only_reads = con.execute(
        "SELECT database_name, readonly FROM duckdb_databases() WHERE database_name = current_database()"
    ).fetchall()[0]
    place = catalog, _schema_in(con, catalog, schema)
    if only_reads:
        return _described(con, qualified(*place, name))
    rows = con.execute(
        "SELECT column_name, data_type, coalesce(comment, '') FROM duckdb_columns() "
        "WHERE database_name = ? AND lower(schema_name) = lower(?) AND lower(table_name) = lower(?) "
        "ORDER BY column_index",
        [*place, name],
    ).fetchall()
    return tuple(Column(*row) for row in rows)


def _described(con: duckdb.DuckDBPyConnection, full: str) -> tuple[Column, ...]:
    """As `existing_columns`, in half a millisecond; a table that is missing aborts an open transaction.

    The first use of ``duckdb_columns()`` takes 18 ms, since it makes the columns of all of DuckDB's own views.
    """
    import duckdb

    try:
        rows = con.execute(f"DESCRIBE {full}").fetchall()
    except duckdb.CatalogException:
        return ()
    return tuple(Column(*row[:2]) for row in rows)


def check_names(table: Table, columns: Iterable[Column]) -> None:
    """Refuses names that DuckDB can't tell apart, and a key that no column carries.

    Raises:
        TableShapeError: Two columns differ only in case.
        LoadError: A primary key column is not among the columns.
    """
    seen: dict[str, str] = {}
    for column in columns:
        other = seen.get(fold(column.name))
        if other is not None:
            raise TableShapeError(
                f"{table.plain_name}: the columns {other!r} and {column.name!r} differ at most in case, which DuckDB "
                "does not distinguish. Rename one of them, or keep both inside a JSON column."
            )
        seen[fold(column.name)] = column.name
    missing = [key for key in table.primary_key if fold(key) not in seen]
    if missing:
        raise LoadError(
            f"{table.plain_name}: the primary key names {', '.join(missing)}, which neither the table's declaration "
            "nor the rows have. Declare the column or correct the key."
        )


def shape(
    con: duckdb.DuckDBPyConnection,
    table: Table,
    wanted: Sequence[Column],
    existing: tuple[Column, ...] | None = None,
    *,
    may_commit: bool = False,
) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """Creates the table, or adds the columns that it lacks, and brings the comments up to date.

    Args:
        con: A session that writes.
        table: The table as it is declared.
        wanted: The columns that it must have.
        existing: Its ``existing_columns``, where the caller has them.
        may_commit: Whether the caller's transaction may be committed and begun anew. Columns of a large table are then
            added in transactions of their own, and stay if the caller's fails.

    Returns:
        The table's columns now, with their actual types, and the names of those added to an existing table.

    Raises:
        TableShapeError: A column has an incompatible type, the table lacks a key column, or it is a view. Nothing was
            changed.
    """
    comment: str | None = None
    if existing is None:
        existing = existing_columns(con, table.schema, table.name)
    name = full_name(con, table.schema, table.name)
    known = {fold(column.name): column for column in existing}
    added: tuple[str, ...] = ()
    if existing:
        comment = _table_comment(con, table.schema, table.name)
        if comment is None:
            raise TableShapeError(
                f"{table.plain_name} is a view, but rows can only be landed in a table. Nothing was changed. Rename or "
                "drop the view, or land under another name."
            )
        _check_compatible(con, table, known, wanted)
        missing = [column for column in wanted if fold(column.name) not in known]
        _add(con, name, _definitions(con, missing), may_commit=may_commit)
        added = tuple(column.name for column in missing)
    else:
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {name.rpartition('.' + quote(table.name))[0]}")
        con.execute(f"CREATE TABLE {name} ({', '.join(_definitions(con, wanted))})")
    _comment_columns(con, name, known, wanted)
    if table.comment and table.comment != comment:
        con.execute(f"COMMENT ON TABLE {name} IS {literal(table.comment)}")
    changed = added or not existing
    return existing_columns(con, table.schema, table.name) if changed else existing, added


def _add(con: duckdb.DuckDBPyConnection, table: str, definitions: Sequence[str], *, may_commit: bool) -> None:
    """Adds columns. In a DuckDB file a new column is held in memory until a checkpoint has written it.

    A column of hundreds of millions of rows needs more than the default ``memory_limit``, which is raised for it.
    """
    counts = bool(definitions) and may_commit and capabilities_of(con).buffers_columns
    rows = con.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0] if counts else 0
    apart = rows * len(definitions) * _NEW_VALUE_BYTES > parts.share_bytes(con)
    if not apart:
        for definition in definitions:
            con.execute(f"ALTER TABLE {table} ADD COLUMN {definition}")
        return
    con.commit()
    with parts.more_memory(con, rows * _NEW_VALUE_BYTES):
        for definition in definitions:
            con.execute(f"ALTER TABLE {table} ADD COLUMN {definition}")
            con.execute("CHECKPOINT")
    con.begin()


def _definitions(con: duckdb.DuckDBPyConnection, columns: Sequence[Column]) -> list[str]:
    """The columns' definitions in SQL, with no more than the destination can hold."""
    if not columns:
        return []
    # ZSTD halves the file and the time to compress JSON text, and reads as fast as DuckDB's own choice.
    compression = " USING COMPRESSION zstd" if capabilities_of(con).compresses_columns else ""
    return [
        f"{quote(column.name)} {column.type}{compression if column.type.upper() == 'JSON' else ''}"
        for column in columns
    ]


def divide_by_day(con: duckdb.DuckDBPyConnection, table: str, column: str) -> None:
    """Divides the files of a new table by the day of a time, where the destination can: a day reads its own files."""
    if capabilities_of(con).divides_by_day:
        at = quote(column)
        con.execute(f"ALTER TABLE {table} SET PARTITIONED BY (year({at}), month({at}), day({at}))")


def _check_compatible(
    con: duckdb.DuckDBPyConnection, table: Table, known: dict[str, Column], wanted: Sequence[Column]
) -> None:
    for key in table.primary_key:
        if fold(key) not in known:
            raise TableShapeError(
                f"The table {table.plain_name} exists without the key column {key!r}, so rows can't be told apart. "
                f"Rename or drop the existing table, or land under another name."
            )
    normal_types = _normal_types(con, {column.type for column in wanted})
    for column in wanted:
        there = known.get(fold(column.name))
        if there is None:
            continue
        expected = normal_types[column.type]
        if expected != there.type and (expected, there.type) not in _WIDENS:
            raise TableShapeError(
                f"The table {table.plain_name} exists with column {there.name!r} of type {there.type}, but these rows "
                f"need {expected}. Nothing was changed. Convert it with ALTER TABLE {table.plain_name} ALTER "
                f"{quote(there.name)} TYPE {expected}, rename or drop the table, or land under another name."
            )


def _normal_types(con: duckdb.DuckDBPyConnection, types: Iterable[str]) -> dict[str, str]:
    """DuckDB's own spelling of each type: ``TIMESTAMPTZ`` -> ``TIMESTAMP WITH TIME ZONE``."""
    names = list(types)
    row = con.execute(f"SELECT {', '.join(f'typeof(CAST(NULL AS {name}))' for name in names)}").fetchall()[0]
    return dict(zip(names, row, strict=True))


def _comment_columns(
    con: duckdb.DuckDBPyConnection, name: str, known: dict[str, Column], wanted: Sequence[Column]
) -> None:
    for column in wanted:
        there = known.get(fold(column.name))
        if column.comment and column.comment != (there.comment if there else ""):
            con.execute(f"COMMENT ON COLUMN {name}.{quote(column.name)} IS {literal(column.comment)}")


def _table_comment(con: duckdb.DuckDBPyConnection, schema: str, name: str) -> str | None:
    """The table's comment, blank if it has none; None if there is no such table, or it is a view."""
    found = con.execute(
        "SELECT coalesce(comment, '') FROM duckdb_tables() WHERE database_name = ? "
        "AND lower(schema_name) = lower(?) AND lower(table_name) = lower(?)",
        [*_place(con, schema), name],
    ).fetchall()
    return found[0][0] if found else None
