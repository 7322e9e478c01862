"""Every endpoint's answers, and its errors, hold against the OpenAPI document of the revision."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from klaviyo_pipeline.sandbox.api.catalogue import Contract, contract
from klaviyo_pipeline.sandbox.api.fieldsets import allowed_fields
from klaviyo_pipeline.sandbox.app import Sandbox
from klaviyo_pipeline.sandbox.data.kinds import BY_PATH
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline_tests.cases import case
from klaviyo_pipeline_tests.sandbox import openapi
from klaviyo_pipeline_tests.sandbox.client import Client
from klaviyo_pipeline_tests.sandbox.reporting import report_question
from klaviyo_pipeline_tests.sandbox.served import SERVED

pytestmark = pytest.mark.skipif(not openapi.DOCUMENTS.exists(), reason="no OpenAPI documents beside the repository")

REVISIONS = tuple(openapi.FILES)
OPERATIONS = [
    (revision, endpoint)
    for revision in REVISIONS
    for endpoint in SERVED
    if contract(endpoint.operation, revision) is not None
]
COLLECTIONS = sorted({(revision, endpoint.path.split("/")[0]) for revision, endpoint in OPERATIONS})
each_revision = pytest.mark.parametrize("revision", REVISIONS)
each_collection = pytest.mark.parametrize(("revision", "collection"), COLLECTIONS)


def _of(revision: str, collection: str) -> list[Any]:
    """The endpoints of a collection in a revision."""
    return [found for known, found in OPERATIONS if (known, found.path.split("/")[0]) == (revision, collection)]


def _taken(revision: str) -> Iterator[tuple[Any, Contract, dict[str, Any]]]:
    """The endpoints of a revision, with what the catalogue and what the document says they take."""
    for found, endpoint in OPERATIONS:
        taken = contract(endpoint.operation, revision) if found == revision else None
        if taken is not None:
            path = openapi.path_of(revision, endpoint.path)
            yield endpoint, taken, openapi.parameters(revision, path, endpoint.method.lower())


@cache
def _ids(store: Store) -> dict[str, list[str]]:
    """Ids to ask for, by collection: ordinary rows and the odd ones."""
    events = list(store.events)
    odd = [event.id for event in events if event.metric_id is None or event.profile_id is None]
    attributed = [event.id for event in events if event.attribution]
    messages = [message.id for campaign in store.campaigns for message in campaign.messages]
    records = {
        path: list(store.records(kind.type).rows)[:6] for path, kind in BY_PATH.items() if store.has_records(kind.type)
    }
    return records | {
        "accounts": [store.account["id"]],
        "metrics": list(store.metrics.rows),
        "events": [events[0].id, *odd, *attributed[:2]],
        "profiles": list(store.profiles.rows)[:20],
        "lists": list(store.lists.rows),
        "templates": list(store.templates.rows)[:5],
        "campaigns": list(store.campaigns.rows),
        "campaign-messages": messages,
    }


def _is_odd_event(store: Store, event_id: str) -> bool:
    event = store.events.get(event_id)
    return event is not None and (event.metric_id is None or event.profile_id is None)


def _queries(revision: str, operation: str) -> list[str]:
    """Requests with everything the operation takes."""
    taken = contract(operation, revision)
    assert taken is not None
    parts = []
    if taken.includes:
        parts.append("include=" + ",".join(taken.includes))
    for resource, names in taken.additional.items():
        parts.append(f"additional-fields[{resource}]=" + ",".join(names))
    if operation == "get_campaigns" and revision < "2026-10-15":
        return [
            "&".join([f"filter=equals(messages.channel,'{channel}'),equals(archived,{archived})", *more])
            for channel in ("email", "sms", "mobile_push")
            for archived in ("true", "false")
            for more in ([], parts)
        ]
    if operation == "get_coupon_codes":
        return ["&".join(["filter=any(coupon.id,['WELCOME10','SPRING'])", *more]) for more in ([], parts)]
    if operation == "get_campaigns":
        return [f"filter=equals(archived,{archived})&" + "&".join(parts) for archived in ("true", "false")]
    return ["", "&".join(parts)] if parts else [""]


WITHOUT_ROWS = ("get_image_for_campaign_message", "get_image_id_for_campaign_message")
"""No message of the shop has an image."""


@each_collection
def test_answers_hold_against_the_document(app: Sandbox, store: Store, revision: str, collection: str) -> None:
    for endpoint in _of(revision, collection):
        if endpoint.operation not in WITHOUT_ROWS:
            with case(endpoint.operation):
                _assert_answers_hold(app, store, revision, endpoint)


def _assert_answers_hold(app: Sandbox, store: Store, revision: str, endpoint: Any) -> None:
    client = Client(app, revision)
    path = "/api/" + endpoint.path
    ids = _ids(store)[endpoint.path.split("/")[0]] if "{id}" in path else [""]
    if revision == "2025-01-15" or endpoint.operation == "get_profile_for_event":
        # null is not for 2025-01-15; of the profile, 2026-07-15 allows it, while the SDK's model doesn't
        ids = [found for found in ids if not _is_odd_event(store, found)]
    if endpoint.method == "POST":
        question = _aggregate_question(store)
        if endpoint.path.endswith("-reports"):
            question = report_question(store, endpoint.path)
        answers = [client.send("POST", path, question)]
    else:
        answers = [
            client.get(f"{path.replace('{id}', found)}?{query}")
            for found in ids
            for query in _queries(revision, endpoint.operation)
        ]
    if revision == "2025-01-15" and endpoint.path.count("/") > 1:  # what a row isn't related to is no null there
        answers = [answer for answer in answers if answer.status != 404]
    assert answers
    path = openapi.path_of(revision, endpoint.path)
    for answer in answers:
        assert answer.status == 200, answer.content
        assert answer.headers["content-type"] == "application/vnd.api+json"
        openapi.check(revision, path, endpoint.method, 200, answer.json)
        _assert_documented_attributes(revision, path, endpoint.method, answer.json["data"])


def _assert_documented_attributes(revision: str, path: str, method: str, data: Any) -> None:
    """No attribute that `fields[type]` doesn't name (screenshot_url is in the models, but not in the list)."""
    for item in data if isinstance(data, list) else [data]:
        fields = openapi.parameters(revision, path, method.lower()).get(f"fields[{(item or {}).get('type')}]")
        if fields is not None:
            unknown = set(item["attributes"]) - set(openapi.enumeration(fields)) - {"screenshot_url"}
            assert not unknown


def _aggregate_question(store: Store) -> dict[str, Any]:
    return {
        "data": {
            "type": "metric-aggregate",
            "attributes": {
                "metric_id": next(iter(store.metrics.rows)),
                "measurements": ["count", "sum_value", "unique"],
                "filter": ["greater-or-equal(datetime,2026-11-01)", "less-than(datetime,2026-11-20)"],
            },
        }
    }


@each_collection
def test_errors_hold_against_the_document(app: Sandbox, revision: str, collection: str) -> None:
    for endpoint in _of(revision, collection):
        with case(endpoint.operation):
            _assert_errors_hold(app, revision, endpoint)


def _assert_errors_hold(app: Sandbox, revision: str, endpoint: Any) -> None:
    path = openapi.path_of(revision, endpoint.path)
    address = "/api/" + endpoint.path.replace("{id}", "NOPE01")
    for key, query in ((None, ""), ("wrong", ""), ("pk_sandbox", "?unheard=of")):
        answer = Client(app, revision, key).send(endpoint.method, address + query, {})
        assert answer.status in (400, 401)
        openapi.check(revision, path, endpoint.method, answer.status, answer.json)
    if "{id}" in endpoint.path:
        answer = Client(app, revision).send(endpoint.method, address)
        assert answer.status in (400, 404)
        openapi.check(revision, path, endpoint.method, answer.status, answer.json)


@each_revision
def test_the_catalogue_takes_what_the_document_says(revision: str) -> None:
    for endpoint, taken, parameters in _taken(revision):
        with case(endpoint.operation):
            _assert_taken(endpoint, taken, parameters)


def _assert_taken(endpoint: Any, taken: Contract, parameters: dict[str, Any]) -> None:
    documented = parameters.get("filter", {}).get("description", "")
    assert {name: set(found.operators) for name, found in taken.filters.items()} == {
        name: set(re.findall(r"`([^`]+)`", operators))
        for name, operators in re.findall(r"<br>`([^`]+)`: ((?:`[^`]+`(?:, )?)+)", documented)
    }
    sorts = openapi.enumeration(parameters["sort"]) if "sort" in parameters else []
    assert set(taken.sorts) == {name for name in sorts if not name.startswith("-")}
    includes = openapi.enumeration(parameters["include"]) if "include" in parameters else []
    assert set(taken.includes) == set(includes)
    additional = {
        name[len("additional-fields[") : -1]: set(openapi.enumeration(found))
        for name, found in parameters.items()
        if name.startswith("additional-fields")
    }
    assert {name: set(found) for name, found in taken.additional.items()} == additional
    assert ("page[cursor]" in parameters) == (taken.page is not None and endpoint.operation != "get_accounts")
    size = parameters.get("page[size]", {}).get("schema")
    if size is None:
        assert taken.page is None or not taken.page.settable
    else:
        assert taken.page is not None
        assert (taken.page.default, 1, taken.page.maximum) == (size["default"], size["minimum"], size["maximum"])


@each_revision
def test_the_limits_and_scopes_are_the_documents(revision: str) -> None:
    windows = r"Burst: `(\d+)/s`.*?Steady: `(\d+)/m`(?:<br>Daily: `(\d+)/d`)?"
    for endpoint, taken, _ in _taken(revision):
        operation = openapi.document(revision)["paths"][openapi.path_of(revision, endpoint.path)][
            endpoint.method.lower()
        ]
        limits = [
            tuple(int(number) for number in found if number)
            for found in re.findall(windows, operation["description"], re.DOTALL)
        ]
        with case(endpoint.operation):
            assert taken.limit == limits[0]
            if endpoint.operation != "get_profile_ids_for_list":  # its lower limit names a parameter it doesn't take
                assert sorted(taken.lowered.values()) == sorted(limits[1:])
            assert set(taken.scopes) == set(operation["x-klaviyo-scopes"])


@each_revision
def test_sparse_fieldsets_take_the_documented_names(revision: str) -> None:
    for endpoint, taken, parameters in _taken(revision):
        for name, parameter in parameters.items():
            if not name.startswith("fields["):
                continue
            resource = name[len("fields[") : -1]
            if (resource, revision) == ("campaign", "2026-10-15") and "messages" in endpoint.operation:
                continue  # the derived document lists the names of 2026-07-15 here
            if (resource, endpoint.path.split("/")[0]) == ("flow-message", "translations"):
                continue  # and here those of 2025-07-15
            more = set(taken.additional.get(resource, ()))
            names = {found for found in openapi.enumeration(parameter) if found.partition(".")[0] not in more}
            with case(endpoint.operation, name):
                assert names == allowed_fields(resource, taken, revision) - more


@each_revision
def test_every_documented_fieldset_type_is_taken(revision: str) -> None:
    for endpoint, taken, parameters in _taken(revision):
        documented = {name[len("fields[") : -1] for name in parameters if name.startswith("fields[")}
        with case(endpoint.operation):
            assert set(taken.types) == documented


def test_metric_aggregates_are_grouped_by_every_documented_dimension(client: Client, store: Store) -> None:
    schemas = openapi.document("2026-07-15")["components"]["schemas"]
    question = schemas["MetricAggregateQueryResourceObject"]["properties"]["attributes"]["properties"]
    dimensions = next(
        option["items"]["enum"] for option in (question["by"], *question["by"].get("anyOf", ())) if "items" in option
    )
    assert len(dimensions) == 36
    attributes = {
        "metric_id": next(iter(store.metrics.rows)),
        "measurements": ["count"],
        "filter": ["greater-or-equal(datetime,2026-11-18)", "less-than(datetime,2026-11-20)"],
    }
    for dimension in dimensions:
        body = {"data": {"type": "metric-aggregate", "attributes": {**attributes, "by": [dimension]}}}
        assert client.send("POST", "/api/metric-aggregates", body).status == 200, dimension
