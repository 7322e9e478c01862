"""The state of the tables in words: the columns of a table, and sentences about the whole."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from klaviyo_pipeline.status.model import Status, TableStatus

HEADERS = ("table", "state", "rows", "newest row", "last load", "lag", "late by", "next run", "limit used")


def row(table: TableStatus) -> list[str]:
    """A table's line under HEADERS; times in UTC. Blank where nothing is known."""
    return [
        table.table or table.asset,
        table.state.value,
        "" if table.rows is None else f"{table.rows:,}",
        minute(table.newest_row),
        minute(table.last_load),
        length(table.lag_s),
        length(table.late_s),
        minute(table.next_run),
        "" if table.rate_limit_used is None else f"{table.rate_limit_used:.0%}",
    ]


def sentences(found: Status) -> Iterator[str]:
    """Quotas, disk space, warnings, and how many tables are well."""
    for quota in found.quotas:
        yield f"Quota {quota.quota} of account {quota.account}: {quota.left} of {quota.a_day} requests left today."
    for disk in found.disk:
        yield f"Disk: {disk.bytes / 1e6:,.1f} MB, {disk.what} {disk.path}"
    yield from found.warnings
    yield verdict(found)


def verdict(found: Status) -> str:
    """How many tables are well."""
    bad = len(found.problems)
    return f"{len(found.tables) - bad} of {len(found.tables)} tables are well." if bad else "All tables are well."


def errors(found: Status) -> Iterator[str]:
    """For each table that did not load, the reason in a sentence."""
    yield from (f"{table.asset} {table.state}: {table.error}" for table in found.tables if table.error)


def minute(moment: datetime | None) -> str:
    """A time to the minute; blank for None."""
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""


def length(seconds: float | None) -> str:
    """A length of time in its two largest units: ``3 h 20 min``; blank for None."""
    if seconds is None:
        return ""
    minutes = int(max(seconds, 0) // 60)
    days, hours = divmod(minutes // 60, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
