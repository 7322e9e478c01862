"""Klaviyo's API revisions: which exist, how long each lives, and which one will answer.

A stable revision is kept for two years; after that Klaviyo "falls forward": a request with a retired
revision is answered as the oldest living one, which the ``X-Klaviyo-API-Revision`` header names.
Source: Klaviyo's API versioning and deprecation policy; list of revisions: branches of klaviyo/openapi
and the changelog of Klaviyo's Python SDK (25.0.0 = 2026-10-15).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from klaviyo_pipeline import clock
from klaviyo_pipeline.errors import ConfigurationError

DEFAULT_REVISION = "2026-07-15"
"""The newest revision whose OpenAPI document Klaviyo has published."""


@dataclass(frozen=True)
class Revision:
    """One stable revision and the day it stops being served."""

    name: str
    sunset: date

    def is_retired(self, today: date) -> bool:
        """Whether requests with this revision are answered as another one on that day."""
        return today >= self.sunset


def _two_years_after(name: str) -> date:
    released = date.fromisoformat(name)
    if released.year > date.max.year - 2:
        return date.max
    try:
        return released.replace(year=released.year + 2)
    except ValueError:  # released on a 29 February
        return date(released.year + 2, 3, 1)


# The retirement dates that Klaviyo has named differ from "two years after" only for revisions already gone.
REVISIONS: tuple[Revision, ...] = tuple(
    Revision(name, _two_years_after(name))
    for name in (
        "2022-10-17",
        "2023-01-24",
        "2023-02-22",
        "2023-06-15",
        "2023-07-15",
        "2023-08-15",
        "2023-09-15",
        "2023-10-15",
        "2023-12-15",
        "2024-02-15",
        "2024-05-15",
        "2024-06-15",
        "2024-07-15",
        "2024-10-15",
        "2025-01-15",
        "2025-04-15",
        "2025-07-15",
        "2025-10-15",
        "2026-01-15",
        "2026-04-15",
        "2026-07-15",
        "2026-10-15",
    )
)


def today_utc() -> date:
    """The current day in UTC."""
    return clock.now().date()


def check_revision(text: str | None, today: date | None = None) -> str:
    """The revision to send for a configured one; blank means ours.

    A date between two revisions means the older of them, as the dates of Klaviyo's revisions have always been
    read: the state of the API on that day.

    Raises:
        ConfigurationError: for anything but a day (YYYY-MM-DD) on which Klaviyo had a stable API.
    """
    if text is None or not text.strip():
        return DEFAULT_REVISION
    text = text.strip()
    oldest, newest = REVISIONS[0].name, REVISIONS[-1].name
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise ConfigurationError(
            f"revision is {text!r}, but must be a day written YYYY-MM-DD, for example {DEFAULT_REVISION}; "
            "leave it blank for the default."
        )
    if day > (today or today_utc()):
        raise ConfigurationError(
            f"revision is {text}, a day in the future; the newest revision known here is {newest}."
        )
    if text < oldest:
        raise ConfigurationError(f"revision is {text}, but Klaviyo's oldest revision is {oldest}.")
    if text > newest:
        return text  # released after this program: Klaviyo knows it, its rows are read as the newest known here
    return max(revision.name for revision in REVISIONS if revision.name <= text)


def expected_answer(revision: str, today: date | None = None) -> str:
    """The revision that Klaviyo will answer with: the one sent, or the oldest living one if it is retired."""
    day = today or today_utc()
    living = [known.name for known in REVISIONS if not known.is_retired(day)]
    if not living or revision >= living[0]:
        return revision
    return living[0]


def revision_text(written: str, answered: str) -> str:
    """A revision as it was written, and the one that answers if that is another."""
    return written if written == answered else f"{written}, answered as {answered}"


def who_answers(written: str, answered: str) -> str:
    """One sentence that names a revision as it was written and the one that answers; blank if both are the same.

    Args:
        written: The revision in the configuration, which may be any day; blank means ours.
        answered: The revision that answers.
    """
    written = written.strip() or DEFAULT_REVISION
    sent = check_revision(written)
    named = f"Revision {written}" if sent == written else f"Revision {written}, which means {sent},"
    if answered != sent:
        return f"{named} is retired: Klaviyo answered as {answered}, and rows have the shape of that one."
    return "" if sent == written else f"Revision {written} means {sent}, the newest of that day: it answered."


def shape_of(revision: str) -> str:
    """The newest known revision that is not after this one: rows of both have the same columns."""
    return max((known.name for known in REVISIONS if known.name <= revision), default=REVISIONS[0].name)


def sunset_of(revision: str) -> date:
    """The day from which Klaviyo no longer serves this revision."""
    for known in REVISIONS:
        if known.name == revision:
            return known.sunset
    return _two_years_after(revision[: len("YYYY-MM-DD")])
