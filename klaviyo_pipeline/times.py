"""Times: how a text becomes one, and where a local day begins."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from klaviyo_pipeline.errors import ConfigurationError


def start_of(day: date, zone: ZoneInfo) -> datetime:
    """The instant in UTC at which a local day begins; where clocks skip midnight, the first instant after it."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def from_microseconds(count: int) -> datetime:
    """An aware UTC time from microseconds since 1970, as Arrow stores them and DuckDB's ``epoch_us`` gives them."""
    return _EPOCH + timedelta(microseconds=int(count))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_time(text: str, zone: tzinfo, name: str) -> datetime:
    """Read an ISO 8601 time; one without an offset is read in ``zone``. Answers in UTC.

    Raises:
        ConfigurationError: naming the setting, the text and the form that is allowed.
    """
    try:
        parsed = datetime.fromisoformat(text.strip())
        return (parsed.replace(tzinfo=zone) if parsed.tzinfo is None else parsed).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConfigurationError(
            f"{name} is {text!r}, but must be an ISO 8601 time such as 2026-09-01T00:00:00 or "
            "2026-09-01T00:00:00+02:00."
        ) from None


def parse_zone(name: str, setting: str) -> ZoneInfo:
    """A time zone by its IANA name.

    Raises:
        ConfigurationError: naming the setting and what is allowed.
    """
    try:
        if "/" not in name and name != "UTC":
            raise ZoneInfoNotFoundError(name)
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = _ABBREVIATIONS.get(name.upper())
        raise ConfigurationError(
            f"{setting} is {name!r}, but must be an IANA time zone such as UTC, Europe/Copenhagen or "
            f"America/New_York{f'; did you mean {hint}?' if hint else '.'}"
        ) from None


_ABBREVIATIONS = {
    "PST": "America/Los_Angeles",
    "PDT": "America/Los_Angeles",
    "MST": "America/Denver",
    "MDT": "America/Denver",
    "CST": "America/Chicago",
    "CDT": "America/Chicago",
    "EST": "America/New_York",
    "EDT": "America/New_York",
    "GMT": "Europe/London",
    "BST": "Europe/London",
    "CET": "Europe/Paris",
    "CEST": "Europe/Paris",
    "JST": "Asia/Tokyo",
    "IST": "Asia/Kolkata",
    "AEST": "Australia/Sydney",
}
