import gc
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec

import dagster as dg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._config.pythonic_config import resource
from hypothesis import settings

from klaviyo_pipeline.collecting import NEW_OBJECTS
from klaviyo_pipeline.sandbox import server
from klaviyo_pipeline.sandbox.data.rows import Shop
from klaviyo_pipeline.sandbox.data.shop.generate import generate_shop
from klaviyo_pipeline.sandbox.options import SandboxOptions
from klaviyo_pipeline_tests import clocks
from klaviyo_pipeline_tests.lake import destinations
from klaviyo_pipeline_tests.soaking import examples

# How long an example takes says nothing on a busy machine.
settings.register_profile("suite", parent=examples(100))
settings.load_profile("suite")

# Definitions are made when a module is imported; processes that a test starts have the same assets.
os.environ.setdefault("KLAVIYO_SOURCES", "core")

# The browser tests need a package that only they need.
collect_ignore = [] if find_spec("playwright") else ["ui"]


# Seven thousand tests are made, and nearly all of their objects stay: Python looks for unused ones less often.
gc.set_threshold(NEW_OBJECTS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The newcomer's test takes longest, and mostly waits for packages: the others run meanwhile."""
    items.sort(key=lambda item: item.path.parent.name != "newcomer")


@pytest.fixture(scope="session", autouse=True)
def servers_stopped() -> Iterator[None]:
    """The servers that tests of lakes started."""
    yield from destinations.stopping()


@pytest.fixture(scope="session", autouse=True)
def clock_of_the_tests() -> Iterator[None]:
    """No test depends on today's date: the product asks this clock. Processes that a test starts ask the real one."""
    with clocks.started_at(clocks.NOW):
        yield


@pytest.fixture(scope="session", autouse=True)
def migrations_read_once() -> Iterator[None]:
    """Alembic's scripts are read once a process: every new Dagster instance would import all ninety of them again."""
    read = ScriptDirectory.from_config
    known: dict[str | None, ScriptDirectory] = {}

    def from_config(config: Config) -> ScriptDirectory:
        place = config.get_main_option("script_location")
        if place not in known:
            known[place] = read(config)
        return known[place]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", from_config)
        yield


@pytest.fixture(scope="session", autouse=True)
def shops_generated_once() -> Iterator[None]:
    """Sandboxes of the same options share the rows of one shop, which never change; to generate them takes longest."""
    generated = lru_cache(maxsize=16)(generate_shop)

    def shop_of(options: SandboxOptions) -> Shop:
        return generated(replace(options, until=options.until_moment()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "generate_shop", shop_of)
        yield


@pytest.fixture(scope="session", autouse=True)
def schemas_inferred_once() -> Iterator[None]:
    """Dagster infers a resource's schema from its class each time that it copies the resource: a dozen times a run."""
    infer = resource.infer_schema_from_config_class
    known: dict[tuple[type, frozenset[str]], dg.Field] = {}

    def inferred(model: type[dg.Config], *, fields_to_omit: set[str], default: object = None) -> dg.Field:
        if default is not None:
            return infer(model, fields_to_omit=fields_to_omit, default=default)
        asked = (model, frozenset(fields_to_omit))
        if asked not in known:
            known[asked] = infer(model, fields_to_omit=fields_to_omit)
        return known[asked]

    curry = resource._curry_config_schema
    curried: dict[tuple[int, str], object] = {}

    def with_values(schema: dg.Field, values: dict[str, object]) -> object:
        asked = (id(schema), repr(sorted(values.items())))
        if asked not in curried or schema not in known.values():
            curried[asked] = curry(schema, values)
        return curried[asked]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resource, "infer_schema_from_config_class", inferred)
        patch.setattr(resource, "_curry_config_schema", with_values)
        yield
