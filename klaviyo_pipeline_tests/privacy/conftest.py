"""One sandbox for the tests of this folder; each has a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from klaviyo_pipeline.sandbox.options import SandboxOptions, ServerOptions
from klaviyo_pipeline.sandbox.server import RunningSandbox, running_sandbox
from klaviyo_pipeline_tests.privacy.people_in_a_shop import SECRET, Shop

SMALL = SandboxOptions(
    seed=3,
    profiles=30,
    events=120,
    days=4,
    until=datetime(2026, 11, 20, 12, tzinfo=UTC),
    lists=3,
    templates=3,
    campaigns=4,
)


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    with running_sandbox(SMALL, ServerOptions(rate_limits=False, keys={"pk_sandbox": frozenset[str]()})) as sandbox:
        yield sandbox


@pytest.fixture
def shop(running: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    shop = Shop(running, tmp_path)
    monkeypatch.setattr(running.app, "faults", shop.watched)
    monkeypatch.setenv("KLAVIYO_PRIVACY_SECRET", SECRET)
    return shop
