"""Rows of a table that name others, such as events and their profiles: copied, and joined to those in bounded memory.

The database is held only while the few columns that are needed are copied to temporary tables. Of what is joined to
them, which may be wide, nothing is hashed or sorted: it streams past a part of the copied rows at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from klaviyo_pipeline.warehouse import parts
from klaviyo_pipeline.warehouse.errors import DatabaseMissingError, TableMissingError
from klaviyo_pipeline.warehouse.reading import Selection
from klaviyo_pipeline.warehouse.sql import quote, quoted_list

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from klaviyo_pipeline.warehouse.interface import Warehouse

KEYS_AT_ONCE = 50_000
"""A group has about so many keys, and at least half as many unless it is the only one."""
_ROWS, _CAME, _STREAM = "parent_rows", "came", "parent_stream"
_BATCH_ROWS = 5_000
_LEAST_BYTES = 64_000_000
"""Memory for DuckDB's own structures and one part of a join."""


@dataclass(frozen=True)
class ParentRows:
    """Rows with an ``id`` and a ``key`` that names another row: a selection of a table, or Arrow rows.

    Args:
        database: Whose limits hold for the copy.
        rows: The rows.
        columns: Their columns that are needed, among them ``id`` and the key.
        key: The column that names the other row.
        advice: What to do if there is no such table, in place of the usual words.
    """

    database: Warehouse
    rows: Selection | pa.Table
    columns: Sequence[str]
    key: str
    advice: str = ""

    @contextmanager
    def opened(self) -> Iterator[OpenedRows]:
        """A copy of the rows, until the end of the block.

        Raises:
            DatabaseBusyError, DatabaseFileError: as of a reading session.
            TableMissingError, TableShapeError: The database, the table or one of its columns is missing.
        """
        with self.database.scratch() as con:
            # One thread: the other side of each join is a stream, which one thread reads.
            con.execute("SET threads = 1")
            # The answers of a fetch are in memory beside it.
            limit = parts.memory_limit(con)
            con.execute(f"SET memory_limit = '{max(limit // 2, min(limit, _LEAST_BYTES))}B'")
            con.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")
            try:
                with self.database.private_files():
                    self._copy(con)
            except (DatabaseMissingError, TableMissingError) as error:
                raise TableMissingError(self.advice or str(error)) from None
            yield OpenedRows(con, self)

    def _copy(self, con: duckdb.DuckDBPyConnection) -> None:
        create = f"CREATE TEMP TABLE {_ROWS} AS SELECT {quoted_list(self.columns)} FROM"
        if isinstance(self.rows, Selection):
            with self.rows.database.lent_to(con):
                query, parameters = self.rows.query(con)
                con.execute(f"{create} ({query})", parameters)
        else:
            with _registered(con, self.rows.to_reader()):
                con.execute(f"{create} {_STREAM}")


class OpenedRows:
    """A copy of the rows, in a session of its own."""

    def __init__(self, con: duckdb.DuckDBPyConnection, rows: ParentRows) -> None:
        self._con = con
        self._key = quote(rows.key)
        self._private = rows.database.private_files

    def key_groups(self) -> Iterator[list[str]]:
        """The different keys, sorted, in groups. A key that is new from one time to the next changes its group only."""
        named = f"{self._key} <> ''"
        with self._private():
            count = self._scalar(f"SELECT approx_count_distinct({self._key}) FROM {_ROWS} WHERE {named}")
        groups = 1 << max(0, (count - 1) // KEYS_AT_ONCE).bit_length()
        for group in range(groups):
            with self._private():
                found = self._con.execute(
                    f"SELECT DISTINCT {self._key} AS key FROM {_ROWS} "
                    f"WHERE {named} AND hash({self._key}) % {groups} = {group} ORDER BY key"
                ).fetchall()
            if found:
                yield [key for (key,) in found]

    def joined(
        self, others: Callable[[], pa.RecordBatchReader], carries: Sequence[tuple[str, str]]
    ) -> Iterator[pa.RecordBatch]:
        """Each row of ours with the one that its key names; those without one are left for ``unmatched``.

        Args:
            others: Reads the other rows, whose key has the same name; it is called several times.
            carries: Columns of the result whose values are those of our columns.
        """
        taken = {ours for ours, _theirs in carries}
        carried = "".join(f", p.{quote(theirs)} AS {quote(ours)}" for ours, theirs in carries)
        length = self._scalar(f"SELECT coalesce(avg({self._width()}), 0) FROM {_ROWS}")
        last = self._scalar(f"SELECT coalesce(max(rowid), 0) FROM {_ROWS}")
        for part in parts.spans_of(last, parts.rows_at_once(self._con, length)):
            reader = others()
            names = quoted_list([name for name in reader.schema.names if name not in taken], "o.")
            with self._private(), _registered(self._con, reader):
                yield from self._con.sql(
                    f"SELECT {names}{carried} FROM {_STREAM} AS o "
                    f"JOIN (FROM {_ROWS} WHERE {part.condition('rowid')}) AS p ON p.{self._key} = o.{self._key}"
                ).to_arrow_reader(_BATCH_ROWS)

    def unmatched(self, keys: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        """The rows whose key is none of these; the others are forgotten.

        Args:
            keys: A reader of the key alone.
        """
        with self._private():
            with _registered(self._con, keys):
                self._con.execute(f"CREATE TEMP TABLE {_CAME} AS SELECT {self._key} AS key FROM {_STREAM}")
            length = self._scalar(f"SELECT coalesce(avg(strlen(key)), 0) FROM {_CAME}")
            last = self._scalar(f"SELECT coalesce(max(rowid), 0) FROM {_CAME}")
            for part in parts.spans_of(last, parts.rows_at_once(self._con, length)):
                self._con.execute(
                    f"DELETE FROM {_ROWS} WHERE {self._key} IN "
                    f"(SELECT key FROM {_CAME} WHERE {part.condition('rowid')})"
                )
            self._con.execute(f"DROP TABLE {_CAME}")
            yield from self._con.sql(f"FROM {_ROWS}").to_arrow_reader(_BATCH_ROWS)

    def _width(self) -> str:
        return f"strlen(CAST(id AS VARCHAR)) + coalesce(strlen({self._key}), 0)"

    def _scalar(self, sql: str) -> int:
        return int(self._con.execute(sql).fetchall()[0][0])


@contextmanager
def _registered(con: duckdb.DuckDBPyConnection, rows: pa.RecordBatchReader) -> Iterator[None]:
    con.register(_STREAM, rows)
    yield
    con.unregister(_STREAM)
