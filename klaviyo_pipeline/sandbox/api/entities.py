"""One interface for all types of resources: find by id, render, and list related resources.

Records are served by their declaration alone. The types that have rows of their own (events, profiles, lists,
metrics, campaigns, templates) are told here how to find, render and relate them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from klaviyo_pipeline.sandbox.api.documents import Call
from klaviyo_pipeline.sandbox.api.shapes import record
from klaviyo_pipeline.sandbox.data.kinds import BY_TYPE, Ids, Record, Relation
from klaviyo_pipeline.sandbox.data.store import Store

Row = Any
"""A row of any type."""


@dataclass(frozen=True, slots=True)
class Native:
    """How a type with rows of its own is found, rendered, and related to others."""

    path: str
    missing: str
    find: Callable[[Store, str], Row | None]
    render: Callable[[Call, Row], bytes]
    relations: Mapping[str, Relation]
    related: Mapping[str, Callable[[Store, Row], Ids]]


def _message(call: Call, row: Row) -> bytes:
    return call.shapes.message(call.store.campaigns.rows[row.campaign_id], row)


def _find_message(store: Store, row_id: str) -> Row | None:
    found = store.campaign_message(row_id)
    return found[1] if found else None


def _one(row_id: str | None) -> Ids:
    return (row_id,) if row_id else ()


_FLOWS = Relation("flow", many=True)
_TAGS = Relation("tag", many=True)

NATIVES = {
    "metric": Native(
        "metrics",
        "Metric with id {id} does not exist.",
        lambda store, row_id: store.metrics.get(row_id),
        lambda call, row: call.shapes.metric(row, primary=False),
        {
            "flow-triggers": Relation("flow", many=True, inverse="trigger-metrics"),
            "metric-properties": Relation("metric-property", many=True, inverse="metric", hidden=True),
        },
        {},
    ),
    "list": Native(
        "lists",
        "A list with id `{id}` does not exist.",
        lambda store, row_id: store.lists.get(row_id),
        lambda call, row: call.shapes.mailing_list(row, primary=False),
        {"tags": _TAGS, "flow-triggers": Relation("flow", many=True, inverse="trigger-lists")},
        {"tags": lambda _, row: row.tag_ids},
    ),
    "profile": Native(
        "profiles",
        "A profile with id {id} does not exist.",
        lambda store, row_id: store.profiles.get(row_id),
        lambda call, row: call.shapes.profile(row, primary=False),
        {
            "lists": Relation("list", many=True),
            "segments": Relation("segment", many=True),
            "push-tokens": Relation("push-token", many=True, inverse="profile"),
            "conversations": Relation("conversation", many=True, inverse="profile"),
            "conversation": Relation("conversation", inverse="profile"),
        },
        {
            "lists": lambda store, row: store.groups_of(row.id, "lists"),
            "segments": lambda store, row: store.groups_of(row.id, "segments"),
        },
    ),
    "template": Native(
        "templates",
        "Template with id '{id}' does not exist",
        lambda store, row_id: store.templates.get(row_id),
        lambda call, row: call.shapes.template(row),
        {},
        {},
    ),
    "campaign": Native(
        "campaigns",
        "A campaign with id '{id}' does not exist.",
        lambda store, row_id: store.campaigns.get(row_id),
        lambda call, row: call.shapes.campaign(row, primary=False),
        {"tags": _TAGS},
        {"tags": lambda _, row: row.tag_ids},
    ),
    "campaign-message": Native(
        "campaign-messages",
        "A campaign message with id '{id}' does not exist.",
        _find_message,
        _message,
        {"campaign": Relation("campaign"), "template": Relation("template"), "image": Relation("image"), "tags": _TAGS},
        {"campaign": lambda _, row: (row.campaign_id,), "template": lambda _, row: _one(row.template_id),
         "image": lambda _, __: (), "tags": lambda store, row: store.campaigns.rows[row.campaign_id].tag_ids},
    ),
    "event": Native(
        "events",
        "An event with id {id} does not exist.",
        lambda store, row_id: store.events.get(row_id),
        lambda call, row: call.shapes.events([row])[0],
        {},
        {},
    ),
}  # fmt: skip

_TYPE_OF_PATH = {kind.path: kind.type for kind in BY_TYPE.values()} | {
    native.path: name for name, native in NATIVES.items()
}


def type_at(path: str) -> str | None:
    """The type of the resources at the first segment of a path; None for a path of no declared type."""
    return _TYPE_OF_PATH.get(path)


def serves(store: Store, resource: str) -> bool:
    """Whether there are rows of a type."""
    return resource in NATIVES or store.has_records(resource)


def relation(resource: str, name: str) -> Relation | None:
    """A relationship of a type."""
    declared: Native | Any = NATIVES.get(resource) or BY_TYPE.get(resource)
    found: Relation | None = declared.relations.get(name) if declared else None
    return found


def missing(resource: str, row_id: str) -> str:
    """How Klaviyo words that a row is not there."""
    native = NATIVES.get(resource)
    text = native.missing if native else BY_TYPE[resource].missing
    return text.format(id=row_id, type=resource.replace("-", " "))


def find(store: Store, resource: str, row_id: str) -> Row | None:
    """The row of an id."""
    native = NATIVES.get(resource)
    return native.find(store, row_id) if native else store.records(resource).get(row_id)


def related(store: Store, resource: str, row: Row, name: str) -> Ids:
    """The ids at the other end of a relationship, those that exist."""
    asked = relation(resource, name)
    if asked is None or not serves(store, asked.type):
        return ()
    if asked.inverse:
        return tuple(
            other.id for other in _all(store, asked.type) if row.id in _kept(store, asked.type, other, asked.inverse)
        )
    ids = _kept(store, resource, row, name)
    return tuple(found for found in ids if find(store, asked.type, found) is not None)


def _kept(store: Store, resource: str, row: Row, name: str) -> Ids:
    if isinstance(row, Record):
        return row.related.get(name, ())
    keeps = NATIVES[resource].related.get(name)
    return keeps(store, row) if keeps else ()


def _all(store: Store, resource: str) -> list[Row]:
    tables: dict[str, Any] = {"list": store.lists, "campaign": store.campaigns, "metric": store.metrics}
    return list(tables[resource] if resource in tables else store.records(resource))


def render(call: Call, resource: str, row: Row, *, primary: bool = False) -> bytes:
    """A row as a resource; `primary` where the request asks for it, not where it is included."""
    native = NATIVES.get(resource)
    if native:
        return native.render(call, row)
    kind = BY_TYPE[resource]
    shown: dict[str, Any] = {}
    for name, found in kind.relations.items():
        if found.hidden:
            continue
        shown[name] = None
        if found.always or (primary and name in call.query.includes):
            shown[name] = (found, related(call.store, resource, row, name))
    if resource == "segment" and "profile_count" in call.query.additional:
        count = len(call.store.members_of("segments").get(row.id, ()))
        row = replace(row, attributes={**row.attributes, "profile_count": count})
    return record(call.shapes, kind, row, shown, operation=call.operation if primary else "")


def included(call: Call, resource: str, rows: list[Row]) -> list[bytes]:
    """The resources that the rows are related to and the request includes, each once."""
    found: dict[tuple[str, str], None] = {}
    for name in sorted(call.query.includes):
        asked = relation(resource, name)
        if asked is not None:
            for row in rows:
                found |= dict.fromkeys((asked.type, row_id) for row_id in related(call.store, resource, row, name))
    rendered = ((kind, find(call.store, kind, row_id)) for kind, row_id in found)
    return [render(call, kind, row) for kind, row in rendered if row is not None]
