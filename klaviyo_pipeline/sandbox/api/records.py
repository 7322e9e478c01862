"""The operations that need no code of their own: a path tells which rows are meant and how they are shown.

`flows` is a collection, `flows/{id}` a row, `flows/{id}/tags` what a row is related to, and
`flows/{id}/relationships/tags` the ids of that.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from klaviyo_pipeline.sandbox.api import entities
from klaviyo_pipeline.sandbox.api.documents import Call, collection, single
from klaviyo_pipeline.sandbox.api.errors import ApiError, invalid, not_found
from klaviyo_pipeline.sandbox.api.reading import check_past, holds, page_of
from klaviyo_pipeline.sandbox.api.shapes import identifier
from klaviyo_pipeline.sandbox.data.kinds import BY_TYPE, TIMES, Kind, Record
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.data.tables import Page

NULL_RELATED_SINCE = "2026-07-15"
"""Since when what a row is related to may be null: OpenAPI 2026-07-15 allows it, 2025-01-15 didn't."""

Handler = Callable[[Call], bytes]


def handler(store: Store, path: str) -> Handler | None:
    """What answers an operation at this path; None where the sandbox has no such rows."""
    parts = path.split("/")
    resource = entities.type_at(parts[0])
    if resource is None or not entities.serves(store, resource):
        return None
    if len(parts) <= 2:
        if resource in entities.NATIVES:
            return None
        return _collection(BY_TYPE[resource]) if len(parts) == 1 else _row(resource)
    relation = entities.relation(resource, parts[-1])
    if relation is None or not entities.serves(store, relation.type):
        return None
    return _related(resource, parts[-1], relation.type, many=relation.many, only_ids=parts[2] == "relationships")


def _collection(kind: Kind) -> Handler:
    def answer(call: Call) -> bytes:
        asked = {condition.field for condition in call.query.conditions}
        if kind.required and not asked & kind.required:
            names = " or ".join(sorted(kind.required))
            raise invalid(f"A filter by {names} is required.", parameter="filter")
        wanted = {name: value for name, value in kind.unless_asked.items() if name not in asked}
        _check_filters(call, kind)
        page = page_of(call.store.records(kind.type), call.query, keep=_keeping(call, kind, wanted))
        return _page(call, kind.type, page)

    return answer


def _row(resource: str) -> Handler:
    def answer(call: Call) -> bytes:
        row = _found(call, resource)
        data = entities.render(call, resource, row, primary=True)
        return single(call, data, entities.included(call, resource, [row]))

    return answer


def _related(resource: str, name: str, target: str, *, many: bool, only_ids: bool) -> Handler:
    def show(call: Call, row: entities.Row) -> bytes:
        if only_ids:
            return msgspec.json.encode(identifier(target, row.id))
        return entities.render(call, target, row, primary=True)

    def answer(call: Call) -> bytes:
        ids = entities.related(call.store, resource, _found(call, resource), name)
        rows: list[entities.Row] = [entities.find(call.store, target, row_id) for row_id in ids]
        if not many:
            if not rows and call.revision < NULL_RELATED_SINCE:
                raise not_found(f"The {resource} {call.id} has no {name}.")  # inferred wording
            return single(call, show(call, rows[0]) if rows else b"null")
        kind = BY_TYPE.get(target)
        if kind is None:
            return collection(call, [show(call, row) for row in rows], Page(rows))
        _check_filters(call, kind)
        keep = _keeping(call, kind, {})
        page = page_of(call.store.records(kind.type), call.query, keep=keep, among=rows)
        if only_ids:
            return collection(call, [show(call, row) for row in page.rows], page)
        return _page(call, target, page)

    return answer


def _page(call: Call, resource: str, page: Page[Record]) -> bytes:
    data = [entities.render(call, resource, row, primary=True) for row in page.rows]
    return collection(call, data, page, entities.included(call, resource, page.rows))


def _found(call: Call, resource: str) -> entities.Row:
    row = entities.find(call.store, resource, call.id)
    if row is None:
        raise not_found(entities.missing(resource, call.id))
    return row


def _keeping(call: Call, kind: Kind, wanted: Mapping[str, Any]) -> Callable[[Record], bool] | None:
    conditions = [found for found in call.query.conditions if found.field not in kind.ignored]
    if not conditions and not wanted:
        return None

    def keep(row: Record) -> bool:
        return all(row.attributes[name] == value for name, value in wanted.items()) and all(
            any(holds(condition, value) for value in _values(call, kind, row, condition.field))
            for condition in conditions
        )

    return keep


def _values(call: Call, kind: Kind, row: Record, field: str) -> tuple[Any, ...]:
    """What a filter compares: an attribute, one inside a structure, or the ids of related rows."""
    if field in ("id", "ids"):
        return (row.id,)
    if field in row.attributes:
        return (row.attributes[field],)
    stem = field.removesuffix(".id").removesuffix("_id")
    for name in (stem, f"{stem}s", f"{stem.removesuffix('y')}ies"):
        if stem != field and name in kind.relations:
            return entities.related(call.store, kind.type, row, name)
    value: Any = row.attributes
    for part in field.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return (value["value"] if isinstance(value, Mapping) and "value" in value else value,)


def _check_filters(call: Call, kind: Kind) -> None:
    query = call.query
    if any(found.field == "form_type" and found.operator == "any" for found in query.conditions):
        raise server_error()  # recorded
    if not kind.past_only:
        return
    check_past(query, call.now)
    for condition in query.conditions:
        if condition.field in TIMES and query.sort not in (None, condition.field):
            raise invalid(f"The sort must be by the filtered field '{condition.field}'.", parameter="sort")


def server_error() -> ApiError:
    """500 as recorded."""
    text = "A server error occurred."
    return ApiError(500, "error", text, text, {"pointer": "/data/"})
