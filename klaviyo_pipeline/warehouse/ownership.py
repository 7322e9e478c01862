"""The owner of a table, by the ledger: a table belongs to one data source of one account.

A full read marks or clears rows that it does not have. In a shared table it would mark the rows of the other account or
data source. So a load of another data source fails, and a load of another account fails unless it appends. Only the
loads after the table was last empty, or wholly replaced, count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from klaviyo_pipeline.warehouse.errors import OwnerError
from klaviyo_pipeline.warehouse.ledger import LEDGER
from klaviyo_pipeline.warehouse.tables import Table, existing_columns, full_name, has_table, resolve_schema
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Owner:
    """The origin of a load's rows.

    Attributes:
        data_source: The data source's name in the catalogue.
        account: Klaviyo's public id of the account; None if the key may not read it.
        account_key: A hash of the key and the address. Another key of the same account has another hash.
    """

    data_source: str
    account: str | None = None
    account_key: str | None = None


@dataclass(frozen=True)
class History:
    """The known data sources and accounts whose rows a table may have."""

    data_sources: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()


def known_account(con: duckdb.DuckDBPyConnection, account_key: str) -> tuple[bool, str | None]:
    """Whether rows of this key have landed in this database, and Klaviyo's id of its account, if known."""
    if "account_key" not in _ledger_columns(con):
        return False, None
    found = con.execute(
        f"SELECT count(*) > 0, max(account) FROM {_ledger(con)} WHERE account_key = ?", [account_key]
    ).fetchall()[0]
    return bool(found[0]), found[1]


def history(con: duckdb.DuckDBPyConnection, table: Table) -> History:
    """The owners of a table's rows since it was last empty or wholly replaced; none if it is empty."""
    there = _ledger_columns(con)
    if not there or not has_table(con, table.schema, table.name):
        return History()
    target = full_name(con, table.schema, table.name)
    if not con.execute(f"SELECT count(*) FROM (SELECT 1 FROM {target} LIMIT 1)").fetchall()[0][0]:
        return History()
    account = "account" if "account" in there else "NULL"
    # Before release 2 the ledger did not name the data source; an asset's load had its name.
    source = "CASE WHEN source NOT LIKE '%/%' THEN source END"
    source = f"coalesce(data_source, {source})" if "data_source" in there else source
    loads = f"SELECT * FROM {_ledger(con)} WHERE kind = 'load' AND list_contains(?, lower(table_name))"
    rows = con.execute(
        f"WITH loads AS ({loads}) SELECT DISTINCT {source}, {account} FROM loads "
        "WHERE entry >= coalesce((SELECT max(entry) FROM loads WHERE inserted = total_rows), 0)",
        [_names(con, table)],
    ).fetchall()
    return History(frozenset(each[0] for each in rows if each[0]), frozenset(each[1] for each in rows if each[1]))


def refuse_strangers(found: History, table: Table, mode: WriteMode, owner: Owner) -> None:
    """Refuse a load into a table of another data source, or of another account.

    Raises:
        OwnerError: naming both.
    """
    hint = "Load into another table, or drop this one first."
    others = sorted(found.data_sources - {owner.data_source})
    if others:
        raise OwnerError(
            f"{table.plain_name} has rows of the data source {', '.join(others)}, so rows of {owner.data_source} can't "
            f"be landed in it: each load would mark or clear the other's rows. Nothing was changed. {hint}"
        )
    strangers = sorted(found.accounts - {owner.account})
    if owner.account and strangers and mode is not WriteMode.APPEND:
        raise OwnerError(
            f"{table.plain_name} has rows of the Klaviyo account {', '.join(strangers)}, but this API key belongs to "
            f"the account {owner.account}: a {mode.value} would mark, clear or change the other's rows. Nothing was "
            f"changed. {hint}"
        )


def _names(con: duckdb.DuckDBPyConnection, table: Table) -> list[str]:
    """The names of a table in the ledger: its schema may have two names."""
    catalog = con.execute("SELECT current_database()").fetchall()[0][0]
    resolved = resolve_schema(con, table.schema)
    schemas = {table.schema, resolved} | ({catalog} if resolved == resolve_schema(con, catalog) else set())
    return sorted(f"{schema}.{table.name}".lower() for schema in schemas)


def _ledger(con: duckdb.DuckDBPyConnection) -> str:
    return full_name(con, LEDGER.schema, LEDGER.name)


def _ledger_columns(con: duckdb.DuckDBPyConnection) -> set[str]:
    return {column.name for column in existing_columns(con, LEDGER.schema, LEDGER.name)}
