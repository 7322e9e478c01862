from pathlib import Path

import pytest

from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.interface import Warehouse
from klaviyo_pipeline_tests.lake import destinations


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    own = any(mark.args[0] == "kind" for mark in metafunc.definition.iter_markers("parametrize"))
    if "kind" in metafunc.fixturenames and not own:
        metafunc.parametrize("kind", destinations.ALL, indirect=True)


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def database(kind: str, tmp_path: Path) -> Warehouse:
    """Every test that takes it is a part of the contract of a destination."""
    return destinations.destination(kind, tmp_path, lock_timeout_s=20 if kind == destinations.FILE else 200)


@pytest.fixture
def file(tmp_path: Path) -> Database:
    """For what only a DuckDB file has."""
    return Database(tmp_path / "store.duckdb", lock_timeout_s=20)
