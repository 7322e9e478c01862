"""The filter grammar, and Klaviyo's words for what is wrong."""

import pytest

from klaviyo_pipeline.sandbox.api.catalogue import contract
from klaviyo_pipeline.sandbox.api.contracts import Filterable
from klaviyo_pipeline.sandbox.api.errors import ApiError
from klaviyo_pipeline.sandbox.api.filters import Condition, parse_filter
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.data.times import parse_time
from klaviyo_pipeline_tests.sandbox.client import Client

FIELDS = {
    "name": Filterable("str", ("any", "contains", "equals")),
    "created": Filterable("time", ("greater-than", "less-than")),
    "timestamp": Filterable("int", ("greater-or-equal",)),
    "archived": Filterable("bool", ("equals",)),
    "profile": Filterable("has", ("has",)),
}


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("equals(name,'a')", [("name", "equals", "a")]),
        ('equals(name,"a, \\"b\\" (c)")', [("name", "equals", 'a, "b" (c)')]),
        ("equals(name,'it\\'s')", [("name", "equals", "it's")]),
        ("equals( name , 'a' )", [("name", "equals", "a")]),
        ("any(name,['a',\"b\"])", [("name", "any", ("a", "b"))]),
        ("equals(archived,true)", [("archived", "equals", True)]),
        ("greater-or-equal(timestamp,17)", [("timestamp", "greater-or-equal", 17)]),
        ("has(profile)", [("profile", "has", None)]),
        (
            "greater-than(created,2026-09-01),less-than(created,2026-09-02T00:00:00+02:00)",
            [
                ("created", "greater-than", parse_time("2026-09-01T00:00:00Z")),
                ("created", "less-than", parse_time("2026-09-01T22:00:00Z")),
            ],
        ),
        (
            "and(equals(name,'a'),and(equals(archived,false),has(profile)))",
            [("name", "equals", "a"), ("archived", "equals", False), ("profile", "has", None)],
        ),
    ],
)
def test_expression_is_read(text: str, conditions: list[tuple[object, ...]]) -> None:
    assert parse_filter(text, FIELDS) == tuple(Condition(*found) for found in conditions)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "equals(name)",
        "equals(name,'a'",
        "equals(name,'a)",
        "equals(name,'a') and equals(name,'b')",
        "or(equals(name,'a'),equals(name,'b'))",
        "not(equals(name,'a'))",
        "equals(name,a)",
        "equals(name,['a'])",
        "any(name,'a')",
        "equals(archived,'true')",
        "greater-than(created,'2026-09-01')",
        "greater-than(created,2026-09-01T00:00:00 00:00)",
        "greater-than(created,yesterday)",
        "greater-or-equal(timestamp,2026-09-01)",
        "equals(name,'a'),",
    ],
)
def test_malformed_expression_is_400(text: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse_filter(text, FIELDS)
    assert caught.value.status == 400


def test_wrong_operator_is_worded_as_recorded(client: Client) -> None:
    answer = client.get("/api/campaigns?filter=equals(messages.channel,'email'),equals(name,'x')")
    assert answer.status == 400
    assert answer.error["code"] == "invalid"
    assert answer.error["title"] == "Invalid input."
    assert answer.error["detail"] == (
        "'equals' is not an allowed filter operator for name.  Allowed operators are contains"
    )
    assert answer.error["source"] == {"parameter": "filter"}


def test_unknown_field_is_worded_as_recorded(client: Client) -> None:
    detail = client.get("/api/lists/x/profiles?filter=greater-than(updated,2026-01-01)").error["detail"]
    assert detail == (
        "'updated' is not a filterable field for this resource. The filterable fields on this resource are: "
        "_kx, email, joined_group_at, phone_number, push_token"
    )


@pytest.mark.parametrize("operator", ["greater-or-equal", "less-or-equal", "equals"])
def test_profiles_take_updated_with_strict_operators_only(client: Client, operator: str) -> None:
    answer = client.get(f"/api/profiles?filter={operator}(updated,2026-11-01T00:00:00Z)")
    assert answer.error["detail"].endswith("for updated.  Allowed operators are greater-than, less-than")


def test_unencoded_plus_becomes_a_space_and_400(client: Client) -> None:
    good = "/api/events?filter=greater-than(datetime,2026-11-01T00:00:00%2B00:00)"
    assert client.get(good).status == 200
    assert client.get(good.replace("%2B", "+")).status == 400


def test_unknown_metric_is_worded_as_recorded(client: Client) -> None:
    answer = client.get('/api/events?filter=equals(metric_id,"NOPE01")')
    assert answer.error["detail"] == "Metric IDs ['NOPE01'] do not exist."


@pytest.mark.parametrize("bound", ["greater-than", "greater-or-equal", "less-than", "less-or-equal"])
@pytest.mark.parametrize("fraction", ["", ".000001", ".999999"])
def test_event_bounds_are_exact(client: Client, store: Store, bound: str, fraction: str) -> None:
    events = list(store.events)
    middle = events[len(events) // 2].timestamp
    moment = client.get(f"/api/events/{events[len(events) // 2].id}").json["data"]["attributes"]["datetime"]
    limit = middle + float(f"0{fraction}" if fraction else 0)
    compare = {
        "greater-than": lambda at: at > limit,
        "greater-or-equal": lambda at: at >= limit,
        "less-than": lambda at: at < limit,
        "less-or-equal": lambda at: at <= limit,
    }[bound]
    expected = [event.id for event in events if compare(event.timestamp)]
    filtered = f"{bound}(datetime,{moment.replace('+00:00', fraction + 'Z')})"
    assert client.all_ids(f"/api/events?sort=datetime&page[size]=1000&filter={filtered}") == expected
    if not fraction:
        filtered = f"{bound}(timestamp,{middle})"
        assert client.all_ids(f"/api/events?sort=timestamp&page[size]=1000&filter={filtered}") == expected


def test_events_by_metric_and_profile(client: Client, store: Store) -> None:
    event = next(found for found in store.events if found.metric_id and found.profile_id)
    expected = [
        found.id
        for found in store.events
        if found.metric_id == event.metric_id and found.profile_id == event.profile_id
    ]
    conditions = f"equals(metric_id,'{event.metric_id}'),equals(profile_id,'{event.profile_id}')"
    assert client.all_ids(f"/api/events?sort=datetime&filter={conditions}") == expected
    by_profile = client.all_ids(f"/api/events?sort=datetime&filter=equals(profile_id,'{event.profile_id}')")
    assert set(expected) <= set(by_profile)


def test_has_leaves_out_the_unresolvable(client: Client, store: Store) -> None:
    everything = {event.id for event in store.events}
    nobody = {event.id for event in store.events if event.profile_id is None}
    unknown = {event.id for event in store.events if event.metric_id is None}
    assert nobody
    assert unknown
    path = "/api/events?page[size]=1000&filter="
    assert set(client.all_ids(path + "has(profile)")) == everything - nobody
    assert set(client.all_ids(path + "has(metric)")) == everything - unknown
    assert set(client.all_ids(path + "has(metric),has(profile)")) == everything - unknown - nobody


def test_events_of_unresolvable_metrics_are_left_out_before_2026_07_15(client: Client, store: Store) -> None:
    older = set(Client(client.app, "2026-04-15").all_ids("/api/events?page[size]=1000"))
    assert older == {event.id for event in store.events if event.metric_id is not None}


def test_profiles_by_id_email_and_suppression(client: Client, store: Store) -> None:
    rows = list(store.profiles)[:5]
    ids = ",".join(f'"{row.id}"' for row in rows)
    assert client.all_ids(f"/api/profiles?filter=any(id,[{ids}])") == sorted(row.id for row in rows)
    assert client.all_ids(f"/api/profiles?filter=equals(email,'{rows[0].email}')") == [rows[0].id]
    field = "subscriptions.email.marketing.suppression"
    expected = {
        row.id
        for row in store.profiles
        if any(found.reason == "UNSUBSCRIBE" and found.list_id is None for found in row.suppressions)
    }
    assert expected
    assert set(client.all_ids(f"/api/profiles?filter=equals({field}.reason,'UNSUBSCRIBE')")) == expected
    timed = f"equals({field}.reason,'UNSUBSCRIBE'),greater-than({field}.timestamp,2020-01-01T00:00:00Z)"
    assert set(client.all_ids(f"/api/profiles?filter={timed}&sort={field}.timestamp")) == expected
    of_list = "subscriptions.email.marketing.list_suppressions"
    mixed = f"equals({field}.reason,'UNSUBSCRIBE'),equals({of_list}.list_id,'X')"
    assert client.get(f"/api/profiles?filter={mixed}").status == 400
    assert client.get(f"/api/profiles?filter=equals({of_list}.reason,'UNSUBSCRIBE')").status == 400


def test_campaigns_need_a_channel_up_to_2026_07_15(client: Client, store: Store) -> None:
    for path in ("/api/campaigns", "/api/campaigns?filter=equals(messages.channel,'fax')"):
        answer = client.get(path)
        assert (answer.status, answer.error["source"]) == (400, {"parameter": "filter"})
    assert Client(client.app, "2026-10-15").get("/api/campaigns").status == 200


@pytest.mark.parametrize("channel", ["email", "sms", "mobile_push"])
def test_campaigns_without_archived_are_those_not_archived(client: Client, store: Store, channel: str) -> None:
    path = f"/api/campaigns?filter=equals(messages.channel,'{channel}')"
    of_channel = [row for row in store.campaigns if row.channel == channel]
    assert client.all_ids(path) == sorted(row.id for row in of_channel if not row.archived)
    archived = client.all_ids(path + ",equals(archived,true)")
    assert archived == sorted(row.id for row in of_channel if row.archived)


def test_any_status_and_contains(client: Client, store: Store) -> None:
    path = "/api/campaigns?filter=equals(messages.channel,'email'),"
    found = client.get(path + "any(status,['Draft','Scheduled','Cancelled'])").json["data"]
    assert all(item["attributes"]["status"] != "Sent" for item in found)
    named = client.get(path + "contains(name,'SALE')").json["data"]
    assert all("sale" in item["attributes"]["name"].lower() for item in named)


def test_metrics_by_category_find_nothing(client: Client, store: Store) -> None:
    assert client.all_ids("/api/metrics?filter=equals(integration.category,'API')") == []
    of_api = client.all_ids("/api/metrics?filter=equals(integration.name,'API')")
    assert of_api == sorted(row.id for row in store.metrics if row.integration["name"] == "API")


def test_has_metric_is_refused_before_2026_04_15() -> None:
    taken = contract("get_events", "2026-01-15")
    assert taken is not None
    assert "metric" not in taken.filters
