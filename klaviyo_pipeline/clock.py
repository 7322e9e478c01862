"""The clock. All code reads the time here, so that a test can replace the clock."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The current time, as an aware datetime in UTC."""
    return datetime.now(UTC)
