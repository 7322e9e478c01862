"""Slices that are divided while they run, a fetch that fails while others read, and the folder of a first stage."""

from __future__ import annotations

import asyncio
import errno
import re
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.errors import RequestRefusedError, StagingError
from klaviyo_pipeline.klaviyo.extract import page_reader
from klaviyo_pipeline.klaviyo.extract.progress import Progress
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea, disk_errors
from klaviyo_pipeline.sandbox.api.messages import Request, Response
from klaviyo_pipeline.sandbox.server import RunningSandbox
from klaviyo_pipeline_tests.klaviyo.listed import Listed
from klaviyo_pipeline_tests.klaviyo.support import SHOP_ENDS, Watched, load, refusal, truth

Make = Callable[..., KlaviyoClient]
START = SHOP_ENDS - timedelta(days=30)


@pytest.mark.parametrize("seconds", [4, 10, 60])
def test_slice_when_its_few_seconds_are_full_then_it_is_divided_and_no_row_is_read_twice(
    seconds: int, make_client: Make, area: StagingArea, watched: Watched
) -> None:
    rows = [(f"r{number:03d}", START + timedelta(seconds=number * seconds // 300)) for number in range(300)]
    watched.script = Listed(rows, page_rows=10)

    loaded = load(make_client(max_connections=6), area, "events", START, START + timedelta(seconds=seconds))

    assert loaded.ids != []
    assert sorted(loaded.ids) == [name for name, _time in rows]
    if seconds == 60:
        begun = {each.parameters["filter"] for each in watched.requests if "page[cursor]" not in each.parameters}
        assert len(begun) > 1, "the slice was divided"


def test_fetch_when_a_page_is_refused_then_ends_after_the_pages_that_are_under_way(
    make_client: Make, area: StagingArea, watched: Watched
) -> None:
    asked: list[Request] = []
    all_asked = asyncio.Event()

    async def instead(_operation: str, request: Request) -> Response | None:
        asked.append(request)
        if len(asked) == 4:
            all_asked.set()
        await all_asked.wait()
        if request is asked[0]:
            return refusal(400, "Metric IDs ['X'] do not exist.", parameter="filter")
        await asyncio.sleep(0.2)  # the fetch has failed, and this page is still under way
        return None

    watched.instead = instead  # type: ignore[method-assign]
    with pytest.raises(RequestRefusedError, match="Metric IDs"):
        load(make_client(max_connections=4), area, "events", SHOP_ENDS - timedelta(days=4), SHOP_ENDS)

    assert len(asked) == 4
    assert [thread.name for thread in threading.enumerate() if re.fullmatch(r"klaviyo-\d+", thread.name)] == []


def test_progress_when_a_fetch_is_done_then_every_slice_counts_once(
    make_client: Make, area: StagingArea, sandbox: RunningSandbox
) -> None:
    told: list[Progress] = []
    client = make_client(max_connections=1)
    page_reader.PAGE_SIZES._refused[client.account, "profiles", client.revision] = 50
    loaded = load(client, area, "profiles", SHOP_ENDS - timedelta(days=12), SHOP_ENDS, report=told.append)

    assert sorted(loaded.ids) == truth(sandbox.store, "profiles", SHOP_ENDS - timedelta(days=12), SHOP_ENDS)
    last = told[-1]
    assert (last.slices_done, last.slices_running, last.slices_waiting, last.fraction) == (1, 0, 0, 1.0)
    assert [each.slices_done for each in told] == sorted(each.slices_done for each in told)


def test_stage_when_its_folders_are_missing_then_they_are_made(client: KlaviyoClient, tmp_path: Path) -> None:
    assert load(client, StagingArea(tmp_path / "not" / "yet" / "there"), "lists").ids


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "Disk quota"), "the disk is full"),
        (OSError("Could not write: No space left on device"), "the disk is full"),
        (OSError(errno.EROFS, "Read-only file system"), "written to"),
        (PermissionError(errno.EACCES, "Permission denied"), "written to"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
    ],
)
def test_disk_when_it_refuses_then_the_error_names_the_folder_and_the_reason(
    error: OSError, said: str, tmp_path: Path
) -> None:
    with pytest.raises(StagingError, match=said) as raised, disk_errors(tmp_path):
        raise error
    assert str(tmp_path) in str(raised.value)
    assert raised.value.__cause__ is error
