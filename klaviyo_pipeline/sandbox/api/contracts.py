"""The declaration of an operation over all revisions, and its form under one revision."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from klaviyo_pipeline.sandbox.api.revisions import LIVING

Limit = tuple[int, ...]
"""Requests a second (burst), a minute (steady) and, for reports, a day."""

OPERATORS = {
    "eq": "equals",
    "ge": "greater-or-equal",
    "gt": "greater-than",
    "le": "less-or-equal",
    "lt": "less-than",
    "any": "any",
    "has": "has",
    "contains": "contains",
    "ends": "ends-with",
    "starts": "starts-with",
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
    """An operation over its whole life: a line of `operations.csv` by the revision from which on it holds."""

    operation: str
    method: str
    path: str
    versions: Mapping[str, Mapping[str, str]]

    def line(self, revision: str) -> Mapping[str, str] | None:
        """The line in force under a living revision; None where the revision doesn't have the operation."""
        found = None
        for since in LIVING[: LIVING.index(revision) + 1]:
            found = self.versions.get(since, found)
        return found


def in_force(endpoint: Endpoint, revision: str) -> Contract | None:
    """What an endpoint takes under a living revision; None where the revision doesn't have it."""
    line = endpoint.line(revision)
    if line is None:
        return None
    return Contract(
        operation=endpoint.operation,
        method=endpoint.method,
        path=tuple(endpoint.path.split("/")),
        scopes=tuple(line["scopes"].split()),
        limit=_limit(line["limit"] or "3/60"),
        lowered=_lowered(line["slower"]),
        filters=_filters(line["filters"]),
        sorts=_names(line["sorts"]),
        page=_page(line["page"]),
        includes=_names(line["includes"]),
        additional=_additional(line["additional"]),
        types=_names(line["fields"]),
    )


def _limit(text: str) -> Limit:
    return tuple(int(number) for number in text.split("/"))


def _lowered(text: str) -> dict[tuple[str, str], Limit]:
    lowered = {}
    for part in filter(None, text.split("; ")):
        asked, _, limit = part.rpartition(":")
        name, _, value = asked.partition("=")
        lowered[name, value] = _limit(limit)
    return lowered


def _page(text: str) -> PageSize | None:
    if not text:
        return None
    default, _, maximum = text.partition("/")
    return PageSize(int(default), int(maximum or default), settable=bool(maximum))


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


@cache
def _filters(text: str) -> dict[str, Filterable]:
    filters = {}
    for part in filter(None, text.split("; ")):
        name, _, rest = part.partition(":")
        kind, _, operators = rest.partition(" ")
        filters[name] = Filterable(kind, tuple(OPERATORS[operator] for operator in operators.split("/")))
    return filters


def _additional(text: str) -> dict[str, tuple[str, ...]]:
    additional = {}
    for part in filter(None, text.split("; ")):
        resource, _, names = part.partition("=")
        additional[resource] = tuple(names.split(","))
    return additional
