"""How often a data source is meant to be read, and how old its rows may grow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from klaviyo_pipeline.klaviyo.catalogue.model import Source


@dataclass(frozen=True)
class Cadence:
    """How often runs are meant to come, and the ages of what has landed that are worth a warning and an alarm.

    Ages are in real time. They leave room for a run that fails or is late: the next one makes up for it.
    """

    name: str
    warn_after: timedelta
    fail_after: timedelta


HOURLY = Cadence("hourly", warn_after=timedelta(hours=3), fail_after=timedelta(hours=12))
DAILY = Cadence("daily", warn_after=timedelta(hours=36), fail_after=timedelta(hours=84))


def cadence_of(source: Source) -> Cadence:
    """Hourly for what happens (events, profiles and campaigns, and what follows from events), daily for the rest."""
    return HOURLY if source.partitioned_by_day else DAILY
