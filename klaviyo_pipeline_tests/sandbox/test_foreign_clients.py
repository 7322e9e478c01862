"""Clients that others wrote read every collection of the sandbox to its last page: dlt's `rest_api`, and Klaviyo's SDK.

Both are asked for all rows of a collection, and compared with what the sandbox has.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from klaviyo_api import KlaviyoAPI

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.sandbox.admin import truth
from klaviyo_pipeline.sandbox.api.contracts import in_force
from klaviyo_pipeline.sandbox.data.kinds import BY_PATH, BY_TYPE
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.server import RunningSandbox
from klaviyo_pipeline_tests.sandbox.served import SERVED

STABLE, NEWEST = "2026-07-15", "2026-10-15"
_BY_CHANNEL = tuple(f"equals(messages.channel,'{each}')" for each in ("email", "sms", "mobile_push"))
_ARCHIVED = ("equals(archived,true)", "equals(archived,false)")


def collections(revision: str) -> dict[str, str]:
    """The collections of the sandbox: path to operation."""
    found = {}
    for endpoint in SERVED:
        contract = in_force(endpoint, revision)
        whole = endpoint.method == "GET" and "{" not in endpoint.path and endpoint.path != "accounts"
        if contract is not None and whole:
            found[endpoint.path] = endpoint.operation
    return found


def filters(store: Store, path: str, revision: str) -> tuple[str | None, ...]:
    """What to ask one after another to have all rows of a collection."""
    if path == "campaigns" and revision == STABLE:
        return tuple(f"{channel},{archived}" for channel in _BY_CHANNEL for archived in _ARCHIVED)
    if path == "campaigns" or path == "flows":
        return _ARCHIVED
    if path == "images":
        return ("equals(hidden,true)", "equals(hidden,false)")
    if path == "coupon-codes":
        return tuple(f'equals(coupon.id,"{row["id"]}")' for row in truth(store, "coupons"))
    return (None,)


def true_ids(store: Store, path: str) -> list[str]:
    return sorted(row["id"] for row in truth(store, path))


CHILDREN = {
    source.path.removeprefix("/api/"): source
    for source in SOURCES.values()
    if source.fan_out is not None and source.fan_out.batch is None and source.report is None and not source.single
    if source.since <= STABLE
}
"""Collections below each row of another one, such as a list's members."""


def true_children(store: Store, path: str) -> list[tuple[str, str]]:
    """The rows below each row of the other collection: that row's id, and theirs."""
    parent, _, rest = path.partition("/{id}/")
    if rest == "profiles" and parent in {"lists", "segments"}:
        members = store.members if parent == "lists" else store.members_of("segments")
        return sorted((group, each.profile_id) for group, joined in members.items() for each in joined.sorted)
    name = rest.removeprefix("relationships/")
    found = []
    for row in truth(store, parent):
        own = row.get("related", {}).get(name)
        kept = own if own is not None else _pointing_at(store, _collection(parent, name), row["id"])
        found += [(row["id"], each) for each in kept]
    return sorted(found)


def _collection(parent: str, relation: str) -> str:
    """The collection at the other end of a relationship."""
    known = BY_PATH[parent].relations.get(relation) if parent in BY_PATH else None
    return BY_TYPE[known.type].path if known else relation


def _pointing_at(store: Store, path: str, id_: str) -> list[str]:
    """The rows of a collection that are related to this one."""
    return [row["id"] for row in truth(store, path) if any(id_ in ids for ids in row["related"].values())]


# ---- dlt


def dlt_source(running: RunningSandbox, resources: list[dict[str, Any]]) -> Any:
    rest_api = pytest.importorskip("dlt.sources.rest_api")
    return rest_api.rest_api_source(
        {
            "client": {
                "base_url": f"{running.url}/api/",
                "headers": {"revision": STABLE, "Accept": "application/vnd.api+json"},
                "auth": {
                    "type": "api_key",
                    "name": "Authorization",
                    "api_key": f"Klaviyo-API-Key {running.api_key}",
                    "location": "header",
                },
                "paginator": {"type": "json_link", "next_url_path": "links.next"},
            },
            "resources": resources,
        }
    )


def resource(path: str, number: int = 0, filter_: str | None = None, name: str = "") -> dict[str, Any]:
    params = {"filter": filter_} if filter_ else {}
    endpoint = {"path": path, "params": params, "data_selector": "data"}
    return {"name": name or f"{path.replace('-', '_')}_{number}", "endpoint": endpoint}


def test_dlt_reads_every_collection(running: RunningSandbox) -> None:
    store, asked = running.store, dict[str, list[str]]()
    resources = []
    for path in collections(STABLE):
        for number, filter_ in enumerate(filters(store, path, STABLE)):
            resources.append(resource(path, number, filter_))
            asked.setdefault(path, []).append(resources[-1]["name"])
    source = dlt_source(running, resources)
    read = {
        path: sorted(row["id"] for name in names for row in source.resources[name]) for path, names in asked.items()
    }
    assert read == {path: true_ids(store, path) for path in asked}
    assert len(read) > 30


def test_dlt_reads_what_is_below_each_row_of_a_collection(running: RunningSandbox) -> None:
    parents = {path.partition("/{id}/")[0] for path in CHILDREN}
    resources = [resource(path, name=path.replace("-", "_")) for path in sorted(parents)]
    for path, source in CHILDREN.items():
        parent, _, rest = path.partition("/{id}/")
        below = resource(f"{parent}/{{resources.{parent.replace('-', '_')}.id}}/{rest}", name=source.name + "_below")
        resources.append({**below, "include_from_parent": ["id"]})
    found = dlt_source(running, resources)
    for path, source in CHILDREN.items():
        name = f"_{path.partition('/{id}/')[0].replace('-', '_')}_id"
        rows = sorted((row[name], row["id"]) for row in found.resources[source.name + "_below"])
        assert rows == true_children(running.store, path), path


# ---- Klaviyo's SDK


@pytest.fixture(scope="module")
def sdk(running: RunningSandbox) -> Iterator[KlaviyoAPI]:
    # It sets urllib3's logger to WARNING, in which later tests of this process look for the API key.
    logger = logging.getLogger("urllib3")
    level = logger.level
    yield KlaviyoAPI(running.api_key, max_delay=1, max_retries=1, test_host=running.url)
    logger.setLevel(level)


def method(sdk: KlaviyoAPI, operation: str) -> Callable[..., Any] | None:
    """The SDK's method for an operation."""
    groups = [getattr(sdk, name) for name in dir(sdk) if name[0].isupper()]
    return next((getattr(group, operation) for group in groups if hasattr(group, operation)), None)


def every_id(call: Callable[..., Any], *arguments: str, **options: Any) -> list[str]:
    """The ids of all rows of a collection, each a model."""
    ids: list[str] = []
    cursor = None
    while True:
        page = call(*arguments, **options, **({"page_cursor": cursor} if cursor else {}))
        assert not isinstance(page, dict), "the SDK did not use its models"
        ids += [row.id for row in page.data]
        links = getattr(page, "links", None)
        if not links or not getattr(links, "next", None):
            return ids
        cursor = parse_qs(urlsplit(links.next).query)["page[cursor]"][0]


def test_sdk_reads_every_collection(sdk: KlaviyoAPI, running: RunningSandbox) -> None:
    read, without = {}, []
    for path, operation in collections(NEWEST).items():
        if path in {"events", "profiles"}:  # the largest, which test_sdk reads
            continue
        call = method(sdk, operation)
        if call is None:
            without.append(path)
            continue
        asked = [{"filter": each} if each else {} for each in filters(running.store, path, NEWEST)]
        read[path] = sorted(id_ for options in asked for id_ in every_id(call, **options))
    assert read == {path: true_ids(running.store, path) for path in read}
    assert (len(read) > 30, without) == (True, [])


def test_sdk_reads_what_is_below_each_row_of_a_collection(sdk: KlaviyoAPI, running: RunningSandbox) -> None:
    operations = {endpoint.path: endpoint.operation for endpoint in SERVED if in_force(endpoint, NEWEST) is not None}
    for path in CHILDREN:
        call = method(sdk, operations[path])
        assert call is not None, path
        parents = true_ids(running.store, path.partition("/{id}/")[0])
        rows = sorted((parent, id_) for parent in parents for id_ in every_id(call, parent))
        assert rows == true_children(running.store, path), path
