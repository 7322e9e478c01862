"""Klaviyo misbehaves: refused cursors and page sizes, links in a circle, failing pages. No row is lost."""

from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.errors import (
    CursorRefusedError,
    RequestRefusedError,
    UnavailableError,
    UnreadablePageError,
)
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.sandbox.api.messages import Request, Response
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.server import RunningSandbox
from klaviyo_pipeline_tests.klaviyo.support import (
    NOW,
    SHOP_ENDS,
    Watched,
    load,
    page_size,
    refusal,
    truth,
)

Make = Callable[..., KlaviyoClient]


def test_list_when_deleted_while_its_members_are_read_then_none_of_them_counts_and_the_rest_come(
    client: KlaviyoClient, area: StagingArea, store: Store, watched: Watched
) -> None:
    doomed = max(store.members, key=lambda each: len(store.members[each]))
    page_size(client, "list_profiles", 20)
    path = f"/api/lists/{doomed}/profiles"

    def delete_after_the_first_page(_operation: str, request: Request) -> None:
        if request.path == path and "page[cursor]" in request.parameters:
            store.delete("lists", doomed)

    watched.script = delete_after_the_first_page
    loaded = load(client, area, "list_profiles")
    assert [request.path for request in watched.requests].count(path) >= 2
    assert sorted(loaded.ids) == truth(store, "list_profiles")
    assert not any(row["list_id"] == doomed for row in loaded.rows)
    assert loaded.staged.findings.vanished == {doomed}


def refusing_cursors(times: int, after: int = 2) -> Callable[[str, Request], Response | None]:
    left, seen = [times], [0]

    def script(_operation: str, request: Request) -> Response | None:
        if "page[cursor]" not in request.parameters:
            return None
        seen[0] += 1
        if left[0] > 0 and seen[0] > after:
            left[0] -= 1
            return refusal(400, "Invalid cursor provided.", pointer="/data/")
        return None

    return script


@pytest.mark.parametrize(("name", "times"), [("events", 1), ("events", 3), ("profiles", 1), ("templates", 1)])
def test_cursor_when_refused_for_a_while_then_the_slice_starts_over_and_nothing_is_lost(
    name: str, times: int, make_client: Make, area: StagingArea, sandbox: RunningSandbox, watched: Watched
) -> None:
    client = make_client(max_connections=1)
    page_size(client, name, {"events": 200, "profiles": 40, "templates": 5}[name])
    watched.script = refusing_cursors(times)
    assert sorted(set(load(client, area, name).ids)) == truth(sandbox.store, name)


def test_cursor_when_always_refused_then_the_extract_fails_saying_so(
    client: KlaviyoClient, area: StagingArea, watched: Watched
) -> None:
    page_size(client, "profiles", 20)
    watched.script = refusing_cursors(10_000, after=0)
    with pytest.raises(CursorRefusedError, match=r"Profiles: Invalid cursor provided"):
        load(client, area, "profiles")
    assert len(watched.requests) < 60


@pytest.mark.parametrize("connections", [1, 3])
def test_cursor_when_refused_again_and_again_then_the_slice_starts_over_three_times(
    connections: int, make_client: Make, area: StagingArea, watched: Watched
) -> None:
    client = make_client(max_connections=connections)
    page_size(client, "lists", 2)
    watched.script = refusing_cursors(10_000, after=0)

    with pytest.raises(CursorRefusedError, match=r"Lists: Invalid cursor provided"):
        load(client, area, "lists")

    assert [cursor is None for cursor in watched.asked("page[cursor]")] == [True, False] * (1 + 3)


@pytest.mark.parametrize("connections", [1, 8])
def test_page_size_when_refused_then_is_lowered_once_and_remembered(
    connections: int, make_client: Make, area: StagingArea, sandbox: RunningSandbox, watched: Watched
) -> None:
    def only_200(_operation: str, request: Request) -> Response | None:
        if int(request.parameters.get("page[size]", "200")) > 200:
            return refusal(400, "Page size must be an integer between 1 and 200.", parameter="page[size]")
        return None

    watched.script = only_200
    client = make_client(max_connections=connections)
    assert sorted(load(client, area, "events").ids) == truth(sandbox.store, "events")
    assert set(watched.asked("page[size]")) == {"1000", "200"}
    watched.requests.clear()
    load(client, area, "events")
    assert set(watched.asked("page[size]")) == {"200"}


@pytest.mark.parametrize("connections", [1, 8])
def test_page_size_when_the_parameter_itself_is_refused_then_is_left_out(
    connections: int, make_client: Make, area: StagingArea, sandbox: RunningSandbox, watched: Watched
) -> None:
    def none_at_all(_operation: str, request: Request) -> Response | None:
        if "page[size]" in request.parameters:
            return refusal(400, "'page_size' is not a valid query parameter.", parameter="page_size")
        return None

    watched.script = none_at_all
    client = make_client(max_connections=connections)
    start = SHOP_ENDS - timedelta(days=3)
    assert sorted(load(client, area, "events", start).ids) == truth(sandbox.store, "events", start)


def linking(change: Callable[[str, str | None], str | None]) -> Callable[[str, Request, Response], Response]:
    """Alters the next link of every page."""

    def alter(_operation: str, request: Request, response: Response) -> Response:
        if response.status != 200 or b'"links"' not in response.body:
            return response
        document = msgspec.json.decode(response.body)
        document["links"]["next"] = change(request.url(), document["links"]["next"])
        return Response(200, msgspec.json.encode(document), response.headers)

    return alter


def test_next_link_when_it_names_its_own_page_then_the_extract_fails(
    client: KlaviyoClient, area: StagingArea, watched: Watched
) -> None:
    watched.alter = linking(lambda own, _following: own)
    with pytest.raises(UnreadablePageError, match=r"Email templates: .*next link"):
        load(client, area, "templates")
    assert len(watched.requests) < 10


def test_next_links_when_they_lead_round_in_a_circle_then_the_extract_fails(
    client: KlaviyoClient, area: StagingArea, watched: Watched
) -> None:
    second: dict[str, str] = {}

    def back_to_the_second(own: str, following: str | None) -> str | None:
        slice_of_time = parse_qs(urlsplit(own).query).get("filter", [""])[0]
        return second.setdefault(slice_of_time, following) if following else second.get(slice_of_time)

    watched.alter = linking(back_to_the_second)

    def enough(_operation: str, _request: Request) -> Response | None:
        return refusal(418, "asked in circles") if len(watched.requests) > 50 else None

    watched.script = enough
    with pytest.raises(UnreadablePageError, match=r"Email templates: .*next link"):
        load(client, area, "templates")


def test_page_when_empty_but_with_a_next_link_then_the_next_one_is_read(
    client: KlaviyoClient, area: StagingArea, sandbox: RunningSandbox, watched: Watched
) -> None:
    def empty_first(_operation: str, request: Request) -> Response | None:
        if "page[cursor]" in request.parameters:
            return None
        answer = sandbox.app.respond(request, "", sandbox.app._route(request)[1])
        document = msgspec.json.decode(answer.body)
        # The same page again, behind a cursor before its first row.
        cursor = "WyIiLCIiLHRydWVd" if request.path == "/api/metrics" else "Wy0xLCIiLHRydWVd"
        document |= {"data": [], "links": {"self": request.url(), "next": request.url(**{"page[cursor]": cursor})}}
        return Response(200, msgspec.json.encode(document), answer.headers)

    watched.script = empty_first
    assert sorted(load(client, area, "events").ids) == truth(sandbox.store, "events")
    assert any(asked is None for asked in watched.asked("page[cursor]"))


def test_page_when_it_keeps_failing_then_the_extract_fails_and_the_next_run_goes_on(
    make_client: Make, area: StagingArea, sandbox: RunningSandbox, watched: Watched
) -> None:
    client = make_client(max_connections=1, retry_limit=1)
    page_size(client, "profiles", 20)

    def fails_late(_operation: str, _request: Request) -> Response | None:
        return Response(503, b"<html></html>") if len(watched.requests) > 8 else None

    watched.script = fails_late
    with pytest.raises(UnavailableError, match=r"Profiles.*after 2 attempts.*/api/profiles\?"):
        load(client, area, "profiles")
    watched.script = lambda _operation, _request: None
    watched.requests.clear()
    loaded = load(client, area, "profiles")
    assert sorted(set(loaded.ids)) == truth(sandbox.store, "profiles")
    assert loaded.staged.progress.resumed_rows >= 100
    assert len(watched.requests) < 10


def test_page_when_refused_then_all_workers_stop_and_the_first_error_is_the_one_raised(
    make_client: Make, area: StagingArea, watched: Watched
) -> None:
    watched.script = lambda _operation, _request: refusal(400, "Metric IDs ['X'] do not exist.", parameter="filter")
    with pytest.raises(RequestRefusedError, match=r"Events: .*Metric IDs"):
        load(make_client(max_connections=8), area, "events", NOW - timedelta(days=2))
    assert len(watched.requests) <= 8


def test_faults_when_every_third_answer_is_one_then_nothing_is_lost_or_doubled(
    make_client: Make, area: StagingArea, sandbox: RunningSandbox, watched: Watched
) -> None:
    kinds = [
        Response(503, b"<html>no</html>", content_type=b"text/html"),
        Response(429, b"{}", ((b"retry-after", b"0"),)),
        Response(200, b"<html>maintenance</html>", content_type=b"text/html"),
        Response(403, b"<html>challenge</html>", content_type=b"text/html"),
        Response(200, b'{"data":[{"type":"event","id":"cut o'),
    ]

    def every_third(_operation: str, _request: Request) -> Response | None:
        number = len(watched.requests)
        return kinds[number // 3 % len(kinds)] if number % 3 == 0 else None

    watched.script = every_third
    client = make_client(max_connections=4, retry_limit=7)
    page_size(client, "events", 100)
    loaded = load(client, area, "events", SHOP_ENDS - timedelta(days=6))
    assert sorted(loaded.ids) == truth(sandbox.store, "events", SHOP_ENDS - timedelta(days=6))
    assert loaded.staged.traffic.retries > 5
    assert loaded.staged.traffic.throttled > 0


def test_attributes_when_klaviyo_adds_one_then_it_is_kept_and_reported(
    client: KlaviyoClient, area: StagingArea, watched: Watched
) -> None:
    def with_news(_operation: str, _request: Request, response: Response) -> Response:
        return Response(
            200, response.body.replace(b'"attributes":{', b'"attributes":{"novelty":[1],'), response.headers
        )

    watched.alter = with_news
    loaded = load(client, area, "templates")
    assert {row["_extra"] for row in loaded.rows} == {'{"novelty":[1]}'}
    assert set(loaded.staged.findings.unknown) == {"novelty"}
    assert loaded.staged.findings.unknown["novelty"] >= len(loaded.rows)


def test_report_when_an_extract_is_done_then_was_told_of_all_rows(
    client: KlaviyoClient, area: StagingArea, sandbox: RunningSandbox
) -> None:
    told: list[tuple[int, int, int]] = []
    loaded = load(
        client,
        area,
        "profiles",
        report=lambda progress: told.append((progress.pages, progress.rows, progress.slices_running)),
    )
    assert told[-1][1] == len(loaded.rows)
    assert told == sorted(told, key=lambda each: each[:2])
    assert told[-1][2] == 0


def test_links_when_they_name_another_host_then_it_is_not_asked(
    client: KlaviyoClient, area: StagingArea, sandbox: RunningSandbox, watched: Watched
) -> None:
    def elsewhere(_own: str, following: str | None) -> str | None:
        parts = urlsplit(following) if following else None
        return f"https://klaviyo.invalid{parts.path}?{parts.query}" if parts else None

    watched.alter = linking(elsewhere)
    page_size(client, "profiles", 50)
    assert sorted(load(client, area, "profiles").ids) == truth(sandbox.store, "profiles")
    assert any(watched.asked("page[cursor]"))
