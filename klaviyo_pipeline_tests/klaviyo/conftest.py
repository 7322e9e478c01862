from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from klaviyo_pipeline.klaviyo.catalogue import revisions
from klaviyo_pipeline.klaviyo.client import settings
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.client.rate_limits import EndpointLimit
from klaviyo_pipeline.klaviyo.client.settings import SETTINGS, ClientSettings, Setting
from klaviyo_pipeline.klaviyo.extract import page_reader
from klaviyo_pipeline.klaviyo.extract.requests import PageSizes
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.sandbox.data.rows import Shop
from klaviyo_pipeline.sandbox.data.shop import generate_shop
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.options import SandboxOptions, ServerOptions
from klaviyo_pipeline.sandbox.server import RunningSandbox, running_sandbox
from klaviyo_pipeline_tests.klaviyo.support import SHOP_ENDS, Watched

OPTIONS = SandboxOptions(
    seed=11, profiles=260, events=4_000, days=12, until=SHOP_ENDS, lists=5, templates=25, campaigns=30
)
KEYS = {"pk_sandbox": frozenset[str](), "pk_narrow": frozenset({"lists:read"})}


@pytest.fixture(autouse=True)
def pinned_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """The day that the sandbox's revisions live on, whatever the calendar says."""
    monkeypatch.setattr(revisions, "today_utc", lambda: date(2026, 11, 23))


@pytest.fixture(scope="session")
def shop() -> Shop:
    return generate_shop(OPTIONS)


@pytest.fixture(scope="session")
def running() -> Iterator[RunningSandbox]:
    with running_sandbox(OPTIONS, ServerOptions(rate_limits=False, keys=KEYS)) as sandbox:
        yield sandbox


@pytest.fixture
def watched(running: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """The requests that the sandbox gets in a test, and a way to have it misbehave."""
    faults = Watched()
    monkeypatch.setattr(running.app, "faults", faults)
    return faults


@pytest.fixture
def sandbox(running: RunningSandbox, watched: Watched) -> RunningSandbox:
    """The shop, for tests that only read."""
    return running


@pytest.fixture
def store(sandbox: RunningSandbox, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A copy of the shop, behind the same address, for a test to change."""
    own = Store(shop)
    monkeypatch.setattr(sandbox.app, "store", own)
    return own


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries at once, no rate limit, page sizes as on the first day."""
    for name in (
        "initial_retry_wait_s", "max_retry_wait_s", "connect_timeout_s", "read_timeout_s", "write_timeout_s",
        "total_timeout_s", "max_page_mb", "max_pages_without_rows",
    ):  # fmt: skip
        bounds = SETTINGS[name]
        monkeypatch.setitem(settings.SETTINGS, name, Setting(bounds.default, 0.001, bounds.maximum, ""))
    monkeypatch.setattr(EndpointLimit, "reserve", lambda _self: 0.0)
    monkeypatch.setattr(page_reader, "PAGE_SIZES", PageSizes())


@pytest.fixture
def area(tmp_path: Path) -> StagingArea:
    return StagingArea(tmp_path / "staging")


@pytest.fixture
def make_client(sandbox: RunningSandbox, no_waiting: None) -> Callable[..., KlaviyoClient]:
    """Makes a client of the sandbox."""

    def make(revision: str | None = None, key: str = "pk_sandbox", **changes: Any) -> KlaviyoClient:
        quick = {"initial_retry_wait_s": 0.001, "max_retry_wait_s": 0.01, "max_connections": 3, "retry_limit": 2}
        base_url = changes.pop("base_url", sandbox.url)
        return KlaviyoClient(key, ClientSettings(**(quick | changes)), revision=revision, base_url=base_url)

    return make


@pytest.fixture
def client(make_client: Callable[..., KlaviyoClient]) -> KlaviyoClient:
    return make_client()
