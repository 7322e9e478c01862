"""The clock. What depends on the time of day asks here, so that a test can put another clock in its place."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The current time, as an aware datetime in UTC."""
    return datetime.now(UTC)
