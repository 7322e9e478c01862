"""The ticks of cron expressions by Dagster's own rules, also when clocks skip or repeat an hour.

Dagster's public class for time windows computes the same ticks as its daemon.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WITH_OFFSET = "%Y-%m-%dT%H:%M:%S%z"


def is_schedule(cron: str) -> bool:
    """Whether Dagster accepts a cron expression for a schedule."""
    try:
        _windows(cron, "UTC")
    except Exception:  # its parser lets more through than its own errors
        return False
    return True


def next_tick(crons: Sequence[str], timezone: str, at: datetime) -> datetime:
    """The first tick of any of these expressions at or after a time, in the time zone.

    Raises:
        Exception: one of Dagster's parser, where no tick comes within fifty years.
    """
    windows = (_windows(cron, timezone).get_next_partition_window(at, respect_bounds=False) for cron in crons)
    return min(window.start for window in windows if window is not None)


def ticks_between(cron: str, timezone: str, start: datetime, end: datetime) -> list[datetime]:
    """The ticks of an expression from a time to another, both included, in order and in UTC."""
    windows = _windows(cron, timezone)
    keys = windows.get_partition_keys_in_time_window(dg.TimeWindow(start, end))
    ticks = [windows.start_time_for_partition_key(key).astimezone(UTC) for key in keys]
    return [*ticks, *([end.astimezone(UTC)] if next_tick([cron], timezone, end) == end else [])]


def _windows(cron: str, timezone: str) -> dg.TimeWindowPartitionsDefinition:
    return dg.TimeWindowPartitionsDefinition(_EPOCH, _WITH_OFFSET, cron_schedule=cron, timezone=timezone)
