import os
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from hypothesis import settings

from klaviyo_pipeline_tests import clocks, instances

# How long an example takes says nothing on a busy machine.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

# Definitions are made when a module is imported; processes that a test starts have the same assets.
os.environ.setdefault("KLAVIYO_SOURCES", "core")

# The browser tests need a package that only they need.
collect_ignore = [] if find_spec("playwright") else ["ui"]


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
def duckdb_started_once() -> Iterator[None]:
    """The sessions of a test process share a started DuckDB, one after another."""
    with instances.shared():
        yield
