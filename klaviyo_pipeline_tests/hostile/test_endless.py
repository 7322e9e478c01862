"""Pages that always name a next one: the load ends with an error of ours, whatever the pages hold."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from klaviyo_pipeline.klaviyo.catalogue.revisions import shape_of
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.client.rate_limits import EndpointLimit
from klaviyo_pipeline.klaviyo.client.settings import ClientSettings
from klaviyo_pipeline.klaviyo.errors import UnreadablePageError
from klaviyo_pipeline.klaviyo.extract import paging
from klaviyo_pipeline.klaviyo.extract.progress import MOST_NAMES, OTHER_NAMES
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline_tests.breadth import few
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.hostile.server import WireServer, next_page, pages, serving
from klaviyo_pipeline_tests.klaviyo.support import load

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(minutes=5)
MOST = 25


@pytest.fixture
def server() -> Iterator[WireServer]:
    yield from serving()


@pytest.fixture
def client(server: WireServer, monkeypatch: pytest.MonkeyPatch) -> KlaviyoClient:
    monkeypatch.setattr(EndpointLimit, "reserve", lambda _self: 0.0)
    settings = ClientSettings(max_pages_without_rows=MOST, max_connections=1, retry_limit=1)
    return KlaviyoClient("pk_hostile", settings, base_url=server.url)


def event(number: int, seconds: float) -> dict[str, Any]:
    time = START + timedelta(seconds=seconds)
    attributes = {"timestamp": int(time.timestamp()), "datetime": time.isoformat(), "event_properties": {}, "uuid": "u"}
    return {"type": "event", "id": f"e{number}", "attributes": attributes}


def metric(number: int) -> dict[str, Any]:
    return {"type": "metric", "id": f"m{number}", "attributes": {"name": "n"}}


ENDLESS: dict[str, tuple[str, Callable[[int], list[dict[str, Any]]]]] = {
    "no rows": ("events", lambda _page: []),
    "the same rows": ("events", lambda _page: [event(1, 10), event(2, 10)]),
    "rows in a circle": ("events", lambda page: [event(page % 5, page % 5)]),
    "rows in a long circle": ("events", lambda page: [event(page % 300, page % 300)]),
    "rows of one time, over and over": ("events", lambda page: [event(page % 7, 10)]),
    "the same row before the slice": ("events", lambda _page: [event(1, -10)]),
    "no rows of a source without times": ("metrics", lambda _page: []),
    "the same rows of a source without times": ("metrics", lambda _page: [metric(1), metric(2)]),
    "a circle in a source without times": ("metrics", lambda page: [metric(page % 90)]),
}


@pytest.mark.parametrize("what", few(sorted(ENDLESS), 5))
def test_next_links_when_each_is_new_but_the_rows_are_not_then_the_load_ends_with_an_error(
    what: str, server: WireServer, client: KlaviyoClient, tmp_path: Path
) -> None:
    name, rows = ENDLESS[what]
    asked = 0

    def page(number: int, target: str) -> bytes:
        nonlocal asked
        asked = number + 1
        link = f"https://a.klaviyo.com{next_page(target, number)}"
        return json.dumps({"data": rows(number), "links": {"next": link}}).encode()

    server.then(pages(page))
    window = (START, END) if name == "events" else (None, None)
    with pytest.raises(UnreadablePageError, match=rf"{MOST} pages in a row brought no new row.*max_pages_without_rows"):
        load(client, StagingArea(tmp_path), name, *window)
    assert asked < 1000


def test_next_links_when_new_rows_of_one_time_never_end_then_the_load_ends_with_an_error(
    server: WireServer, client: KlaviyoClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "MOST_PAGES_AT_ONE_TIME", 100)

    def page(number: int, target: str) -> bytes:
        return json.dumps({"data": [event(number, 10)], "links": {"next": next_page(target, number)}}).encode()

    server.then(pages(page))
    with pytest.raises(UnreadablePageError, match=r"100 pages in a row lead to no later time"):
        load(client, StagingArea(tmp_path), "events", START, END)


def test_pages_when_some_have_no_new_row_but_fewer_than_allowed_then_all_rows_land(
    server: WireServer, client: KlaviyoClient, tmp_path: Path
) -> None:
    last = 4 * MOST

    def page(number: int, target: str) -> bytes:
        rows = [event(number, number)] if number % (MOST - 1) == 0 else [event(0, 0)] if number % 2 else []
        link = None if number == last else next_page(target, number)
        return json.dumps({"data": rows, "links": {"next": link}}).encode()

    server.then(pages(page))
    loaded = load(client, StagingArea(tmp_path), "events", START, END)
    assert set(loaded.ids) == {f"e{number}" for number in range(0, last + 1, MOST - 1)}


def test_next_link_when_it_leads_back_then_the_load_ends_at_once(
    server: WireServer, client: KlaviyoClient, tmp_path: Path
) -> None:
    def page(number: int, target: str) -> bytes:
        return json.dumps({"data": [event(number, number)], "links": {"next": next_page(target, number % 3)}}).encode()

    server.then(pages(page))
    with pytest.raises(UnreadablePageError, match=r"leads back"):
        load(client, StagingArea(tmp_path), "events", START, END)


def test_names_when_a_server_makes_them_up_then_few_are_remembered(
    server: WireServer, client: KlaviyoClient, tmp_path: Path
) -> None:
    def page(number: int, target: str) -> bytes:
        row = event(number, number)
        row["attributes"] |= {f"new_{number}_{i}_{'x' * 500}": i for i in range(100)}
        return json.dumps(
            {"data": [row], "links": {"next": next_page(target, number) if number < 20 else None}}
        ).encode()

    server.then(pages(page))
    loaded = load(client, StagingArea(tmp_path), "events", START, END)
    unknown = loaded.staged.findings.unknown
    assert len(unknown) == MOST_NAMES + 1
    assert unknown[OTHER_NAMES] == 21 * 100 - MOST_NAMES
    assert max(map(len, unknown)) <= 200
    assert all(len(json.loads(row["_extra"])) == 100 for row in loaded.rows)


def test_columns_when_an_unknown_revision_answers_then_are_those_of_the_newest_known_before_it() -> None:
    for source in CORE.values():
        for column in source.columns:
            for revision in ("2022-11-01", "2024-12-31", "2025-01-15", "2026-08-01", "2026-10-16", "2031-01-01.pre"):
                assert column.in_revision(revision) == column.in_revision(shape_of(revision))
