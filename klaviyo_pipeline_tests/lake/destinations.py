"""The destinations that the contract of the warehouse is tested with, besides a DuckDB file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from klaviyo_pipeline.warehouse.addresses import LakeAddress
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.interface import Warehouse
from klaviyo_pipeline.warehouse.lake import Lake, ObjectStore
from klaviyo_pipeline_tests.lake import servers

FILE, POSTGRES, S3, LAKE_FILE = "file", "postgres", "postgres-s3", "lake-file"


def lake(kind: str, *, long: bool = False) -> Any:
    """For ``parametrize``: a lake, which `make test-lake` runs, or `make test-lake-long` only."""
    return pytest.param(kind, marks=[pytest.mark.lake, *([pytest.mark.long] if long else [])])


LAKES = [lake(each) for each in (POSTGRES, S3, LAKE_FILE)]
SHARED = [lake(POSTGRES), lake(S3, long=True)]
"""Those that several processes write at once."""
KEY, SECRET = "a-key-of-s3", "a/secret+of=s3-that-nobody-sees"


class Servers:
    """Servers that start when a test first asks for them, and end with the session."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[Any, Any]] = {}

    def _started(self, name: str, start: Callable[[], Any]) -> Any:
        if name not in self._open:
            context = start()
            self._open[name] = (context, context.__enter__())
        return self._open[name][1]

    @property
    def postgres(self) -> servers.Postgres:
        os.environ["PGPASSWORD"] = servers.PASSWORD
        return self._started("postgres", servers.postgres)

    @property
    def s3(self) -> str:
        return self._started("s3", servers.s3)

    def stop(self) -> None:
        for context, _ in self._open.values():
            context.__exit__(None, None, None)
        os.environ.pop("PGPASSWORD", None)


@cache
def running() -> Servers:
    return Servers()


def stopping() -> Iterator[None]:
    yield
    running().stop()
    running.cache_clear()


def destination(kind: str, folder: Path, **options: Any) -> Warehouse:
    """A new, empty destination."""
    if kind == FILE:
        return Database(folder / "store.duckdb", **options)
    if kind == LAKE_FILE:
        return Lake(LakeAddress(file=folder / "store.ducklake"), **options)
    address = LakeAddress(postgres=running().postgres.database())
    if kind == POSTGRES:
        return Lake(address, f"{folder}/data/", **options)
    store = ObjectStore(KEY, SECRET, endpoint=running().s3)
    return Lake(address, f"s3://{servers.bucket(running().s3)}/rows/", store, **options)


def settings_of(lake: Warehouse) -> dict[str, str]:
    """The environment variables that name a lake to the commands and the assets."""
    assert isinstance(lake, Lake)
    settings = {"KLAVIYO_DESTINATION": lake.name, "KLAVIYO_DATA_PATH": lake.data_path}
    if lake.store is not None:
        settings |= {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ENDPOINT_URL": lake.store.endpoint}
    return settings
