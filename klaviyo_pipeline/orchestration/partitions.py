"""Day partitions in the storage time zone, today's included."""

from __future__ import annotations

from datetime import date

import dagster as dg

from klaviyo_pipeline import environment, grammar


def daily_partitions(start: str, timezone: str) -> dg.DailyPartitionsDefinition:
    """A partition for each day of ``timezone`` from ``start`` to today, including today.

    Raises:
        ConfigurationError: for a start that is not a day, or an unknown time zone.
    """
    grammar.zone(timezone, environment.TIMEZONE.name)
    grammar.day(start, environment.PARTITION_START.name)
    return dg.DailyPartitionsDefinition(start_date=start, timezone=timezone, end_offset=1)


def range_tags(first: date, last: date) -> dict[str, str]:
    """The tags of a run over the day partitions from ``first`` to ``last``, both included."""
    return {
        "dagster/asset_partition_range_start": first.isoformat(),
        "dagster/asset_partition_range_end": last.isoformat(),
    }
