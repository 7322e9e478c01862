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
from klaviyo_pipeline_tests import soaking
from klaviyo_pipeline_tests.lake import destinations
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


ON_LAKES = (
    "test_merge_has_the_truth_after_any_number_of_runs",
    "test_what_follows_from_events_has_a_row_for_each_that_has_one",
    "test_replaced_window_that_is_open_keeps_rows_dated_after_now",
)
"""Tests of every mode that `make test-lake` runs; the others run with a lake in `make test-lake-long`."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.module.__name__.endswith(".test_every_mode") and "worlds" in metafunc.fixturenames:
        on_lake = destinations.lake(destinations.POSTGRES, long=metafunc.function.__name__ not in ON_LAKES)
        metafunc.parametrize("kind", [destinations.FILE, on_lake], scope="module")


@pytest.fixture(scope="module")
def kind() -> str:
    return destinations.FILE


@pytest.fixture(scope="module")
def worlds(serving: RunningSandbox, no_waiting: None, kind: str) -> Iterator[Worlds]:
    """Opens a new world: a shop, an empty destination, the first day's clock. With a lake, properties draw less."""

    @contextmanager
    def open_world(seed: int = 1, **choices: object) -> Iterator[World]:
        with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setattr(serving.app, "store", Store(shops(seed)))
            patch.setattr(page_reader, "PAGE_SIZES", PageSizes())
            elsewhere = kind != destinations.FILE
            if elsewhere:
                for name, value in destinations.settings_of(destinations.destination(kind, Path(folder))).items():
                    patch.setenv(name, value)
            world = World(serving, Path(folder), is_elsewhere=elsewhere, **choices)  # type: ignore[arg-type]
            patch.setattr(kinds, "now_s", lambda: world.now.timestamp())
            world.faults()
            yield world
            world.faults()

    with pytest.MonkeyPatch.context() as patch:
        if kind != destinations.FILE and soaking.SOAK < 1:
            patch.setattr(soaking, "SOAK", 0.0)
        yield open_world
