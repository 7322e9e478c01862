"""The state of the tables at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class State(StrEnum):
    """The state of a table. All but ``ok`` and ``skipped`` need a person."""

    OK = "ok"
    SKIPPED = "skipped"
    NEVER = "never loaded"
    LATE = "late"
    FAILED = "failed"
    BROKEN = "broken"


WELL = (State.OK, State.SKIPPED)


@dataclass(frozen=True)
class TableStatus:
    """The state of one table. Times are aware UTC; what is not known is None.

    Attributes:
        asset: The asset's key in Dagster: ``klaviyo/events``.
        source: The data source.
        table: The table as ``schema.name``.
        database: The DuckDB file.
        state: Its state.
        account: Klaviyo's public id of the account; blank if it is not known.
        account_name: The account's name in klaviyo.yml; ``default`` for that of ``KLAVIYO_API_KEY``, blank for a key
            of a transfer's own.
        rows: Rows after the last load.
        newest_row: The newest time in the rows, of the time that windows are taken over.
        last_load: When the last load was committed.
        landed_until: The end of the newest window that has landed.
        lag_s: Seconds since then.
        late_s: Seconds by which the lag is over the freshness policy, or since a scheduled run that has not landed.
        next_run: The next run of a schedule that is on.
        rate_limit_used: Share of Klaviyo's steady rate limit that the last fetch used, from 0.
        error: Why the last run failed or skipped the load, in one sentence; blank if it did not.
    """

    asset: str
    source: str
    table: str
    database: str
    state: State
    account: str = ""
    account_name: str = ""
    rows: int | None = None
    newest_row: datetime | None = None
    last_load: datetime | None = None
    landed_until: datetime | None = None
    lag_s: float | None = None
    late_s: float | None = None
    next_run: datetime | None = None
    rate_limit_used: float | None = None
    error: str = ""


@dataclass(frozen=True)
class QuotaStatus:
    """A quota of Klaviyo that lasts a day: requests that it allows in 24 hours, and those that are left now."""

    account: str
    quota: str
    a_day: int
    left: int


@dataclass(frozen=True)
class DiskUse:
    """Bytes that a file or a folder takes, with everything beside it that belongs to it."""

    what: str
    path: str
    bytes: int


@dataclass(frozen=True)
class Status:
    """The state of everything.

    Attributes:
        at: The moment, aware UTC.
        tables: The tables, in the order of the catalogue; transfers last.
        quotas: The quotas of accounts that have sent requests against them.
        disk: What is stored.
        warnings: Sentences about the whole, such as a daemon that does not run.
    """

    at: datetime
    tables: Sequence[TableStatus]
    quotas: Sequence[QuotaStatus] = field(default=())
    disk: Sequence[DiskUse] = field(default=())
    warnings: Sequence[str] = field(default=())

    @property
    def problems(self) -> Sequence[TableStatus]:
        """The tables that need a person."""
        return [table for table in self.tables if table.state not in WELL]
