"""What the order of rows and the edges of slices decide: no row is lost or doubled, whatever the server's pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pyarrow as pa
import pytest

from klaviyo_pipeline.klaviyo.catalogue.revisions import expected_answer
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.decode.arrays import times_within
from klaviyo_pipeline.klaviyo.errors import RequestRefusedError
from klaviyo_pipeline.klaviyo.extract import page_reader
from klaviyo_pipeline.klaviyo.extract.extract import extract
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.sandbox.api.messages import Request, Response
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline_tests.klaviyo.listed import Listed
from klaviyo_pipeline_tests.klaviyo.support import SHOP_ENDS, Watched, load, refusal, request_for, truth

Make = Callable[..., KlaviyoClient]
DAY = SHOP_ENDS - timedelta(days=1)
FIELDS = {"events": "datetime", "profiles": "updated", "templates": "updated"}


def at(hour: int, minute: int = 0, second: int = 0, micros: int = 0) -> datetime:
    return DAY + timedelta(hours=hour, minutes=minute, seconds=second, microseconds=micros)


def page_rows(client: KlaviyoClient, name: str, size: int) -> None:
    page_reader.PAGE_SIZES._refused[client.account, name, expected_answer(client.revision)] = size


def crowded(store: Store, name: str) -> list[str]:
    """Rows of one minute: 15 one second apart, 30 in the next second, 15 one second apart."""
    seconds = [*range(15), *([15] * 30), *range(16, 31)]
    rows = [
        {"id": f"CROWD{number:03d}", FIELDS[name]: at(9, second=second).isoformat()}
        for number, second in enumerate(seconds)
    ]
    store.put(name, rows)
    return [row["id"] for row in rows]


def stop_after(pages: int, watched: Watched) -> None:
    """Answer so many requests and refuse all later ones: the stage is left as a kill leaves it."""
    served = watched.script

    def script(operation: str, request: Request) -> Response | None:
        return refusal(418, "stopped") if len(watched.requests) > pages else served(operation, request)

    watched.script = script


def run_on(watched: Watched, script: Callable[[str, Request], Response | None] | None = None) -> None:
    watched.script = script or (lambda _operation, _request: None)
    watched.requests.clear()


# In the middle of a second


@pytest.mark.parametrize("refused", [2, 3, 4])
@pytest.mark.parametrize("name", FIELDS)
def test_cursor_when_refused_within_a_second_of_many_rows_then_none_of_them_is_lost(
    name: str, refused: int, make_client: Make, area: StagingArea, store: Store, watched: Watched
) -> None:
    crowd = crowded(store, name)
    client = make_client(max_connections=1)
    page_rows(client, name, 10)
    cursors = []

    def refuse_one(_operation: str, request: Request) -> Response | None:
        cursors.append(request.parameters.get("page[cursor]"))
        if len([each for each in cursors if each]) == refused:
            cursors.append("refused")
            return refusal(400, "Invalid cursor provided.", parameter="page[cursor]")
        return None

    watched.script = refuse_one
    loaded = load(client, area, name, at(9), at(10))

    assert "refused" in cursors
    assert sorted(set(loaded.ids)) == truth(store, name, at(9), at(10))
    assert set(crowd) <= set(loaded.ids)


@pytest.mark.parametrize("pages", [2, 3, 4])
@pytest.mark.parametrize("name", FIELDS)
def test_extract_when_stopped_within_a_second_of_many_rows_then_the_next_run_has_all_of_them(
    name: str, pages: int, make_client: Make, area: StagingArea, store: Store, watched: Watched
) -> None:
    crowd = crowded(store, name)
    client = make_client(max_connections=1)
    page_rows(client, name, 10)
    stop_after(pages, watched)
    with pytest.raises(RequestRefusedError, match="stopped"):
        load(client, area, name, at(9), at(10))
    run_on(watched)

    loaded = load(client, area, name, at(9), at(10))

    assert loaded.staged.progress.resumed_rows == 10 * pages
    assert sorted(set(loaded.ids)) == truth(store, name, at(9), at(10))
    assert set(crowd) <= set(loaded.ids)


# Out of order

WITHIN_A_PAGE = ["a", "b", "c", "late", "d", "e"]
ACROSS_PAGES = ["a", "b", "d", "e", "late", "f", "late2", "c"]
TIMES = {"a": 9, "late": 9.5, "late2": 9.75, "b": 10, "c": 13, "d": 14, "e": 15, "f": 16}
"""Hours of the day."""


@pytest.mark.parametrize(
    ("order", "stopped_after"),
    [([*WITHIN_A_PAGE, "late2"], 2), ([*WITHIN_A_PAGE, "late2"], 3), (ACROSS_PAGES, 3)],
)
def test_extract_when_pages_came_out_of_order_and_it_was_stopped_then_the_next_run_has_every_row(
    order: list[str], stopped_after: int, make_client: Make, area: StagingArea, watched: Watched
) -> None:
    client = make_client(max_connections=1)
    listed = Listed([(name, DAY + timedelta(hours=TIMES[name])) for name in order])
    run_on(watched, listed)
    stop_after(stopped_after, watched)
    with pytest.raises(RequestRefusedError, match="stopped"):
        load(client, area, "events", DAY, SHOP_ENDS)
    run_on(watched, listed)

    loaded = load(client, area, "events", DAY, SHOP_ENDS)

    assert sorted(set(loaded.ids)) == sorted(order)


@pytest.mark.parametrize("order", [[*WITHIN_A_PAGE, "late2"], ACROSS_PAGES])
def test_cursor_when_refused_after_pages_out_of_order_then_the_slice_starts_over_from_its_beginning(
    order: list[str], make_client: Make, area: StagingArea, watched: Watched
) -> None:
    listed = Listed([(name, DAY + timedelta(hours=TIMES[name])) for name in order])
    refused: list[str] = []

    def refuse_the_last_page(operation: str, request: Request) -> Response | None:
        cursor = request.parameters.get("page[cursor]", "0")
        if cursor == "6" and not refused:
            refused.append(cursor)
            return refusal(400, "Invalid cursor provided.", parameter="page[cursor]")
        return listed(operation, request)

    run_on(watched, refuse_the_last_page)
    loaded = load(make_client(max_connections=1), area, "events", DAY, SHOP_ENDS)

    assert refused
    assert sorted(set(loaded.ids)) == sorted(order)


@pytest.mark.parametrize(
    "order", [["b", "a", "beyond", "c", "d", "e"], ["a", "d", "b", "c", "beyond", "e"], ["a", "beyond", "b", "c"]]
)
def test_rows_when_they_follow_one_beyond_the_end_on_pages_out_of_order_then_are_still_read(
    order: list[str], make_client: Make, area: StagingArea, watched: Watched
) -> None:
    times = {**TIMES, "beyond": 18}
    run_on(watched, Listed([(name, DAY + timedelta(hours=times[name])) for name in order], page_rows=3, filters=False))

    loaded = load(make_client(max_connections=1), area, "events", at(8), at(17))

    assert sorted(loaded.ids) == sorted({*order} - {"beyond"})


# At the edges of slices

EDGE = at(10)
"""Where the window from 8 to 12 o'clock is cut in two."""


@pytest.mark.parametrize("page", [2, 3, 100])
@pytest.mark.parametrize("connections", [1, 2, 4])
def test_row_exactly_at_an_edge_when_pages_hold_rows_of_other_slices_then_is_staged_exactly_once(
    connections: int, page: int, make_client: Make, area: StagingArea, watched: Watched
) -> None:
    edges = [at(8) + timedelta(hours=4 * part / connections) for part in range(connections + 1)]
    tick = timedelta(microseconds=1)
    rows = {f"{name}-{number}": edge + step for number, edge in enumerate(edges) for name, step in
            (("before", -tick), ("at", timedelta(0)), ("after", tick))}  # fmt: skip
    run_on(watched, Listed(sorted(rows.items(), key=lambda row: row[1]), page_rows=page, filters=False))

    staged = extract(make_client(max_connections=connections), request_for("events", at(8), at(12)), area)

    ids = [identifier for batch in staged.batches() for identifier in batch.column("id").to_pylist()]
    staged.landed()
    inside = sorted(name for name, time in rows.items() if at(8) <= time < at(12))
    assert sorted(ids) == inside


@pytest.mark.parametrize(
    ("start", "end", "inside"),
    [
        (EDGE, at(11), [1, 2, 4]),
        (None, EDGE, [0, 4]),
        (EDGE, None, [1, 2, 3, 4]),
        (None, None, [0, 1, 2, 3, 4]),
        (EDGE, EDGE + timedelta(microseconds=1), [1, 4]),
    ],
)
def test_times_when_compared_with_a_slice_then_it_is_half_open_and_missing_ones_stay(
    start: datetime | None, end: datetime | None, inside: list[int]
) -> None:
    moments = [EDGE - timedelta(microseconds=1), EDGE, at(11) - timedelta(microseconds=1), at(11), None]
    times = pa.array(moments, pa.timestamp("us", "UTC"))

    assert [index for index, kept in enumerate(times_within(times, start, end).to_pylist()) if kept] == inside
