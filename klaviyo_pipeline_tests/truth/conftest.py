from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings

from klaviyo_pipeline.klaviyo.catalogue import revisions
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.client.rate_limits import EndpointLimit
from klaviyo_pipeline.klaviyo.extract import page_reader
from klaviyo_pipeline.klaviyo.extract.requests import PageSizes
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.faults import kinds
from klaviyo_pipeline.sandbox.options import ServerOptions
from klaviyo_pipeline.sandbox.server import RunningSandbox, running_sandbox
from klaviyo_pipeline_tests.truth.world import World, tiny_shop

settings.register_profile(
    "truth", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
shops = cache(tiny_shop)

Worlds = Callable[..., AbstractContextManager[World]]


@pytest.fixture(scope="module")
def no_waiting() -> Iterator[None]:
    """Retries at once, no rate limit, and the day on which the sandbox's revisions live.

    For a module, since a worker may run tests of other folders after it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(revisions, "today_utc", lambda: date(2026, 11, 23))
        patch.setattr(EndpointLimit, "reserve", lambda _self: 0.0)
        patch.setattr(KlaviyoClient, "_wait_before", lambda *_arguments: 0.0)
        yield


@pytest.fixture(scope="session")
def serving() -> Iterator[RunningSandbox]:
    """One server; each world brings a shop of its own."""
    with running_sandbox(server=ServerOptions(rate_limits=False), options=None) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def worlds(serving: RunningSandbox, no_waiting: None) -> Worlds:
    """Opens a new world: a shop, an empty database, the first day's clock."""

    @contextmanager
    def open_world(seed: int = 1, **choices: object) -> Iterator[World]:
        with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setattr(serving.app, "store", Store(shops(seed)))
            patch.setattr(page_reader, "PAGE_SIZES", PageSizes())
            world = World(serving, Path(folder), **choices)  # type: ignore[arg-type]
            patch.setattr(kinds, "now_s", lambda: world.now.timestamp())
            world.faults()
            yield world
            world.faults()

    return open_world
