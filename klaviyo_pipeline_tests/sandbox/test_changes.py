"""Data changed while the server runs: through the admin paths, and on the store."""

from collections.abc import Callable

import pytest

from klaviyo_pipeline.sandbox.app import Sandbox
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.data.tables import SMALL_BATCH
from klaviyo_pipeline_tests.sandbox.client import Client

_WINDOW = "greater-or-equal(datetime,2026-11-21T10:00:00Z),less-than(datetime,2026-11-21T11:00:00Z)"


@pytest.fixture
def own(fresh: Callable[..., Sandbox]) -> Client:
    return Client(fresh())


def _warm(client: Client) -> None:
    """Have the sorted arrays built, so that changes must be worked into them."""
    store = client.app.store
    event = next(found for found in store.events if found.metric_id and found.profile_id)
    client.get(f"/api/events?filter=equals(metric_id,'{event.metric_id}')")
    client.get(f"/api/events?filter=equals(profile_id,'{event.profile_id}')")
    for sort in ("created", "updated", "email", "id"):
        client.get(f"/api/profiles?sort={sort}")


@pytest.mark.parametrize("count", [1, SMALL_BATCH, SMALL_BATCH + 1, 500])
def test_events_are_added_in_their_place(own: Client, count: int) -> None:
    _warm(own)
    metric_id = next(iter(own.app.store.metrics.rows))
    before = len(own.app.store.events)
    rows = [
        {
            "datetime": f"2026-11-21T10:{number % 60:02d}:00Z",
            "metric_id": metric_id,
            "event_properties": {"$value": number},
        }
        for number in range(count)
    ]
    ids = own.send("POST", "/sandbox/events", rows).json["ids"]
    assert len(set(ids)) == count
    assert len(own.app.store.events) == before + count
    found = [
        item
        for page in own.pages(f"/api/events?sort=datetime&filter={_WINDOW},equals(metric_id,'{metric_id}')")
        for item in page.json["data"]
    ]
    assert {item["id"] for item in found} >= set(ids)
    times = [item["attributes"]["timestamp"] for item in found]
    assert times == sorted(times)


def test_event_is_merged_by_id(own: Client) -> None:
    _warm(own)
    event = next(found for found in own.app.store.events if found.profile_id)
    old = own.get(f"/api/events/{event.id}").json["data"]
    own.send("POST", "/sandbox/events", {"id": event.id, "datetime": "2026-11-21T10:30:00Z"})
    new = own.get(f"/api/events/{event.id}").json["data"]
    assert new["attributes"] == old["attributes"] | {
        "datetime": "2026-11-21T10:30:00+00:00",
        "timestamp": new["attributes"]["timestamp"],
    }
    assert new["relationships"] == old["relationships"]
    assert event.id in own.all_ids(f"/api/events?filter={_WINDOW}")
    every = own.all_ids("/api/events?page[size]=1000")
    assert (len(every), every.count(event.id)) == (len(own.app.store.events), 1)


def test_event_is_deleted_everywhere(own: Client) -> None:
    _warm(own)
    event = next(found for found in own.app.store.events if found.profile_id and found.metric_id)
    assert own.send("DELETE", f"/sandbox/events/{event.id}").status == 200
    assert own.send("DELETE", f"/sandbox/events/{event.id}").status == 404
    assert own.get(f"/api/events/{event.id}").status == 404
    for condition in (f"equals(metric_id,'{event.metric_id}')", f"equals(profile_id,'{event.profile_id}')"):
        assert event.id not in own.all_ids(f"/api/events?filter={condition}")


def test_profile_is_merged_by_id(own: Client) -> None:
    _warm(own)
    profile = next(iter(own.app.store.profiles))
    old = own.get(f"/api/profiles/{profile.id}").json["data"]["attributes"]
    change = {
        "id": profile.id,
        "email": "moved@example.com",
        "updated": "2026-11-21T00:00:00Z",
        "properties": {"tier": "gold"},
        "suppressions": [{"reason": "HARD_BOUNCE", "timestamp": "2026-11-20T12:00:00Z"}],
    }
    own.send("POST", "/sandbox/profiles", [change])
    new = own.get(f"/api/profiles/{profile.id}").json["data"]["attributes"]
    assert new == old | {
        "email": "moved@example.com",
        "updated": "2026-11-21T00:00:00+00:00",
        "properties": old["properties"] | {"tier": "gold"},
    }
    assert own.all_ids("/api/profiles?filter=equals(email,'moved@example.com')") == [profile.id]
    assert own.all_ids("/api/profiles?filter=greater-than(updated,2026-11-20T23:59:59Z)") == [profile.id]
    suppressed = "greater-than(subscriptions.email.marketing.suppression.timestamp,2026-11-20T00:00:00Z)"
    assert own.all_ids(f"/api/profiles?filter={suppressed}") == [profile.id]
    for sort in ("created", "updated", "email", "id"):
        assert len(own.all_ids(f"/api/profiles?sort={sort}&page[size]=100")) == len(own.app.store.profiles)


def test_new_profile_joins_and_leaves_a_list(own: Client) -> None:
    profile_id = own.send("POST", "/sandbox/profiles", {"email": "new@example.com"}).json["ids"][0]
    list_id = next(iter(own.app.store.lists.rows))
    joined = {profile_id: "2026-11-21T10:00:00Z"}
    own.send("POST", f"/sandbox/lists/{list_id}/members", joined)
    assert own.get(f"/api/lists/{list_id}/profiles").ids[0] == profile_id
    assert own.get(f"/api/profiles/{profile_id}?include=lists").json["included"][0]["id"] == list_id
    own.send("POST", f"/sandbox/lists/{list_id}/members", {profile_id: "2026-11-22T10:00:00Z"})
    member = own.get(f"/api/lists/{list_id}/profiles?page[size]=1").json["data"][0]
    assert member["attributes"]["joined_group_at"] == "2026-11-22T10:00:00+00:00"
    assert own.send("DELETE", f"/sandbox/lists/{list_id}/members/{profile_id}").json == {"deleted": True}
    assert profile_id not in own.all_ids(f"/api/lists/{list_id}/profiles?page[size]=100")


def test_deleted_profile_leaves_its_lists_while_its_events_stay(own: Client) -> None:
    store = own.app.store
    event = next(found for found in store.events if found.profile_id)
    own.send("DELETE", f"/sandbox/profiles/{event.profile_id}")
    assert own.get(f"/api/profiles/{event.profile_id}").status == 404
    assert own.get(f"/api/events/{event.id}").json["data"]["relationships"]["profile"]["data"] is None
    assert all(event.profile_id not in members.joined for members in store.members.values())


@pytest.mark.parametrize(
    ("collection", "row"),
    [
        ("metrics", {"name": "Tasted Soup"}),
        ("lists", {"name": "Soup lovers", "created": "2026-11-01T00:00:00Z"}),
        ("templates", {"name": "Soup", "html": "<html>soup</html>"}),
        ("campaigns", {"name": "Soup", "channel": "sms", "status": "Sent"}),
    ],
)
def test_small_collections_are_added_to_merged_and_deleted(own: Client, collection: str, row: dict[str, str]) -> None:
    row_id = own.send("POST", f"/sandbox/{collection}", row).json["ids"][0]
    assert own.get(f"/api/{collection}/{row_id}").json["data"]["attributes"]["name"] == row["name"]
    own.send("POST", f"/sandbox/{collection}", {"id": row_id, "name": "Renamed"})
    assert own.get(f"/api/{collection}/{row_id}").json["data"]["attributes"]["name"] == "Renamed"
    own.send("DELETE", f"/sandbox/{collection}/{row_id}")
    assert own.get(f"/api/{collection}/{row_id}").status == 404


def test_deleted_metric_is_unresolvable(own: Client) -> None:
    event = next(found for found in own.app.store.events if found.metric_id)
    own.send("DELETE", f"/sandbox/metrics/{event.metric_id}")
    assert own.get(f"/api/events/{event.id}").json["data"]["relationships"]["metric"]["data"] is None


def test_paging_goes_on_while_rows_are_added(own: Client) -> None:
    before = {event.id for event in own.app.store.events}
    found: list[str] = []
    for number, page in enumerate(own.pages("/api/events?sort=datetime")):
        found += page.ids
        own.app.store.put("events", [{"datetime": f"2026-11-2{number}T00:00:00Z"}])
    assert before <= set(found)
    assert len(found) == len(set(found))


def test_mistakes_are_told(own: Client) -> None:
    for path, payload in (
        ("/sandbox/soups", {}),
        ("/sandbox/events", {"soup": 1}),
        ("/sandbox/profiles", {"updated": "yesterday"}),
        ("/sandbox/lists/NOPE01/members", {"a": "2026-01-01"}),
    ):
        answer = own.send("POST", path, payload)
        assert answer.status == 400
        assert answer.json["error"]
    for method, path in (("GET", "/sandbox/truth/soups"), ("POST", "/sandbox/soups")):
        said = own.send(method, path, {}).json["error"]
        assert "'soups' is not a collection of the sandbox; there are " in said
        assert {"events", "profiles", "flows", "segments"} <= set(said.replace(",", "").split())
    assert own.get("/sandbox/soup").status == 404


@pytest.mark.parametrize("collection", ["events", "profiles", "metrics", "lists", "templates"])
def test_truth_is_what_the_api_answers(client: Client, store: Store, collection: str) -> None:
    truth = client.get(f"/sandbox/truth/{collection}").json
    assert sorted(row["id"] for row in truth) == sorted(client.all_ids(f"/api/{collection}"))


def test_truth_within_a_window(client: Client) -> None:
    window = "since=2026-11-05T00:00:00Z&until=2026-11-06T00:00:00Z"
    truth = client.get(f"/sandbox/truth/events?{window}").json
    filtered = "greater-or-equal(datetime,2026-11-05),less-than(datetime,2026-11-06)"
    assert truth
    assert [row["id"] for row in truth] == client.all_ids(f"/api/events?sort=datetime&filter={filtered}")
    assert client.get("/sandbox/truth/members").json
    assert client.get("/sandbox/truth/campaigns").json
    assert client.get("/sandbox/truth/campaign-messages").json
