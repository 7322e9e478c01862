"""Cursors: the pages together are the collection, once each, in order, whichever way it is sorted."""

from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

import pytest

from klaviyo_pipeline.sandbox.api.catalogue import contract
from klaviyo_pipeline.sandbox.api.query import decode_cursor, encode_cursor
from klaviyo_pipeline.sandbox.api.revisions import LIVING
from klaviyo_pipeline.sandbox.app import Sandbox
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline_tests.sandbox.client import BASE, Client

COLLECTIONS = {
    "profiles": ("get_profiles", "profiles"),
    "lists": ("get_lists", "lists"),
    "templates": ("get_templates", "templates"),
    "campaigns": ("get_campaigns", "campaigns"),
}
SORTED = [
    (name, direction + sort)
    for name, (operation, _) in COLLECTIONS.items()
    for sort in contract(operation, "2026-07-15").sorts  # type: ignore[union-attr]
    for direction in ("", "-")
]


@pytest.mark.parametrize(("collection", "sort"), SORTED)
def test_pages_are_the_collection(client: Client, store: Store, collection: str, sort: str) -> None:
    rows = list(getattr(store, collection))
    filtered = ""
    if collection == "campaigns":
        filtered = "&filter=equals(messages.channel,'email')"
        rows = [row for row in rows if row.channel == "email" and not row.archived]
    found = client.all_ids(f"/api/{collection}?sort={sort}&page[size]=7{filtered}")
    assert len(found) == len(rows)
    assert set(found) == {row.id for row in rows}
    field = sort.removeprefix("-")
    if field in ("created", "updated", "created_at", "updated_at", "id", "name"):
        ordered = sorted(rows, key=lambda row: (getattr(row, field), row.id), reverse=sort.startswith("-"))
        assert found == [row.id for row in ordered]


@pytest.mark.parametrize("sort", ["datetime", "-datetime", "timestamp", "-timestamp"])
@pytest.mark.parametrize("size", [1, 3, 200])
def test_ties_are_neither_lost_nor_doubled(fresh: Callable[..., Sandbox], sort: str, size: int) -> None:
    app = fresh()
    tied = [{"datetime": "2026-11-10T12:00:00Z", "event_properties": {"n": number}} for number in range(20)]
    ids = sorted(app.store.put("events", tied))
    path = f"/api/events?sort={sort}&page[size]={size}&filter="
    path += "greater-or-equal(datetime,2026-11-10T12:00:00Z),less-or-equal(datetime,2026-11-10T12:00:00Z)"
    found = [found for found in Client(app).all_ids(path) if found in ids]
    assert found == (ids[::-1] if sort.startswith("-") else ids)


@pytest.mark.parametrize("sort", ["joined_group_at", "-joined_group_at"])
def test_members_come_in_order_of_joining(client: Client, store: Store, sort: str) -> None:
    for list_id, members in store.members.items():
        expected = [member.profile_id for member in members.sorted]
        for path in ("profiles", "relationships/profiles"):
            found = client.all_ids(f"/api/lists/{list_id}/{path}?sort={sort}&page[size]=11")
            assert found == (expected[::-1] if sort.startswith("-") else expected)


def test_members_within_a_window(client: Client, store: Store) -> None:
    list_id, members = max(store.members.items(), key=lambda item: len(item[1]))
    first, last = members.sorted[10], members.sorted[-10]
    app_times = {
        item["id"]: item["attributes"]["joined_group_at"]
        for page in client.pages(f"/api/lists/{list_id}/profiles?page[size]=100")
        for item in page.json["data"]
    }
    window = (
        f"greater-or-equal(joined_group_at,{app_times[first.profile_id].replace('+00:00', 'Z')}),"
        f"less-than(joined_group_at,{app_times[last.profile_id].replace('+00:00', 'Z')})"
    )
    found = client.all_ids(f"/api/lists/{list_id}/profiles?filter={window}&sort=joined_group_at")
    assert found == [
        member.profile_id for member in members.sorted if first.joined_at <= member.joined_at < last.joined_at
    ]


def test_next_is_self_and_a_cursor_verbatim(client: Client) -> None:
    path = "/api/events?fields%5Bevent%5D=uuid&filter=has%28profile%29&sort=-datetime&page%5Bsize%5D=2"
    links = client.get(path).json["links"]
    assert links["self"] == BASE + path
    assert links["next"].startswith(f"{BASE}{path}&page%5Bcursor%5D=")
    assert links["prev"] is None
    second = client.get(links["next"]).json["links"]
    assert second["self"] == links["next"]
    assert [name for name, _ in parse_qsl(urlsplit(second["next"]).query)].count("page[cursor]") == 1


def test_last_page_has_a_null_next(client: Client) -> None:
    pages = list(client.pages("/api/templates?page[size]=10"))
    assert pages[-1].json["links"] == {
        "self": pages[-1].json["links"]["self"],
        "next": None,
        "prev": None,
    }
    assert len(pages) == 3


@pytest.mark.parametrize("cursor", ["nonsense", "", "W10", "WzEsMiwzXQ", "%2520", "é"])
def test_bad_cursor_is_worded_as_recorded(client: Client, cursor: str) -> None:
    answer = client.get(f"/api/events?page[cursor]={cursor}")
    assert answer.status == 400
    assert answer.error["detail"] == "Invalid cursor provided."
    assert answer.error["source"] == {"pointer": "/data/"}


def test_cursor_of_another_sort_is_refused(client: Client) -> None:
    by_name = encode_cursor(("a name", "an id"))
    assert client.get(f"/api/profiles?sort=created&page[cursor]={by_name}").status == 400
    assert client.get(f"/api/events?page[cursor]={by_name}").status == 400
    by_time = encode_cursor((17, "an id"))
    assert client.get(f"/api/templates?sort=name&page[cursor]={by_time}").status == 400
    assert client.get(f"/api/templates?sort=-updated&page[cursor]={by_time}").status == 200


def test_cursor_round_trip() -> None:
    assert decode_cursor(encode_cursor((17, "ü"))) == (17, "ü")


@pytest.mark.parametrize(
    ("path", "maximum", "since"),
    [
        ("/api/events?", 1000, "2026-01-15"),
        ("/api/profiles?", 100, "2025-01-15"),
        ("/api/lists?", 10, "2026-04-15"),
        ("/api/templates?", 10, "2026-04-15"),
        ("/api/campaigns?filter=equals(messages.channel,'email')&", 100, "2026-04-15"),
        ("/api/metrics?", 0, "never"),
    ],
)
@pytest.mark.parametrize("revision", LIVING)
def test_page_sizes(client: Client, path: str, maximum: int, since: str, revision: str) -> None:
    if revision == "2026-10-15":
        path = path.replace("filter=equals(messages.channel,'email')", "filter=equals(archived,false)")
    client = Client(client.app, revision)
    if revision < since:
        assert client.get(f"{path}page[size]=1").status == 400
        return
    assert len(client.get(f"{path}page[size]=1").ids) == 1
    assert client.get(f"{path}page[size]={maximum}").status == 200
    for size in (0, maximum + 1, -1, "many", ""):
        assert client.get(f"{path}page[size]={size}").status == 400


@pytest.mark.parametrize(
    ("path", "rows"), [("/api/events", 200), ("/api/profiles", 20), ("/api/lists", 10), ("/api/templates", 10)]
)
def test_default_page_sizes(client: Client, path: str, rows: int) -> None:
    for revision in ("2025-01-15", "2026-07-15"):
        assert len(Client(client.app, revision).get(path).ids) == rows


def test_axios_style_page_size_is_refused(client: Client) -> None:
    assert client.get("/api/events?page_size=10").status == 400
