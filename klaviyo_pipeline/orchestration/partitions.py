"""Day partitions in the storage time zone, today's included."""

from __future__ import annotations

from datetime import date

import dagster as dg

from klaviyo_pipeline.klaviyo.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.windows import parse_zone
from klaviyo_pipeline.orchestration import environment


def daily_partitions(start: str, timezone: str) -> dg.DailyPartitionsDefinition:
    """A partition for each day of ``timezone`` from ``start`` to today, which can be loaded again and again.

    Raises:
        ConfigurationError: for a start that is no day, or a time zone that does not exist.
    """
    parse_zone(timezone, environment.TIMEZONE.name)
    try:
        date.fromisoformat(start)
    except ValueError:
        raise ConfigurationError(
            f"{environment.PARTITION_START.name} is {start!r}, but must be a day written YYYY-MM-DD."
        ) from None
    return dg.DailyPartitionsDefinition(start_date=start, timezone=timezone, end_offset=1)
