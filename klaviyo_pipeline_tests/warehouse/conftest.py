from pathlib import Path

import pytest

from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.interface import Warehouse
from klaviyo_pipeline_tests.lake import destinations

ON_POSTGRES = (
    "test_copying", "test_ledger", "test_many_writers", "test_ownership", "test_reading", "test_rehearsal",
    "test_tables", "test_write_modes",
)  # fmt: skip
"""The part of the contract in which destinations differ most: `make test-lake` runs it with a lake on Postgres."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test of the contract runs with every destination; most combinations in `make test-lake-long` only."""
    own = any(mark.args[0] == "kind" for mark in metafunc.definition.iter_markers("parametrize"))
    if "kind" in metafunc.fixturenames and not own:
        chosen = metafunc.module.__name__.rpartition(".")[2] in ON_POSTGRES
        lakes = (destinations.POSTGRES, not chosen), (destinations.S3, True), (destinations.LAKE_FILE, True)
        kinds = [destinations.FILE, *(destinations.lake(kind, long=long) for kind, long in lakes)]
        metafunc.parametrize("kind", kinds, indirect=True)


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
