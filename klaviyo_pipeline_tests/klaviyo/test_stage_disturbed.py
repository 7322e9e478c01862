"""Somebody disturbs a stage while it is written: the load has all rows or says so, and the next one has them."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.errors import StagingError
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.sandbox.api.messages import Request, Response
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline_tests.klaviyo.support import Watched, load, truth


def files(area: StagingArea) -> list[Path]:
    return [path for path in area.root.rglob("*") if path.is_file() and path.suffix != ".lock"]


def pages(area: StagingArea) -> list[Path]:
    return [path for path in files(area) if "json" not in path.name]


def remove_all(area: StagingArea) -> None:
    shutil.rmtree(area.root)


def remove_files(area: StagingArea) -> None:
    for path in files(area):
        path.unlink()


def cut(area: StagingArea) -> None:
    for path in files(area):
        os.truncate(path, path.stat().st_size // 2)


def replace_by_folders(area: StagingArea) -> None:
    for path in pages(area):
        path.unlink()
        path.mkdir()


def fill_the_disk(_area: StagingArea) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))


@pytest.fixture
def limit_of_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("limit_of_files")
@pytest.mark.parametrize("disturb", [remove_all, remove_files, cut, replace_by_folders, fill_the_disk])
@pytest.mark.parametrize("at", [1, 6])
def test_stage_when_disturbed_while_it_is_written_then_no_row_is_missing_without_an_error(
    client: KlaviyoClient,
    area: StagingArea,
    store: Store,
    watched: Watched,
    disturb: Callable[[StagingArea], None],
    at: int,
) -> None:
    asked = 0

    def alter(_operation: str, _request: Request, response: Response) -> Response:
        nonlocal asked
        asked += 1
        if asked == at:
            disturb(area)
        return response

    told = ""
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    watched.alter = alter
    try:
        assert set(load(client, area, "events").ids) == set(truth(store, "events"))
    except StagingError as error:
        told = str(error)
    assert asked >= at
    assert not told or str(area.root) in told
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)

    assert set(load(client, area, "events").ids) == set(truth(store, "events"))
