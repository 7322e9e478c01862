from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from klaviyo_pipeline.sandbox.server import RunningSandbox
from klaviyo_pipeline_tests.transfers.workplace import Workplace, small_sandbox, workplace_at


@pytest.fixture(scope="session")
def shop() -> Iterator[RunningSandbox]:
    """One sandbox for all tests that only read it."""
    with small_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop: RunningSandbox) -> Iterator[Workplace]:
    """A workplace with a sandbox that must not be changed."""
    with workplace_at(tmp_path, shop, monkeypatch) as workplace:
        yield workplace


@pytest.fixture
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workplace]:
    """A workplace with a sandbox of its own, to change at will."""
    with small_sandbox() as sandbox, workplace_at(tmp_path, sandbox, monkeypatch) as workplace:
        yield workplace
