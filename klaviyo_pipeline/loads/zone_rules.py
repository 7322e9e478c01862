"""Compares DuckDB's own time zone rules with those of the ``tzdata`` package, which we use."""

from __future__ import annotations

from datetime import datetime, timedelta
from importlib.metadata import version
from zoneinfo import ZoneInfo

from klaviyo_pipeline import clock
from klaviyo_pipeline.klaviyo.windows import HISTORY_START
from klaviyo_pipeline.warehouse.local_days import first_disagreement


def disagreement(zone: ZoneInfo, now: datetime | None = None) -> str | None:
    """A sentence that names the zone and the first moment at which the rules differ; None if they agree.

    Compares the whole time since Klaviyo's first data, and a year ahead.
    """
    import duckdb

    until = (now or clock.now()) + timedelta(days=366)
    with duckdb.connect(":memory:") as con:
        found = first_disagreement(con, zone, HISTORY_START, until)
    if found is None:
        return None
    return (
        f"DuckDB's own time zone rules differ from tzdata {version('tzdata')} for {zone.key} from "
        f"{found:%Y-%m-%d %H:%M} UTC on. Partitions, counts, analytics and charts use tzdata; SQL of your own with "
        "AT TIME ZONE or timezone() has other days there. Upgrade duckdb and tzdata to the same rules."
    )
