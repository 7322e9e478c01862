"""Rows on their way in: whatever form they have, a stream of Arrow batches that can be read more than once.

Landing reads the rows twice: first keys and fingerprints, to decide what each row needs, then the rows that
are to be written, in full. Only batches in flight are in memory.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline.staged_pages import DamagedPagesError, StagedFile, Verified, read_pages, read_schema
from klaviyo_pipeline.warehouse.errors import (
    RowsError,
    StageDamagedError,
    StagedFileError,
    TableShapeError,
    without_values,
)
from klaviyo_pipeline.warehouse.sql import fold

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["SEQ", "Incoming", "StagedFile"]

SEQ = "_klaviyo_pipeline_seq"
_BATCH_ROWS = 2_000


class Incoming:
    """Rows that can be streamed several times, numbered in the order in which they were seen.

    ``rows_seen`` is their number once they were streamed to the end; ``failure`` what broke a stream off.
    """

    def __init__(self, rows: object) -> None:
        """Takes staged files (``StagedFile`` or paths), an Arrow table or reader, or a pandas data frame.

        Raises:
            StageDamagedError: A staged page is not as it was written.
            StagedFileError: A file is missing, torn, or of an unknown form.
            RowsError: A data frame that has no Arrow form.
        """
        self.rows_seen = 0
        self.failure: Exception | None = None
        self._resources = ExitStack()
        self._verified: Verified = {}
        self._parts = self._open(rows)
        self.schema = self._common_schema()

    def close(self) -> None:
        """Removes what was spooled."""
        self._resources.close()

    def reader(self, columns: Sequence[str], keep: pa.BooleanArray | None = None) -> pa.RecordBatchReader:
        """Streams these columns and the row number ``SEQ``; with ``keep``, only the rows marked in it."""
        import pyarrow as pa

        wanted = [self.schema.field(name) for name in columns]
        schema = pa.schema([*wanted, pa.field(SEQ, pa.int64())])

        def batches() -> Iterator[pa.RecordBatch]:
            seen = 0
            try:
                for batch in _joined(self._batches(columns)):
                    rows = batch.num_rows
                    arrays = [_column(batch, field) for field in wanted]
                    numbered = pa.RecordBatch.from_arrays([*arrays, pa.arange(seen, seen + rows)], schema=schema)
                    yield numbered if keep is None else _kept(numbered, keep, seen)
                    seen += rows
                self.rows_seen = seen
            except Exception as error:
                # DuckDB turns it into an error of its own; the reader's owner raises the real one.
                self.failure = error
                raise

        return pa.RecordBatchReader.from_batches(schema, batches())

    def check_complete(self) -> None:
        """Compares the rows that were streamed with those that were staged.

        Raises:
            StageDamagedError: They differ.
        """
        parts = self._parts
        if parts and all(isinstance(part, StagedFile) and part.pages for part in parts):
            staged = sum(part.rows for part in parts)
            if self.rows_seen != staged:
                raise StageDamagedError(f"{staged:,} rows were staged, but {self.rows_seen:,} were read back.")

    def types(self, con: duckdb.DuckDBPyConnection) -> dict[str, str]:
        """Each column's type as DuckDB reads it, by name; columns of nothing but nulls have type ``"NULL"``."""
        import pyarrow as pa

        schema = pa.schema([field for field in self.schema if not pa.types.is_null(field.type)])
        types = dict.fromkeys(self.schema.names, '"NULL"')
        if len(schema):
            # As a reader: registering a table, or letting DuckDB find a variable by name, imports pandas (0.9 s).
            con.register("_klaviyo_pipeline_shape", pa.RecordBatchReader.from_batches(schema, []))
            described = con.execute("DESCRIBE SELECT * FROM _klaviyo_pipeline_shape").fetchall()
            con.unregister("_klaviyo_pipeline_shape")
            types.update((row[0], row[1]) for row in described)
        return types

    def _batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        for part in self._parts:
            if isinstance(part, StagedFile):
                yield from _file_batches(part, columns, self._verified)
            else:
                yield from part.to_batches(_BATCH_ROWS)

    def _common_schema(self) -> pa.Schema:
        import pyarrow as pa

        schemas = [_file_schema(part) if isinstance(part, StagedFile) else part.schema for part in self._parts]
        for schema in schemas:
            _refuse_twins(schema)
        try:
            schema = pa.unify_schemas([schema.remove_metadata() for schema in schemas], promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise RowsError(
                f"The staged files disagree on a column's type, so they can't be landed together: {error}. "
                "Delete the staged files of this extract and fetch again."
            ) from error
        _refuse_twins(schema)
        return schema

    def _open(self, rows: object) -> list[Any]:
        import pyarrow as pa

        if isinstance(rows, pa.Table):
            return [rows]
        if isinstance(rows, pa.RecordBatchReader):
            return [self._spooled(rows)]
        if isinstance(rows, str | Path | StagedFile):
            rows = (rows,)
        if isinstance(rows, Sequence):
            return [part if isinstance(part, StagedFile) else StagedFile(Path(part)) for part in rows] or [pa.table({})]
        return [_from_pandas(rows)]

    def _spooled(self, reader: pa.RecordBatchReader) -> StagedFile:
        """A reader can be read once only; its batches go through a file, so that memory stays bounded."""
        import pyarrow as pa

        folder = self._resources.enter_context(tempfile.TemporaryDirectory(prefix="klaviyo_pipeline_"))
        path = Path(folder) / "rows.arrows"
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, reader.schema) as writer:
            for batch in reader:
                writer.write_batch(batch)
        return StagedFile(path)


def _refuse_twins(schema: pa.Schema) -> None:
    if len({fold(name) for name in schema.names}) < len(schema.names):
        names = sorted(schema.names, key=lambda name: (fold(name), name))
        raise TableShapeError(
            f"The rows have columns that differ at most in case, which DuckDB does not distinguish: {names}. "
            "Rename one of them, or keep both inside a JSON column."
        )


def _kept(batch: pa.RecordBatch, keep: pa.BooleanArray, first: int) -> pa.RecordBatch:
    """The rows that are marked; beyond the end of the marks there are none."""
    marks = keep.slice(first, batch.num_rows)
    return batch.slice(0, len(marks)).filter(marks)


def _joined(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Small neighbours with the same columns as one batch: pages of a hundred rows cost DuckDB twice the time."""
    import pyarrow as pa

    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        if waiting and (rows + batch.num_rows > _BATCH_ROWS or not batch.schema.equals(waiting[0].schema)):
            yield pa.concat_batches(waiting)
            waiting, rows = [], 0
        waiting.append(batch)
        rows += batch.num_rows
    if waiting:
        yield pa.concat_batches(waiting)


def _column(batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
    import pyarrow as pa

    index = batch.schema.get_field_index(field.name)
    if index < 0:
        return pa.nulls(batch.num_rows, field.type)
    array = batch.column(index)
    return array if array.type.equals(field.type) else array.cast(field.type)


def _from_pandas(rows: object) -> pa.Table:
    """A data frame as Arrow, with dicts and lists in it as JSON text: as structs they would gain each other's keys."""
    import pandas as pd
    import pyarrow as pa

    if not isinstance(rows, pd.DataFrame):
        raise RowsError(
            f"Rows came as {type(rows).__name__}. Give staged files, a pyarrow Table or RecordBatchReader, "
            "or a pandas DataFrame."
        )
    frame = rows.copy(deep=False)
    frame.columns = pd.Index([str(name) for name in frame.columns])
    for position, dtype in enumerate(frame.dtypes):
        if pd.api.types.is_object_dtype(dtype) and any(
            isinstance(value, dict | list) for value in frame.iloc[:, position]
        ):
            frame.isetitem(position, [_json_text(value) for value in frame.iloc[:, position]])
    try:
        return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    except pa.ArrowException as error:
        raise RowsError(
            f"The data frame has a column that mixes types, so it has no column type: {without_values(error)}. "
            "Convert that column to one type, e.g. with astype(str)."
        ) from error


def _json_text(value: object) -> str | None:
    import pandas as pd

    if not isinstance(value, dict | list) and pd.isna(value):  # type: ignore[call-overload]
        return None
    return json.dumps(value, default=str, ensure_ascii=False)


def _file_schema(staged: StagedFile) -> pa.Schema:
    import pyarrow as pa

    if staged.valid_bytes == 0:
        return pa.schema([])
    if staged.pages:
        with _damage():
            return read_schema(staged)
    try:
        if staged.path.suffix == ".parquet":
            import pyarrow.parquet as pq

            return pq.read_schema(staged.path)
        with pa.OSFile(str(staged.path)) as file:
            return pa.ipc.open_stream(file).schema
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(staged, error) from error


def _file_batches(staged: StagedFile, columns: Sequence[str], verified: Verified) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    if staged.valid_bytes == 0:
        return
    if staged.pages:
        with _damage():
            yield from read_pages(staged, columns, verified)
        return
    try:
        if staged.path.suffix == ".parquet":
            import pyarrow.parquet as pq

            with pq.ParquetFile(staged.path) as parquet:
                there = [name for name in columns if name in parquet.schema_arrow.names]
                yield from parquet.iter_batches(batch_size=_BATCH_ROWS, columns=there)
            return
        with pa.OSFile(str(staged.path)) as file:
            if file.size() < (staged.valid_bytes or 0):
                raise StagedFileError(
                    f"The staged file {staged.path} has {file.size()} bytes, but {staged.valid_bytes} were finished: "
                    "it was cut short after it was staged. Fetch its slice again."
                )
            schema = pa.ipc.open_stream(file).schema
            file.seek(0)
            # What is not included is not decompressed. None included would mean all: then take the first.
            included = [schema.get_field_index(name) for name in columns if name in schema.names] or [0]
            # A page's small buffers are not worth handing to other threads.
            options = pa.ipc.IpcReadOptions(included_fields=included, use_threads=False)
            with pa.ipc.open_stream(file, options=options) as stream:
                while staged.valid_bytes is None or file.tell() < staged.valid_bytes:
                    try:
                        batch = stream.read_next_batch()
                    except StopIteration:
                        return
                    yield batch
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(staged, error) from error


@contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except DamagedPagesError as error:
        raise StageDamagedError(f"Staged pages were damaged after they were fetched: {error}.") from error


def _unreadable(staged: StagedFile, error: Exception) -> StagedFileError:
    return StagedFileError(
        f"The staged file {staged.path} can't be read: {error}. It is missing, torn or no "
        f"{'Parquet file' if staged.path.suffix == '.parquet' else 'Arrow IPC stream'}. Fetch its slice again."
    )
