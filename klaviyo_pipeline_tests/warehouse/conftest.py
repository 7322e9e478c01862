from pathlib import Path

import pytest

from klaviyo_pipeline.warehouse.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "store.duckdb", lock_timeout_s=20)
