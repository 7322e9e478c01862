from collections.abc import Callable, Iterator
from typing import Any

import pytest

from klaviyo_pipeline.sandbox.app import Sandbox
from klaviyo_pipeline.sandbox.data.shop import generate_shop
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.options import SandboxOptions, ServerOptions
from klaviyo_pipeline.sandbox.server import RunningSandbox, build_sandbox, running_sandbox
from klaviyo_pipeline_tests.sandbox.client import Client

SMALL = SandboxOptions(
    seed=7, profiles=240, events=1_600, days=20, until="2026-11-20T00:00:00Z", lists=13, campaigns=30
)
NO_LIMITS = ServerOptions(rate_limits=False)


@pytest.fixture(scope="session")
def app() -> Sandbox:
    """A shop that tests only read."""
    return build_sandbox(SMALL, NO_LIMITS)


@pytest.fixture(scope="session")
def store(app: Sandbox) -> Store:
    return app.store


@pytest.fixture
def client(app: Sandbox) -> Client:
    return Client(app)


@pytest.fixture(scope="session")
def shop() -> Any:
    return generate_shop(SMALL)


@pytest.fixture
def fresh(shop: Any) -> Callable[..., Sandbox]:
    """Make a sandbox of one's own, over the small shop, to change or to limit."""

    def make(server: ServerOptions = NO_LIMITS, **extras: Any) -> Sandbox:
        return Sandbox(Store(shop), server, **extras)

    return make


@pytest.fixture(scope="session")
def running() -> Iterator[RunningSandbox]:
    """The same shop behind a socket."""
    with running_sandbox(SMALL, NO_LIMITS) as sandbox:
        yield sandbox
