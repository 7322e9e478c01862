"""Collections of records: what a list, its includes, its relationships and its changes hold."""

from collections.abc import Callable

import pytest

from klaviyo_pipeline.sandbox.app import Sandbox
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline_tests.sandbox.client import Client


@pytest.fixture
def own(fresh: Callable[..., Sandbox]) -> Client:
    return Client(fresh())


def test_flows_of_the_history_are_flows_of_the_collection(client: Client, store: Store) -> None:
    flow_ids = {found.flow_id for event in store.events if (found := event.attribution) and found.flow_id}
    live = client.all_ids("/api/flows")
    assert flow_ids <= set(live)
    archived = client.all_ids("/api/flows?filter=equals(archived,true)")
    assert archived
    assert not set(archived) & set(live)


def test_actions_and_messages_of_flows_name_each_other(client: Client) -> None:
    document = client.get("/api/flows?include=flow-actions,tags").json
    actions = {item["id"]: item for item in document["included"] if item["type"] == "flow-action"}
    named = [found["id"] for flow in document["data"] for found in flow["relationships"]["flow-actions"]["data"]]
    assert sorted(named) == sorted(actions)
    sending = next(item for item in actions.values() if item["attributes"]["definition"]["type"] == "send-email")
    message = client.get(f"/api/flow-actions/{sending['id']}/flow-messages").json["data"][0]
    assert message["id"] == sending["attributes"]["definition"]["data"]["message"]["id"]
    assert message["relationships"]["flow-action"]["data"]["id"] == sending["id"]


def test_flows_refuse_future_bounds_and_another_sort(client: Client) -> None:
    answer = client.get("/api/flows?filter=less-than(updated,2099-01-01T00:00:00Z)&sort=updated")
    assert (answer.status, answer.error["source"]) == (400, {"pointer": "updated"})
    assert answer.error["detail"] == "End date may not be in the future: 2099-01-01T00:00:00"
    assert client.get("/api/flows?filter=greater-than(updated,2020-01-01T00:00:00Z)&sort=created").status == 400
    assert client.get("/api/flows?filter=greater-than(updated,2020-01-01T00:00:00Z)&sort=-updated").status == 200


def test_members_of_a_segment_meet_its_definition(client: Client, store: Store) -> None:
    segments = {item["attributes"]["name"]: item["id"] for item in client.get("/api/segments").json["data"]}
    members = client.all_ids(f"/api/segments/{segments['Regulars']}/profiles?page[size]=100")
    assert sorted(members) == sorted(row.id for row in store.profiles if row.orders.number >= 3)
    one = client.get(f"/api/segments/{segments['Regulars']}?additional-fields[segment]=profile_count").json
    assert one["data"]["attributes"]["profile_count"] == len(members)


def test_segment_that_loses_members(own: Client) -> None:
    segment_id = own.get("/api/segments?filter=equals(name,'Customers')").ids[0]
    before = own.all_ids(f"/api/segments/{segment_id}/profiles")
    assert own.send("DELETE", f"/sandbox/segments/{segment_id}/members/{before[0]}").status == 200
    assert own.all_ids(f"/api/segments/{segment_id}/profiles") == before[1:]
    assert segment_id not in own.get(f"/api/profiles/{before[0]}/relationships/segments").ids


def test_flow_that_is_archived_leaves_the_default_list(own: Client) -> None:
    flow_id = own.get("/api/flows").ids[0]
    own.send("POST", "/sandbox/flows", {"id": flow_id, "archived": True, "updated": "2026-11-19T00:00:00Z"})
    assert flow_id not in own.get("/api/flows").ids
    row = next(row for row in own.get("/api/flows?filter=equals(archived,true)").json["data"] if row["id"] == flow_id)
    assert row["attributes"]["updated"] == "2026-11-19T00:00:00+00:00"


def test_tag_removed_from_a_campaign_is_gone_from_both_ends(own: Client) -> None:
    tag_id, campaign_id = next(
        (tag_id, found)
        for tag_id in own.get("/api/tags").ids
        for found in own.get(f"/api/tags/{tag_id}/relationships/campaigns").ids
    )
    assert tag_id in own.get(f"/api/campaigns/{campaign_id}/relationships/tags").ids
    own.send("POST", "/sandbox/campaigns", {"id": campaign_id, "tag_ids": []})
    assert own.get(f"/api/campaigns/{campaign_id}/tags").ids == []
    assert campaign_id not in own.get(f"/api/tags/{tag_id}/relationships/campaigns").ids


def test_records_are_the_same_whenever_they_are_first_asked_for(own: Client, client: Client) -> None:
    own.send("DELETE", f"/sandbox/profiles/{own.get('/api/profiles').ids[0]}")
    for path in ("segments", "flows", "forms", "tags", "custom-metrics", "mapped-metrics", "catalog-items", "reviews"):
        assert own.get(f"/api/{path}").json["data"] == client.get(f"/api/{path}").json["data"]


def test_hidden_images_come_only_when_asked_for(client: Client) -> None:
    shown = client.all_ids("/api/images")
    hidden = client.all_ids("/api/images?filter=equals(hidden,true)")
    assert hidden
    assert sorted([*shown, *hidden]) == sorted(client.all_ids("/api/images?filter=any(hidden,[true,false])"))


def test_coupon_codes_need_a_coupon_or_a_profile(client: Client) -> None:
    assert client.get("/api/coupon-codes").status == 400
    codes = client.all_ids("/api/coupon-codes?filter=equals(coupon.id,'SPRING')&page[size]=7")
    assert sorted(codes) == sorted(client.all_ids("/api/coupons/SPRING/coupon-codes"))


def test_catalog_links_are_the_same_from_both_ends(client: Client) -> None:
    links = {
        (item, category)
        for category in client.all_ids("/api/catalog-categories")
        for item in client.all_ids(f"/api/catalog-categories/{category}/relationships/items")
    }
    assert links == {
        (item, category)
        for item in {item for item, _ in links}
        for category in client.all_ids(f"/api/catalog-items/{item}/relationships/categories")
    }
    category = min(category for _, category in links)
    filtered = client.all_ids(f"/api/catalog-items?filter=equals(category.id,'{category}')")
    assert sorted(filtered) == sorted(item for item, found in links if found == category)


def test_form_type_any_is_a_server_error_as_recorded(client: Client) -> None:
    form_id = client.get("/api/forms").ids[0]
    assert client.get(f"/api/forms/{form_id}/form-versions?filter=any(form_type,['popup'])").status == 500
    assert client.get(f"/api/forms/{form_id}/form-versions?filter=equals(form_type,'popup')").ids


def test_operation_that_klaviyo_has_and_the_sandbox_does_not_says_so(client: Client) -> None:
    answer = client.send("POST", "/api/events", {})
    assert answer.status == 501
    assert answer.error["detail"] == "Klaviyo has POST /api/events, but it is not in the sandbox."


def test_unknown_method_names_those_that_the_path_takes(client: Client) -> None:
    answer = client.send("PUT", "/api/events")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST, HEAD, OPTIONS")
