"""The cadence of a data source: how often runs read it, and the maximum age of its rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from klaviyo_pipeline.klaviyo.catalogue.model import Source


@dataclass(frozen=True)
class Cadence:
    """How often runs start, and the ages of the newest landed window that are a warning and an error.

    Ages are in real time. They allow for one failed or late run, because the next run reads its window too.
    """

    name: str
    warn_after: timedelta
    fail_after: timedelta


HOURLY = Cadence("hourly", warn_after=timedelta(hours=3), fail_after=timedelta(hours=12))
DAILY = Cadence("daily", warn_after=timedelta(hours=36), fail_after=timedelta(hours=84))


def cadence_of(source: Source) -> Cadence:
    """Hourly for events, profiles and campaigns, and for sources that depend on events; daily for the others."""
    return HOURLY if source.partitioned_by_day else DAILY
