"""The clock of the tests: it starts at `NOW` when the tests do, and then runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from klaviyo_pipeline import clock

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
"""Three days after the history of the small shops ends; no clock changes within a week of it."""


_advanced = timedelta()


@contextmanager
def started_at(start: datetime) -> Iterator[None]:
    """The product's clock shows `start` now, and runs on from it."""
    start -= _advanced
    began = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", lambda: start + _advanced + timedelta(seconds=time.monotonic() - began))
        yield


def advance(**units: float) -> None:
    """Moves the clock of the tests forward: nothing has to sleep."""
    global _advanced
    _advanced += timedelta(**units)


def advanced() -> timedelta:
    """How far the tests of this process have moved the clock."""
    return _advanced


def ago(**units: float) -> str:
    """A time so long before now, in whole seconds, as Klaviyo writes it."""
    return (clock.now() - timedelta(**units)).replace(microsecond=0).isoformat()


def today() -> str:
    """The current day in UTC, as a partition is named."""
    return clock.now().date().isoformat()
