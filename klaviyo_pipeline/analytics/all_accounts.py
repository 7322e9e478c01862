"""Views over the analytics tables of all accounts. Each row has the name of its account.

A view reads the accounts' own tables, so it is current when they are, and keeps no copy of their rows. Accounts of one
database have their views in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from klaviyo_pipeline.accounts.validation import ALL_ACCOUNTS
from klaviyo_pipeline.analytics.building import analytics_schema
from klaviyo_pipeline.analytics.charts import chart_up_to_now
from klaviyo_pipeline.analytics.tables import MONEY, AnalyticsTable
from klaviyo_pipeline.warehouse.sql import literal, qualified, quote, quoted_list
from klaviyo_pipeline.warehouse.tables import Column, Table, existing_columns, full_name, resolve_schema, typed_path

if TYPE_CHECKING:
    import duckdb

    from klaviyo_pipeline.charts.model import Chart
    from klaviyo_pipeline.warehouse.interface import Warehouse

_ACCOUNT = Column("account", "VARCHAR", "Name of the account, as in klaviyo.yml; default for that of KLAVIYO_API_KEY")
_CURRENCY = Column("currency", "VARCHAR", "The account's currency, ISO 4217: sum money within one currency only")


@dataclass(frozen=True)
class AllAccounts:
    """A view of one database.

    ``table_path`` is the view as a person can type it. ``rows`` has the number of rows by account; an account whose
    table has not been built is missing.
    """

    table_path: str
    rows: Mapping[str, int]


def columns_of(table: AnalyticsTable) -> tuple[Column, ...]:
    """The columns of the view over a table."""
    money = any(column.type == MONEY for column in table.columns)
    return (_ACCOUNT, *([_CURRENCY] if money else []), *table.columns)


def unite(database: Warehouse, table: AnalyticsTable, schemas: Mapping[str, str]) -> AllAccounts | None:
    """Make the view over a table of several accounts anew; None if no account has the table.

    Args:
        database: The database of the accounts.
        table: The table.
        schemas: The schema of the loaded tables, by account.

    Raises:
        WarehouseError: if the database cannot be read or written.
    """
    declared = Table(ALL_ACCOUNTS, table.name, columns_of(table), (), table.description.split("\n")[0])
    if not database.exists():
        return None

    def make(con: duckdb.DuckDBPyConnection) -> AllAccounts | None:
        there = _built(con, table, schemas)
        if not there:
            return None
        queries = [_query(con, table, account, schema) for account, schema in there.items()]
        view = full_name(con, declared.schema, declared.name)
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {qualified(database.catalog, resolve_schema(con, ALL_ACCOUNTS))}")
        con.execute(f"CREATE OR REPLACE VIEW {view} AS {' UNION ALL '.join(queries)}")
        con.execute(f"COMMENT ON VIEW {view} IS {literal(declared.comment)}")
        rows = dict(con.execute(f"SELECT account, count(*) FROM {view} GROUP BY ALL").fetchall())
        return AllAccounts(typed_path(con, declared), {account: rows.get(account, 0) for account in there})

    return database.transacting(make, declared.plain_name)


def chart_of_all(
    database: Warehouse, table: AnalyticsTable, schemas: Mapping[str, str], zone: ZoneInfo
) -> Chart | None:
    """The chart of a table's rows of all accounts; None if there are none.

    Raises:
        WarehouseError: if the database cannot be read.
    """
    with database.reading() as con:
        queries = [
            f"SELECT {table.chart.time}, {literal(f'{account}: ')} || coalesce(series, '') AS series, amount "
            f"FROM ({table.chart.query.format(table=full_name(con, analytics_schema(schema), table.name))})"
            for account, schema in _built(con, table, schemas).items()
        ]
        title = f"{table.chart.title}, for each account"
        counted = replace(table.chart, title=title, query=" UNION ALL ".join(queries))
        return chart_up_to_now(con, counted, zone)


def _built(con: duckdb.DuckDBPyConnection, table: AnalyticsTable, schemas: Mapping[str, str]) -> dict[str, str]:
    """The accounts that have the table."""
    return {
        account: schema
        for account, schema in schemas.items()
        if existing_columns(con, analytics_schema(schema), table.name)
    }


def _query(con: duckdb.DuckDBPyConnection, table: AnalyticsTable, account: str, schema: str) -> str:
    own: Sequence[str] = [f"{literal(account)} AS {quote(_ACCOUNT.name)}"]
    if _CURRENCY in columns_of(table):
        own = [*own, f"{_currency(con, schema)} AS {quote(_CURRENCY.name)}"]
    names = quoted_list(column.name for column in table.columns)
    return f"SELECT {', '.join(own)}, {names} FROM {_within(con, analytics_schema(schema), table.name)}"


def _currency(con: duckdb.DuckDBPyConnection, schema: str) -> str:
    if not existing_columns(con, analytics_schema(schema), "account"):
        return "NULL::VARCHAR"
    return f"(SELECT any_value(nullif(currency, '')) FROM {_within(con, analytics_schema(schema), 'account')})"


def _within(con: duckdb.DuckDBPyConnection, schema: str, name: str) -> str:
    """A table's name within its database: a view with the database's name breaks when the file is renamed."""
    return qualified(resolve_schema(con, schema), name)
