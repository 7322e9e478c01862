"""A killed fetch resumes where it stopped: it gets the same rows and requests only the missing pages."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from klaviyo_pipeline.klaviyo.catalogue.revisions import expected_answer
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.extract import page_reader
from klaviyo_pipeline.klaviyo.extract.progress import Progress
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.sandbox.api.messages import Request
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.server import RunningSandbox
from klaviyo_pipeline_tests.klaviyo.support import NOW, SHOP_ENDS, Watched, events_in_ten_minutes, load, truth

Make = Callable[..., KlaviyoClient]
START = SHOP_ENDS - timedelta(days=9)


class Killed(Exception):
    """Stands for a kill."""


def kill_after(pages: int) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        if progress.pages >= pages:
            raise Killed

    return report


def page_size(client: KlaviyoClient, name: str, size: int) -> None:
    page_reader.PAGE_SIZES._refused[client.account, name, expected_answer(client.revision)] = size


def slow_pages(watched: Watched) -> None:
    """Let a page take a few milliseconds, so that a kill between pages is seen in time."""
    import asyncio

    original = watched.instead

    async def instead(operation: str, request: Request) -> object:
        await asyncio.sleep(0.01)
        return await original(operation, request)

    watched.instead = instead  # type: ignore[assignment,method-assign]


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize(("start", "end"), [(START, SHOP_ENDS), (START, None), (None, None)])
def test_extract_when_killed_at_half_then_the_next_run_asks_for_the_other_half(
    start: datetime | None,
    end: datetime | None,
    connections: int,
    make_client: Make,
    area: StagingArea,
    sandbox: RunningSandbox,
    watched: Watched,
) -> None:
    client = make_client(max_connections=connections)
    page_size(client, "events", 40)
    expected = truth(sandbox.store, "events", start, end)
    load(client, area, "events", start, end)
    whole = len(watched.requests)
    slow_pages(watched)
    with pytest.raises(Killed):
        load(client, area, "events", start, end, report=kill_after(whole // 2))
    watched.requests.clear()
    again = load(client, area, "events", start, end, now=NOW + timedelta(minutes=5))
    assert sorted(set(again.ids)) == expected
    assert again.staged.progress.resumed_rows > len(expected) // 3
    assert len(watched.requests) <= 0.55 * whole + connections


def test_extract_when_killed_again_and_again_then_comes_to_the_same_rows(
    client: KlaviyoClient, area: StagingArea, sandbox: RunningSandbox, watched: Watched
) -> None:
    page_size(client, "events", 40)
    slow_pages(watched)
    kills = 0
    for pages in (5, 10, 15, 20, 10_000):
        try:
            loaded = load(client, area, "events", START, SHOP_ENDS, report=kill_after(pages))
        except Killed:
            kills += 1
    assert kills == 4
    assert sorted(set(loaded.ids)) == truth(sandbox.store, "events", START, SHOP_ENDS)


@pytest.mark.parametrize("name", ["profiles", "list_profiles", "campaigns", "metrics", "templates", "lists"])
def test_extract_of_any_source_when_killed_then_the_next_run_has_every_row(
    name: str, client: KlaviyoClient, area: StagingArea, sandbox: RunningSandbox, watched: Watched
) -> None:
    if name in ("profiles", "list_profiles", "templates"):
        page_size(client, name, 5)
    slow_pages(watched)
    with pytest.raises(Killed):
        load(client, area, name, report=kill_after(1))
    assert sorted(set(load(client, area, name).ids)) == truth(sandbox.store, name)


def test_events_when_new_ones_came_after_the_kill_then_an_open_window_has_them(
    make_client: Make, area: StagingArea, store: Store, watched: Watched
) -> None:
    client = make_client(max_connections=2)
    page_size(client, "events", 40)
    slow_pages(watched)
    with pytest.raises(Killed):
        load(client, area, "events", START, report=kill_after(20))
    store.put("events", [{"id": "meanwhile", "datetime": (NOW + timedelta(minutes=1)).isoformat()}])
    loaded = load(client, area, "events", START, now=NOW + timedelta(minutes=5))
    assert sorted(set(loaded.ids)) == truth(store, "events", START)
    assert "meanwhile" in loaded.ids


def test_list_when_deleted_between_a_kill_and_the_next_run_then_none_of_its_members_counts(
    make_client: Make, area: StagingArea, store: Store, watched: Watched
) -> None:
    client = make_client(max_connections=1)
    page_size(client, "list_profiles", 20)
    slow_pages(watched)
    with pytest.raises(Killed):
        load(client, area, "list_profiles", report=kill_after(9))
    begun = {request.path.split("/")[3] for request in watched.requests if request.path.endswith("/profiles")}
    assert len(begun) > 1
    for doomed in begun:
        store.delete("lists", doomed)
    loaded = load(client, area, "list_profiles", now=NOW + timedelta(minutes=1))
    assert sorted(set(loaded.ids)) == truth(store, "list_profiles")


def test_window_when_another_than_the_killed_one_then_nothing_of_it_is_taken(
    client: KlaviyoClient, area: StagingArea, sandbox: RunningSandbox, watched: Watched
) -> None:
    page_size(client, "events", 40)
    slow_pages(watched)
    with pytest.raises(Killed):
        load(client, area, "events", START, SHOP_ENDS, report=kill_after(20))
    end = SHOP_ENDS - timedelta(days=1)
    other = load(client, area, "events", START, end)
    assert other.staged.progress.resumed_rows == 0
    assert sorted(other.ids) == truth(sandbox.store, "events", START, end)


def test_extract_when_kept_because_landing_failed_then_the_next_run_asks_for_nothing(
    client: KlaviyoClient, area: StagingArea, sandbox: RunningSandbox, watched: Watched
) -> None:
    load(client, area, "events", START, SHOP_ENDS, keep=True)
    watched.requests.clear()
    again = load(client, area, "events", START, SHOP_ENDS)
    assert watched.requests == []
    assert sorted(again.ids) == truth(sandbox.store, "events", START, SHOP_ENDS)


def test_open_window_when_kept_whole_then_the_next_run_asks_only_for_what_came_since(
    client: KlaviyoClient, area: StagingArea, store: Store, watched: Watched
) -> None:
    load(client, area, "events", START, keep=True)
    store.put("events", [{"id": "meanwhile", "datetime": (NOW + timedelta(minutes=1)).isoformat()}])
    watched.requests.clear()
    again = load(client, area, "events", START, now=NOW + timedelta(minutes=5))
    assert sorted(set(again.ids)) == truth(store, "events", START)
    assert len(watched.requests) == 1


def test_extract_when_landed_then_leaves_nothing_behind_and_the_next_run_reads_anew(
    client: KlaviyoClient, area: StagingArea, watched: Watched
) -> None:
    for _ in range(2):
        watched.requests.clear()
        load(client, area, "profiles")
        assert watched.requests
        assert not [path for path in area.root.iterdir() if path.is_dir()]


PROGRAM = """
import sys
from datetime import datetime
from pathlib import Path
from klaviyo_pipeline.klaviyo.catalogue import revisions
from klaviyo_pipeline.klaviyo.extract import page_reader
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.extract.extract import extract
from klaviyo_pipeline.klaviyo.extract.model import ExtractRequest
from klaviyo_pipeline.klaviyo.client.settings import ClientSettings
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.klaviyo.windows import Window
url, folder, start, end, now = sys.argv[1:]
client = KlaviyoClient("pk_sandbox", ClientSettings(max_connections=3), base_url=url)
page_reader.PAGE_SIZES._refused[client.account, "events", client.revision] = 40
window = Window(*map(datetime.fromisoformat, (start, end, now)))
source = SOURCES["events"]
extract(client, ExtractRequest(source, window, options=source.choose()), StagingArea(Path(folder)))
"""


def test_process_when_killed_with_signal_9_then_the_next_run_goes_on(
    make_client: Make, area: StagingArea, store: Store, watched: Watched
) -> None:
    store.put("events", events_in_ten_minutes(None, None, 1_000))
    client = make_client(max_connections=3)
    page_size(client, "events", 40)
    load(client, area, "events", START, SHOP_ENDS)
    whole = len(watched.requests)
    watched.requests.clear()
    process: list[subprocess.Popen[bytes]] = []

    def kill_at_half(_operation: str, _request: Request) -> None:
        if len(watched.requests) == whole // 2:
            os.kill(process[0].pid, signal.SIGKILL)

    watched.script = kill_at_half
    times = [time.astimezone(UTC).isoformat() for time in (START, SHOP_ENDS, NOW)]
    process.append(subprocess.Popen([sys.executable, "-c", PROGRAM, client.base_url, str(area.root), *times]))
    assert process[0].wait(60) == -signal.SIGKILL
    watched.script = lambda _operation, _request: None
    watched.requests.clear()
    again = load(client, area, "events", START, SHOP_ENDS)
    assert sorted(set(again.ids)) == truth(store, "events", START, SHOP_ENDS)
    assert again.staged.progress.resumed_rows > 0
    assert len(watched.requests) <= 0.55 * whole + 4
