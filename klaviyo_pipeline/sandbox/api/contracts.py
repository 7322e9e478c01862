"""How an endpoint is declared over its whole life, and what of that is in force under one revision."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from klaviyo_pipeline.sandbox.api.revisions import LIVING, OLDEST

T = TypeVar("T")
Since = dict[str, T]
"""A value by the revision from which on it holds."""

Limit = tuple[int, int]
"""Requests a second (burst) and a minute (steady)."""

XS, S, M, L700, L, XL = (1, 15), (3, 60), (10, 150), (75, 700), (75, 750), (350, 3500)

OPERATORS = {
    "eq": "equals",
    "ge": "greater-or-equal",
    "gt": "greater-than",
    "le": "less-or-equal",
    "lt": "less-than",
    "any": "any",
    "has": "has",
    "contains": "contains",
}


@dataclass(frozen=True, slots=True)
class Filterable:
    """A field that can be filtered: the kind of its literal and the operators it takes."""

    kind: str
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PageSize:
    """Rows on a page; `settable` is false where the endpoint takes no `page[size]`."""

    default: int
    maximum: int
    settable: bool = True


@dataclass(frozen=True, slots=True)
class Contract:
    """What one endpoint takes under one revision."""

    operation: str
    method: str
    path: tuple[str, ...]
    scopes: tuple[str, ...]
    limit: Limit
    lowered: Mapping[tuple[str, str], Limit]
    filters: Mapping[str, Filterable]
    sorts: tuple[str, ...]
    page: PageSize | None
    includes: tuple[str, ...]
    additional: Mapping[str, tuple[str, ...]]
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint over its whole life."""

    operation: str
    path: str
    scopes: str
    limit: Since[Limit]
    resource: str = ""
    filters: Since[str] = field(default_factory=dict)
    sorts: Since[str] = field(default_factory=dict)
    page: Since[PageSize] = field(default_factory=dict)
    includes: Since[str] = field(default_factory=dict)
    additional: Since[str] = field(default_factory=dict)
    lowered: Mapping[tuple[str, str], Limit] = field(default_factory=dict)
    since: str = OLDEST
    method: str = "GET"


def always(value: T) -> Since[T]:
    """A value that no living revision changed."""
    return {OLDEST: value}


_INCLUDED_TYPES = {
    "attributions": "attribution",
    "campaign-audiences": "campaign-audience",
    "campaign-messages": "campaign-message",
    "campaign-variations": "campaign-variation",
    "conversations": "conversation",
    "flow-triggers": "flow",
    "lists": "list",
    "push-tokens": "push-token",
    "segments": "segment",
    "tags": "tag",
}

_FIELDS_SINCE = {"": "never", "attribution": "2026-04-15", "metric-aggregate": "2026-04-15"}


def in_force(endpoint: Endpoint, revision: str) -> Contract | None:
    """What an endpoint takes under a living revision; None where the revision doesn't have it."""
    if LIVING.index(revision) < LIVING.index(endpoint.since):
        return None
    includes = _names(_at(endpoint.includes, revision, ""))
    return Contract(
        operation=endpoint.operation,
        method=endpoint.method,
        path=tuple(endpoint.path.split("/")),
        scopes=tuple(endpoint.scopes.split()),
        limit=_at(endpoint.limit, revision, S),
        lowered=endpoint.lowered,
        filters=_filters(_at(endpoint.filters, revision, "")),
        sorts=_names(_at(endpoint.sorts, revision, "")),
        page=_at(endpoint.page, revision, None),
        includes=includes,
        additional=_additional(_at(endpoint.additional, revision, "")),
        types=_types(endpoint.resource, includes, revision),
    )


def _at(versions: Mapping[str, T], revision: str, default: T) -> T:
    value = default
    for since in LIVING[: LIVING.index(revision) + 1]:
        value = versions.get(since, value)
    return value


def _types(resource: str, includes: tuple[str, ...], revision: str) -> tuple[str, ...]:
    """The types that `fields[…]` takes."""
    types = (resource, *(_INCLUDED_TYPES.get(name, name) for name in includes))
    return tuple(name for name in types if revision >= _FIELDS_SINCE.get(name, OLDEST))


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def _filters(text: str) -> dict[str, Filterable]:
    filters = {}
    for part in filter(None, text.split("; ")):
        name, _, rest = part.partition(":")
        kind, _, operators = rest.partition(" ")
        filters[name] = Filterable(kind, tuple(OPERATORS[operator] for operator in operators.split("/")))
    return filters


def _additional(text: str) -> dict[str, tuple[str, ...]]:
    if not text:
        return {}
    resource, _, names = text.partition("=")
    return {resource: tuple(names.split(","))}
