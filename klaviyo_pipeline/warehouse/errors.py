"""What can go wrong in the warehouse: what was wrong, where, and what to do."""

from __future__ import annotations

import re

from klaviyo_pipeline.errors import PipelineError


class WarehouseError(PipelineError):
    """Base of everything that the warehouse raises on purpose."""


class DatabasePathError(WarehouseError):
    """The path can't hold a database file: in memory, a folder, or a place that can't be written."""


class DatabaseMissingError(WarehouseError):
    """A database was to be read that does not exist yet."""


class DatabaseBusyError(WarehouseError):
    """Another process, or another connection of this one, held the file longer than the patience limit."""

    retriable = True


class DatabaseFileError(WarehouseError):
    """The file is no DuckDB database, is damaged, or was written by a newer DuckDB."""


class StorageFullError(WarehouseError):
    """No space was left on the device; the transaction was rolled back."""


class OutOfMemoryError(WarehouseError):
    """DuckDB's memory limit was too small for this load; the transaction was rolled back."""


class LoadError(WarehouseError):
    """The load contradicts itself, for example a merge without a primary key. Nothing was touched."""


class TableNameError(WarehouseError):
    """A schema or table cannot have this name. Nothing was touched."""


class TableShapeError(WarehouseError):
    """A table of this name exists with another shape. Nothing was touched."""


class TableMissingError(WarehouseError):
    """A table was to be read that does not exist."""


class RowsError(WarehouseError):
    """Rows can't be landed: a value that does not fit its column, or a row without its primary key."""


class ShrinkError(WarehouseError):
    """A read has so much less than the table that it may be an outage. Nothing was touched; it takes consent."""


class OwnerError(WarehouseError):
    """The table has rows of another data source or another Klaviyo account. Nothing was touched."""


class MixedRowsError(WarehouseError):
    """A sandbox's rows were to go into an account's database, or the other way round. Nothing was touched."""


class StagedFileError(WarehouseError):
    """A staged file is missing, torn, or of an unknown form."""


class StageDamagedError(StagedFileError):
    """Staged pages are no longer those that were fetched. Nothing was touched; fetching them again helps."""


def without_values(error: object) -> str:
    """The text of an error of DuckDB or Arrow without the values that it quotes: they may be personal data.

    What stays is the text up to the first value, and at the end the type and column that it did not fit.
    """
    text = str(error)
    begin = _VALUE.split(text, maxsplit=1)[0]
    end = _END.search(text, len(begin))
    kept = begin.rstrip() + (" …" if len(begin) < len(text) else "") + (end[1] if end else "")
    return _NUMBER.sub("…", kept)


_VALUE = re.compile(r"(?<![a-z])['\"]| with value |\n|Input: ")
_END = re.compile(
    r"((?: to [A-Z][A-Z0-9_]*(?:\(\d+,\d+\))?| can't be cast because the value is out of range [a-z ]*[A-Z0-9]+)"
    r"(?: when casting from source column \w+)?)(?:\n\nLINE \d+:[^\n]*(?:\n[ ^]*)?)?\Z"
)
_NUMBER = re.compile(r"[+-]?\d[\d.,:+-]{3,}")
