"""What a load of a report asks for: whole days of the account's time zone, and a share of its daily requests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from klaviyo_pipeline import clock
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue import dimensions
from klaviyo_pipeline.klaviyo.extract.report import Budget, ReportRequest, Unlimited
from klaviyo_pipeline.klaviyo.windows import Window
from klaviyo_pipeline.loads.quota import DailyBudget
from klaviyo_pipeline.loads.request import last_end_before, window_of
from klaviyo_pipeline.times import parse_zone, start_of
from klaviyo_pipeline.warehouse.sql import quote
from klaviyo_pipeline.warehouse.tables import existing_columns, full_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from klaviyo_pipeline.klaviyo.endpoints.account import Account
    from klaviyo_pipeline.klaviyo.errors import QuotaSpentError
    from klaviyo_pipeline.loads.destination import Place
    from klaviyo_pipeline.loads.request import LoadRequest
    from klaviyo_pipeline.warehouse.ledger import Loads


@dataclass(frozen=True)
class ReportLoad:
    """A load of a report: what is asked for, where it goes, the loads before it, its run, and when it began."""

    request: LoadRequest
    place: Place
    loads: Loads
    run_id: str
    now: datetime | None = None


def report_request(load: ReportLoad, account: Account, warn: Callable[[str], object]) -> ReportRequest | None:
    """What to read of a report; None if all that is asked for has landed before.

    Args:
        load: The load.
        account: The account, whose days count.
        warn: Takes a warning.

    Raises:
        ConfigurationError: for times that cannot be read or lie in the future, a time zone that is not known, or a
            table whose rows are divided by other dimensions.
    """
    wanted, source, now = load.request, load.request.source, load.now or clock.now()
    report = source.report
    assert report is not None
    if report.dimensions and not wanted.clears_table:
        _refuse_other_dimensions(load.place, report.by)
    zone = parse_zone(account.timezone, "the account's time zone")
    last_end = None
    if wanted.continues:
        last_end = last_end_before(now, wanted, partial(_last_end, load), warn)
    window = window_of(wanted, partition=None, last_end=last_end, zone=load.place.zone, now=load.now)
    if window is None:
        return None
    if not report.windows:
        start = window.start or (window.end or window.now) - timedelta(days=report.history_days - 1)
        window = Window(start_of(start.astimezone(zone).date(), zone), window.end, window.now)
    budget: Budget = Unlimited()
    if report.quota is not None:
        budget = DailyBudget(load.place.database, report.quota, account.id, source.name, load.run_id)
    return ReportRequest(source, window, options=wanted.options, ids=wanted.ids, zone=zone, budget=budget)


def said_of_stop(source_title: str, stopped: QuotaSpentError, read: Window | None) -> str:
    """One line: why a load of a report ended early, what it has read (None: nothing), and when it may continue."""
    have = f"Days before {read.end:%Y-%m-%d %H:%M} UTC are read" if read and read.end else "Nothing has landed"
    if read and not read.end:
        have = "Some of the windows are read"
    return (
        f"{source_title}: {stopped} {have}; the next run reads the rest. "
        f"Requests are free again from {stopped.free_at:%Y-%m-%d %H:%M} UTC on."
    )


def _refuse_other_dimensions(place: Place, by: tuple[str, ...]) -> None:
    """Rows by other dimensions count the same events: whoever sums a table that has both counts them twice."""
    for other in _dimensions_in(place):
        if other != by:
            raise ConfigurationError(
                f"The rows of {place.schema}.{place.table} are divided by {', '.join(other) or 'no dimensions'}, and "
                f"those of this load by {', '.join(by) or 'none'}. Their sums would count events twice: write to "
                f"another table, or replace the rows of this one (write_mode: replace, accept_shrink: true)."
            )


def _dimensions_in(place: Place) -> set[tuple[str, ...]]:
    """The dimensions that rows of a table are divided by; empty without rows."""
    with place.database.reading_if_made() as con:
        if con is None:
            return set()
        columns = {column.name for column in existing_columns(con, place.schema, place.table)}
        if not columns:
            return set()
        names = f"json_keys({quote(dimensions.COLUMN)})" if dimensions.COLUMN in columns else "NULL"
        table = full_name(con, place.schema, place.table)
        return {tuple(found or ()) for (found,) in con.execute(f"SELECT DISTINCT {names} FROM {table}").fetchall()}


def _last_end(load: ReportLoad, not_after: datetime | None = None) -> datetime | None:
    """The end of the last window, moved so that the lookback leads back to the first day that may still change.

    Days change until the lookback has passed since they were read. A load that the quota has stopped ends long before
    the time at which it was made: the days that it has are settled, and are not paid for twice.
    """
    last = load.loads.last_window(not_after=not_after)
    if last is None or last.landed_at is None or not load.request.merges:
        return last.end if last is not None else None
    days = load.request.lookback_days
    lookback = timedelta(days=days if days is not None else load.request.source.lookback_days)
    return min(last.end + lookback, last.landed_at)
