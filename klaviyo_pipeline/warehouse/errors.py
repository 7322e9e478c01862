"""The errors of the warehouse. Each message says what is wrong, where, and what to do."""

from __future__ import annotations

import re

from klaviyo_pipeline.errors import PipelineError


class WarehouseError(PipelineError):
    """Base of the errors of the warehouse."""


class DatabasePathError(WarehouseError):
    """The path cannot hold a database file: it is in memory, a folder, or not writable."""


class DatabaseMissingError(WarehouseError):
    """The database to read does not exist yet."""


class DatabaseBusyError(WarehouseError):
    """Another process, or another connection of this process, held the file longer than the time limit."""

    retriable = True


class CommitConflictError(DatabaseBusyError):
    """Others changed the same rows or tables of a lake until this transaction committed. Nothing changed."""


class ExtensionMissingError(WarehouseError):
    """DuckDB lacks an extension that the destination needs. Nothing changed."""


class DatabaseFileError(WarehouseError):
    """The file is not a DuckDB database, is damaged, or was written by a newer DuckDB."""


class StorageFullError(WarehouseError):
    """No space was left on the device; the transaction was rolled back."""


class OutOfMemoryError(WarehouseError):
    """DuckDB's memory limit was too small for this load; the transaction was rolled back."""


class LoadError(WarehouseError):
    """The load contradicts itself, for example a merge without a primary key. Nothing changed."""


class TableNameError(WarehouseError):
    """A schema or table cannot have this name. Nothing changed."""


class TableShapeError(WarehouseError):
    """A table of this name exists with another shape. Nothing changed."""


class TableMissingError(WarehouseError):
    """The table to read does not exist."""


class RowsError(WarehouseError):
    """Rows cannot land: a value does not fit its column, or a row has no primary key."""


class ShrinkError(WarehouseError):
    """A read has far fewer rows than the table, which may be an outage. Nothing changed. The load needs consent."""


class OwnerError(WarehouseError):
    """The table has rows of another data source or another Klaviyo account. Nothing changed."""


class MixedRowsError(WarehouseError):
    """The load has rows of a sandbox and the database has rows of an account, or the reverse. Nothing changed."""


class PrivacySecretError(WarehouseError):
    """People were erased from the database with a secret that is not set now. Nothing changed."""


class StagedFileError(WarehouseError):
    """A staged file is missing, incomplete, or in an unknown format."""


class StageDamagedError(StagedFileError):
    """Staged pages changed on disk. Nothing changed in the table. The run can fetch them again."""


def without_values(error: object) -> str:
    """The text of an error of DuckDB or Arrow without the quoted values, which may be personal data.

    It keeps the text before the first value, and the type and column that the value did not fit.
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
