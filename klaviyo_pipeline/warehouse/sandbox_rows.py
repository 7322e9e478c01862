"""Keeps rows of a sandbox and rows of an account in separate databases.

A database with rows of a sandbox records the end of that sandbox's history, in ``klaviyo_pipeline.sandbox``. A
sandbox with the same end has the same rows and ids, so a later run finds every row again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from klaviyo_pipeline.times import from_microseconds
from klaviyo_pipeline.warehouse.errors import DatabaseBusyError, DatabaseMissingError, MixedRowsError
from klaviyo_pipeline.warehouse.ledger import LEDGER
from klaviyo_pipeline.warehouse.tables import Column, Table, full_name, has_table, shape

if TYPE_CHECKING:
    import duckdb

    from klaviyo_pipeline.warehouse.interface import Warehouse

SANDBOX = Table(
    "klaviyo_pipeline",
    "sandbox",
    (Column("history_end", "TIMESTAMPTZ", "Where the history of the sandbox ends that these rows come from"),),
    comment="Only where a sandbox's rows are: a real account's rows do not go into this database",
)
_SHORT_WAIT_S = 0.5


@dataclass(frozen=True)
class Origin:
    """The origin of a load's rows: an account, or the sandbox whose history ends at ``sandbox_end`` (aware)."""

    sandbox_end: datetime | None = None


def remembered_end(database: Warehouse) -> datetime | None:
    """Where the history of the database's sandbox ends (UTC); None for a database without loads.

    Raises:
        MixedRowsError: The database has the rows of an account.
        WarehouseError: The database cannot be read.
    """
    try:
        with database.reading() as con:
            end = _end(con)
            if end is None and _has_loads(con):
                raise MixedRowsError(_account_rows(database.name))
            return end
    except DatabaseMissingError:
        return None


def check_apart(database: Warehouse, origin: Origin) -> None:
    """Refuses a load before it fetches. Does not wait for a busy database: the landing checks again.

    Raises:
        MixedRowsError: The database has rows of the other kind, or of another sandbox.
    """
    try:
        with database.waiting(_SHORT_WAIT_S).reading() as con:
            refuse_mixed(con, database.name, origin)
    except (DatabaseBusyError, DatabaseMissingError):
        return


def keep_apart(con: duckdb.DuckDBPyConnection, name: str, origin: Origin) -> None:
    """Refuses rows of the other kind, and remembers the sandbox, in the caller's transaction.

    Raises:
        MixedRowsError: As for `check_apart`.
    """
    refuse_mixed(con, name, origin)
    if origin.sandbox_end is not None and _end(con) is None:
        shape(con, SANDBOX, SANDBOX.columns)
        con.execute(f"INSERT INTO {full_name(con, SANDBOX.schema, SANDBOX.name)} VALUES (?)", [origin.sandbox_end])


def refuse_mixed(con: duckdb.DuckDBPyConnection, name: str, origin: Origin) -> None:
    """Refuses rows of the other kind, in the caller's session.

    Raises:
        MixedRowsError: As for `check_apart`.
    """
    known, sandbox_end = _end(con), origin.sandbox_end
    if sandbox_end is None and known is not None:
        raise MixedRowsError(
            f"{name} has the rows of a sandbox (`klaviyo-pipeline demo` or `with-sandbox` loaded them). Rows of an "
            "account do not go into the same database. Delete that file, or choose another one, for example with "
            "KLAVIYO_DUCKDB_PATH=data/account.duckdb."
        )
    if sandbox_end is not None and known is None and _has_loads(con):
        raise MixedRowsError(_account_rows(name))
    if sandbox_end is not None and known is not None and sandbox_end != known:
        raise MixedRowsError(
            f"{name} has the rows of another sandbox, whose history ends at {known.isoformat()}, not at "
            f"{sandbox_end.isoformat()}. Delete that file, or choose another one."
        )


def _account_rows(name: str) -> str:
    return (
        f"{name} has rows that no sandbox of `klaviyo-pipeline demo` or `with-sandbox` loaded. A sandbox's rows do not "
        "go into the same database. Choose another file, for example with KLAVIYO_DUCKDB_PATH=data/demo.duckdb, or "
        "set KLAVIYO_API_KEY to load from your account."
    )


def _end(con: duckdb.DuckDBPyConnection) -> datetime | None:
    if not has_table(con, SANDBOX.schema, SANDBOX.name):
        return None
    name = full_name(con, SANDBOX.schema, SANDBOX.name)
    found = con.execute(f"SELECT epoch_us(history_end) FROM {name}").fetchall()
    return from_microseconds(found[0][0]) if found else None


def _has_loads(con: duckdb.DuckDBPyConnection) -> bool:
    if not has_table(con, LEDGER.schema, LEDGER.name):
        return False
    name = full_name(con, LEDGER.schema, LEDGER.name)
    return bool(con.execute(f"SELECT 1 FROM {name} WHERE kind = 'load' LIMIT 1").fetchall())
