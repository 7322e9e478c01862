"""Envelopes, includes, sparse fieldsets, additional fields: what a document holds when it is asked for."""

import pytest

from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline_tests.sandbox.client import BASE, Client


def test_item_links_are_absolute_and_end_in_a_slash(client: Client) -> None:
    event = client.get("/api/events?page[size]=1").json["data"][0]
    root = f"{BASE}/api/events/{event['id']}/"
    assert event["links"] == {"self": root}
    assert event["relationships"]["profile"]["links"] == {
        "self": f"{root}relationships/profile/",
        "related": f"{root}profile/",
    }


def test_links_of_a_document_are_followed_verbatim(client: Client) -> None:
    event = client.get("/api/events?filter=has(profile),has(metric)&page[size]=1").json["data"][0]
    assert client.get(event["links"]["self"]).json["data"]["id"] == event["id"]
    for name in ("profile", "metric"):
        relationship = event["relationships"][name]
        assert client.get(relationship["links"]["related"]).json["data"]["id"] == relationship["data"]["id"]
        assert client.get(relationship["links"]["self"]).json["data"] == relationship["data"]


def test_single_document_has_only_self(client: Client, store: Store) -> None:
    metric_id = next(iter(store.metrics.rows))
    assert client.get(f"/api/metrics/{metric_id}").json["links"] == {"self": f"{BASE}/api/metrics/{metric_id}"}


def test_included_is_there_only_when_asked_for(client: Client, store: Store) -> None:
    assert "included" not in client.get("/api/events").json
    empty = next(list_id for list_id, members in store.members.items() if not len(members))
    assert client.get(f"/api/lists/{empty}?include=flow-triggers").json["included"] == []
    assert client.get(f"/api/lists/{empty}/profiles").json["data"] == []


def test_includes_hold_each_related_once(client: Client) -> None:
    document = client.get("/api/events?include=metric,profile&page[size]=500").json
    included = [(item["type"], item["id"]) for item in document["included"]]
    related = {
        (found["data"]["type"], found["data"]["id"])
        for item in document["data"]
        for found in item["relationships"].values()
        if found["data"]
    }
    assert len(included) == len(set(included))
    assert set(included) == related


def test_attributions_name_the_mail_that_an_order_is_owed_to(client: Client, store: Store) -> None:
    order = next(event for event in store.events if event.attributions)
    document = client.get(f"/api/events/{order.id}?include=attributions").json
    identifiers = document["data"]["relationships"]["attributions"]["data"]
    attribution = document["included"][0]
    assert identifiers == [{"type": "attribution", "id": each["id"]} for each in document["included"]]
    assert [each["id"] for each in identifiers] == [each.id for each in order.attributions]
    assert attribution["relationships"]["event"]["data"]["id"] == order.id
    mail = attribution["relationships"]["attributed-event"]["data"]["id"]
    assert store.events.get(mail) is not None
    assert "attributions" not in client.get(f"/api/events/{order.id}").json["data"]["relationships"]


def test_relationships_of_nothing_are_null(client: Client, store: Store) -> None:
    nobodys = next(event.id for event in store.events if event.profile_id is None)
    document = client.get(f"/api/events/{nobodys}?include=profile").json
    assert document["data"]["relationships"]["profile"]["data"] is None
    assert client.get(f"/api/events/{nobodys}/profile").json["data"] is None
    assert Client(client.app, "2025-01-15").get(f"/api/events/{nobodys}/profile").status == 404


def test_sparse_fieldsets_leave_what_was_asked_for(client: Client) -> None:
    document = client.get(
        "/api/events?fields[event]=uuid,datetime&fields[metric]=name&fields[profile]=email,location.city"
        "&include=metric,profile&page[size]=50"
    ).json
    assert {tuple(item["attributes"]) for item in document["data"]} == {("datetime", "uuid")}
    assert all("relationships" in item for item in document["data"])
    for item in document["included"]:
        if item["type"] == "metric":
            assert list(item["attributes"]) == ["name"]
        else:
            assert set(item["attributes"]) == {"email", "location"}
            assert list(item["attributes"]["location"]) == ["city"]


@pytest.mark.parametrize("query", ["fields[event]=nope", "fields[event]=uuid.x", "fields[list]=name"])
def test_unknown_fieldset_is_400(client: Client, query: str) -> None:
    answer = client.get(f"/api/events?{query}")
    assert answer.status == 400
    assert answer.error["source"]["parameter"].startswith("fields[")


def test_unknown_include_is_worded_as_recorded(client: Client) -> None:
    answer = client.get("/api/events?include=profiless")
    assert answer.error["detail"] == "'profiless' is not an allowed include parameter for this resource."
    assert answer.error["source"] == {"parameter": "include"}


def test_additional_fields_come_only_when_asked_for(client: Client) -> None:
    plain = client.get("/api/profiles?page[size]=1").json["data"][0]["attributes"]
    assert not {"subscriptions", "predictive_analytics"} & set(plain)
    more = client.get("/api/profiles?page[size]=1&additional-fields[profile]=subscriptions,predictive_analytics").json[
        "data"
    ][0]["attributes"]
    assert set(more) - set(plain) == {"subscriptions", "predictive_analytics"}
    assert client.get("/api/profiles?additional-fields[profile]=everything").status == 400


def test_members_carry_when_they_joined(client: Client, store: Store) -> None:
    list_id = max(store.members, key=lambda found: len(store.members[found]))
    member = client.get(f"/api/lists/{list_id}/profiles?page[size]=1").json["data"][0]
    assert member["attributes"]["joined_group_at"].endswith("+00:00")
    assert "conversation" in member["relationships"]
    assert "conversations" not in member["relationships"]


@pytest.mark.parametrize(
    ("path", "status", "detail", "pointer"),
    [
        ("metrics/NOPE01", 404, "Metric with id NOPE01 does not exist.", "/data/"),
        ("lists/NOPE01", 404, "A list with id `NOPE01` does not exist.", "/data/"),
        ("lists/NOPE01/profiles", 404, "A list with id `NOPE01` does not exist.", "/data/"),
        ("profiles/NOPE01", 404, "A profile with id NOPE01 does not exist.", "/data/"),
        ("templates/NOPE01", 404, "Template with id 'NOPE01' does not exist", "/data/"),
        ("campaigns/NOPE01", 404, "A campaign with id 'NOPE01' does not exist.", "/data/"),
        ("accounts/NOPE01", 404, "Account with id NOPE01 not found.", "/data/"),
        ("events/NOPE01", 400, "Invalid Event ID: 'NOPE01'", "/data/id"),
    ],
)
def test_missing_rows_are_worded_as_recorded(client: Client, path: str, status: int, detail: str, pointer: str) -> None:
    answer = client.get(f"/api/{path}")
    assert answer.status == status
    assert answer.error["detail"] == detail
    assert answer.error["source"] == {"pointer": pointer}


def test_paths_with_and_without_a_trailing_slash(client: Client) -> None:
    assert client.get("/api/metrics/").ids == client.get("/api/metrics").ids
    assert client.get("/api/metrics/").json["links"]["self"] == f"{BASE}/api/metrics/"


def test_unserved_path_is_404_and_method_405(client: Client) -> None:
    assert client.get("/api/nothing").status == 404
    assert client.get("/elsewhere").status == 404
    assert client.send("PUT", "/api/events").status == 405
