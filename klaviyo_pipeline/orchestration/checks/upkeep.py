"""Checks of the revision, of landed days and of freshness."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import dagster as dg

from klaviyo_pipeline import clock, environment
from klaviyo_pipeline.klaviyo.catalogue.revisions import (
    DEFAULT_REVISION,
    REVISIONS,
    check_revision,
    expected_answer,
    sunset_of,
    today_utc,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from klaviyo_pipeline.loads.cadence import Cadence
    from klaviyo_pipeline.loads.completeness import Span

WARN_BEFORE = timedelta(days=180)
"""How long before a revision's end the check warns: the half year that a migration may take."""

REVISION_IS_SERVED = "revision_is_served"
DAYS_HAVE_LANDED = "days_have_landed"
IS_FRESH = "is_fresh"
_WARN = dg.AssetCheckSeverity.WARN


def revision_check(configured: str, today: date | None = None) -> dg.AssetCheckResult:
    """Whether Klaviyo serves the revision, and for how many more days."""
    today = today or today_utc()
    written, revision = configured.strip() or DEFAULT_REVISION, check_revision(configured, today)
    answers, end = expected_answer(revision, today), sunset_of(revision)
    named = revision if written == revision else f"{revision} (written {written})"
    newest = REVISIONS[-1].name
    left = (end - today).days
    advice = f"Set revision (or {environment.REVISION.name}) to a newer one; {newest} is the newest known one."
    if answers != revision or left <= 0:
        text = f"Klaviyo retired revision {named} on {end}, and answers with {answers} instead. {advice}"
    elif left <= WARN_BEFORE.days:
        text = f"Klaviyo retires revision {named} on {end}, in {left} days. {advice}"
    else:
        text = f"Klaviyo serves revision {named} until {end}, {left} days from now."
    return dg.AssetCheckResult(
        passed=left > WARN_BEFORE.days,
        severity=_WARN,
        description=text,
        metadata={"revision": written, "answered_as": answers, "sunset": end.isoformat(), "days_left": left},
    )


def days_check(
    spans: Sequence[Span],
    partitions: dg.TimeWindowPartitionsDefinition,
    key: dg.AssetKey,
    materialized: Collection[str],
) -> dg.AssetCheckResult:
    """Whether a day between the landed ones is missing, or Dagster shows a day that has not landed.

    Args:
        spans: What has landed, by the ledger.
        partitions: The asset's days.
        key: The asset.
        materialized: The keys of the days that Dagster shows as materialized.
    """
    from klaviyo_pipeline.loads.completeness import days_of, spoken

    found = days_of(spans, ZoneInfo(partitions.timezone))
    newest = max((*found.complete, *found.partial), default=date.min)
    missing = [day for day in found.missing if day < newest]
    begun = [day for day in found.partial if day < newest]
    said = found.disagreeing(materialized)
    texts = []
    if missing:
        texts.append(f"Not landed: {spoken(missing)}.")
    if begun:
        texts.append(
            f"Landed only in part, before the end of the day or for other times in the run config: {spoken(begun)}."
        )
    if said:
        texts.append(f"Dagster shows them as materialized, but they have not landed: {spoken(said)}.")
    if texts:
        again = [*missing, *begun, *said]
        texts.append(
            f"Materialize {key.to_user_string()} for these partitions (a range is one run): "
            f"--partition-range {min(again)}...{max(again)}."
        )
    return dg.AssetCheckResult(
        passed=not texts,
        severity=_WARN,
        description=" ".join(texts) or f"{len(found.complete):,} days have landed completely, without a gap.",
        metadata={
            "complete_days": len(found.complete),
            "partial_days": [day.isoformat() for day in begun],
            "missing_days": [day.isoformat() for day in missing],
            "landed_until": max(end for _start, end in found.spans).isoformat() if found.spans else "",
            "materialized_but_missing": [day.isoformat() for day in said],
        },
    )


_CLOCK_STEP = timedelta(minutes=1)


def freshness_check(until: datetime | None, cadence: Cadence, now: datetime | None = None) -> dg.AssetCheckResult:
    """Whether the newest landed window ended recently enough."""
    if until is None:
        return dg.AssetCheckResult(passed=False, severity=_WARN, description="Nothing has landed yet.")
    age = (now or clock.now()) - until
    if -age > _CLOCK_STEP:
        text = f"Landed until {until:%Y-%m-%d %H:%M} UTC, in the future: the clock of this machine is or was wrong."
        return dg.AssetCheckResult(passed=False, severity=_WARN, description=text)
    text = f"Landed until {until:%Y-%m-%d %H:%M} UTC, {_spoken(age)} ago"
    stale = age > cadence.warn_after
    if stale:
        text += (
            f": more than {_spoken(cadence.warn_after)}. Is the {cadence.name} schedule on, and do its runs succeed?"
        )
    return dg.AssetCheckResult(
        passed=not stale,
        severity=_WARN,
        description=text if stale else text + ".",
        metadata={"landed_until": until.isoformat(), "age_hours": round(age.total_seconds() / 3600, 2)},
    )


def _spoken(length: timedelta) -> str:
    minutes = int(length.total_seconds() // 60)
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 72 * 60 else f"{minutes // 1440} days"
