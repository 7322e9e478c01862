"""Requests of a quota that lasts a day: each is booked before it is sent, in the database, for all processes.

A booking stays whatever becomes of its request, so a run that is killed has spent what it sent. Klaviyo does not say
when its day begins: so no more than the quota is sent in any 24 hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from klaviyo_pipeline.times import from_microseconds
from klaviyo_pipeline.warehouse.errors import DatabaseMissingError
from klaviyo_pipeline.warehouse.tables import Column, Table, existing_columns, full_name, shape

if TYPE_CHECKING:
    import duckdb

    from klaviyo_pipeline.warehouse.interface import Warehouse

QUOTA_REQUESTS = Table(
    "klaviyo_pipeline",
    "quota_requests",
    (
        Column("account", "VARCHAR", "Klaviyo's public id of the account"),
        Column("quota", "VARCHAR", "The quota that the request counts against"),
        Column("booked_at", "TIMESTAMPTZ", "When it was about to be sent"),
        Column("data_source", "VARCHAR", "The data source that was read"),
        Column("run_id", "VARCHAR", "The run"),
    ),
    comment="Requests that count against a daily quota of Klaviyo, each booked before it was sent; kept for a week",
)
DAY = timedelta(days=1)
KEPT = timedelta(days=7)


@dataclass(frozen=True)
class Booking:
    """What is booked: one request of an account against a quota.

    Attributes:
        account: Klaviyo's public id of the account.
        quota: The quota's name.
        data_source: The data source that is read.
        run_id: The run.
    """

    account: str
    quota: str
    data_source: str
    run_id: str


def book(database: Warehouse, booking: Booking, at: datetime, most: int) -> datetime | None:
    """Book a request at a time (aware), if fewer than ``most`` were booked in the 24 hours before it.

    Returns:
        None if it is booked; otherwise when the next one may be, aware UTC.
    """

    def attempt(con: duckdb.DuckDBPyConnection) -> datetime | None:
        shape(con, QUOTA_REQUESTS, QUOTA_REQUESTS.columns)
        times = _booked(con, booking.account, booking.quota, at)
        if len(times) >= most:
            return free_at(times, most)
        name = full_name(con, QUOTA_REQUESTS.schema, QUOTA_REQUESTS.name)
        con.execute(f"DELETE FROM {name} WHERE booked_at < ?", [at - KEPT])
        con.execute(
            f"INSERT INTO {name} BY NAME SELECT ? AS account, ? AS quota, CAST(? AS TIMESTAMPTZ) AS booked_at, "
            "? AS data_source, ? AS run_id",
            [booking.account, booking.quota, at, booking.data_source, booking.run_id],
        )
        return None

    return database.transacting(attempt, QUOTA_REQUESTS.plain_name)


def booked(database: Warehouse, account: str, quota: str, at: datetime) -> list[datetime]:
    """When requests were booked in the 24 hours before a time (aware), in order."""
    try:
        with database.reading() as con:
            return _booked(con, account, quota, at)
    except DatabaseMissingError:
        return []


def booked_by_account(con: duckdb.DuckDBPyConnection, at: datetime) -> list[tuple[str, str, int]]:
    """Accounts, quotas, and the requests that were booked in the 24 hours before a time (aware)."""
    if not existing_columns(con, QUOTA_REQUESTS.schema, QUOTA_REQUESTS.name):
        return []
    return con.execute(
        f"SELECT account, quota, count(*) FROM {full_name(con, QUOTA_REQUESTS.schema, QUOTA_REQUESTS.name)} "
        "WHERE booked_at > ? GROUP BY ALL ORDER BY ALL",
        [at - DAY],
    ).fetchall()


def free_at(times: list[datetime], most: int) -> datetime:
    """When the next request may be booked, after at least ``most`` that were booked at these times."""
    return times[-most] + DAY


def _booked(con: duckdb.DuckDBPyConnection, account: str, quota: str, at: datetime) -> list[datetime]:
    if not existing_columns(con, QUOTA_REQUESTS.schema, QUOTA_REQUESTS.name):
        return []
    rows = con.execute(
        f"SELECT epoch_us(booked_at) FROM {full_name(con, QUOTA_REQUESTS.schema, QUOTA_REQUESTS.name)} "
        "WHERE account = ? AND quota = ? AND booked_at > ? ORDER BY booked_at",
        [account, quota, at - DAY],
    ).fetchall()
    return [from_microseconds(each) for (each,) in rows]
