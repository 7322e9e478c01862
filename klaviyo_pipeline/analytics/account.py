"""The account's time zone and currency. Asks Klaviyo once a day and keeps the answer in a small table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from klaviyo_pipeline import clock
from klaviyo_pipeline.analytics.building import analytics_schema
from klaviyo_pipeline.errors import ConfigurationError, PipelineError
from klaviyo_pipeline.klaviyo.endpoints.account import Account, read_account
from klaviyo_pipeline.klaviyo.errors import AuthenticationError, ScopeError
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.times import parse_zone
from klaviyo_pipeline.warehouse.errors import DatabaseMissingError
from klaviyo_pipeline.warehouse.interface import Warehouse
from klaviyo_pipeline.warehouse.tables import Column, Table, existing_columns, full_name, shape

if TYPE_CHECKING:
    import duckdb

    from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient

FRESH = timedelta(days=1)
_COLUMNS = (
    Column("id", "VARCHAR", "The account's id"),
    Column("timezone", "VARCHAR", "The account's time zone, in which Klaviyo's own reports have their days"),
    Column("currency", "VARCHAR", "The account's currency, ISO 4217"),
    Column("read_at", "TIMESTAMPTZ", "When Klaviyo was asked"),
)


def zone_of_account(
    klaviyo: KlaviyoResource,
    duckdb: KlaviyoDuckDBResource,
    warn: Callable[[str], None],
    ask: Callable[[KlaviyoClient], Account] = read_account,
) -> tuple[ZoneInfo, str]:
    """The account's time zone and currency; if Klaviyo does not answer, its last answer, else the storage time zone.

    Args:
        klaviyo: The account.
        duckdb: Keeps the answer.
        warn: Takes a warning.
        ask: Asks Klaviyo.

    Raises:
        KlaviyoError: if Klaviyo cannot be reached and has not answered before.
    """
    database, schema = duckdb.warehouse(), analytics_schema(duckdb.schema_or_default)
    known = _kept(database, schema)
    if known is not None and clock.now() - known[1] < FRESH:
        return ZoneInfo(known[0].timezone), known[0].currency
    try:
        account = ask(klaviyo.client())
        zone = parse_zone(account.timezone, "the account's time zone")
    except PipelineError as error:
        if known is not None:
            return ZoneInfo(known[0].timezone), known[0].currency
        if not isinstance(error, AuthenticationError | ConfigurationError | ScopeError):
            raise
        warn(f"Days begin in the storage time zone, {duckdb.zone.key}, because the account's is unknown. {error}")
        return duckdb.zone, ""
    _keep(database, schema, account)
    return zone, account.currency


def zone_of_tables(duckdb: KlaviyoDuckDBResource) -> ZoneInfo:
    """The time zone of the days in the analytics tables. Does not ask Klaviyo.

    Raises:
        WarehouseError: if the database cannot be read.
    """
    zone, _currency = account_of_tables(duckdb)
    return zone


def account_of_tables(duckdb: KlaviyoDuckDBResource) -> tuple[ZoneInfo, str]:
    """The time zone of the days in the analytics tables, and the account's currency. Does not ask Klaviyo.

    The currency is an ISO 4217 code, blank if it is not known.

    Raises:
        WarehouseError: if the database cannot be read.
    """
    known = _kept(duckdb.warehouse(), analytics_schema(duckdb.schema_or_default))
    return (duckdb.zone, "") if known is None else (ZoneInfo(known[0].timezone), known[0].currency)


def _kept(database: Warehouse, schema: str) -> tuple[Account, datetime] | None:
    try:
        with database.reading() as con:
            if not existing_columns(con, schema, "account"):
                return None
            table = full_name(con, schema, "account")
            row = con.execute(f"SELECT id, timezone, currency, epoch_us(read_at) FROM {table}").fetchone()
    except DatabaseMissingError:
        return None
    return None if row is None else (Account(*row[:3]), datetime.fromtimestamp(row[3] / 1e6, UTC))


def _keep(database: Warehouse, schema: str, account: Account) -> None:
    table = Table(schema, "account", _COLUMNS, (), "The Klaviyo account, as it was when analytics last asked for it.")

    def keep(con: duckdb.DuckDBPyConnection) -> None:
        shape(con, table, table.columns)
        name = full_name(con, schema, table.name)
        con.execute(f"DELETE FROM {name}")
        values = [account.id, account.timezone, account.currency, clock.now()]
        con.execute(f"INSERT INTO {name} VALUES (?, ?, ?, ?)", values)

    database.transacting(keep, table.plain_name)
