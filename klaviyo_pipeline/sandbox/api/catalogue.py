"""Klaviyo's operations by path: finds the operation of a request, and its parameters under a revision."""

from collections.abc import Iterator
from functools import cache

from klaviyo_pipeline.sandbox.api.contracts import Contract, Endpoint, in_force
from klaviyo_pipeline.sandbox.facts import lines


def _endpoints() -> Iterator[Endpoint]:
    versions: dict[str, dict[str, dict[str, str]]] = {}
    for line in lines("operations"):
        versions.setdefault(line["operation"], {})[line["since"]] = line
    for operation, found in versions.items():
        line = next(iter(found.values()))
        yield Endpoint(operation, line["method"], line["path"], found)


ENDPOINTS = tuple(_endpoints())
"""All of Klaviyo's operations, those that the sandbox does not serve too."""

_BY_OPERATION = {endpoint.operation: endpoint for endpoint in ENDPOINTS}
_BY_SHAPE: dict[tuple[str, int], list[tuple[Endpoint, list[str]]]] = {}
for _endpoint in ENDPOINTS:
    _parts = _endpoint.path.split("/")
    _BY_SHAPE.setdefault((_parts[0], len(_parts)), []).append((_endpoint, _parts))


def at_path(segments: list[str]) -> dict[str, tuple[Endpoint, str]]:
    """The operations of a path below `/api/` by method, each with the id within the path."""
    found = {}
    for endpoint, parts in _BY_SHAPE.get((segments[0], len(segments)), ()):
        if all(part in ("{id}", segment) for part, segment in zip(parts, segments, strict=True)):
            found[endpoint.method] = endpoint, segments[1] if "{id}" in parts else ""
    return found


def route(method: str, segments: list[str]) -> tuple[Endpoint, str] | None:
    """The operation of a path below `/api/`, and the id within the path."""
    return at_path(segments).get(method)


@cache
def contract(operation: str, revision: str) -> Contract | None:
    """What the operation takes under a living revision; None where the revision doesn't have it."""
    return in_force(_BY_OPERATION[operation], revision)
