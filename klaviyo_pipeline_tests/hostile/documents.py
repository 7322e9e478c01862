"""Documents that are almost right: a valid one with any of its parts replaced by something else."""

import copy
from collections.abc import Iterator
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 5, 1.5, float("nan"), float("inf"), 10**30, "", "x", "5", "\x00\x1b[2J", "é" * 300, [], {}, [[]],
    [None], {"a": 1}, [1, 2, 3], "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "../../etc/passwd",
)  # fmt: skip
"""What stands where something else belongs."""


def paths(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the parts of a document stand, the whole of it first."""
    yield path
    children = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for step, child in children:
        yield from paths(child, (*path, step))


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The document with another value at a path."""
    if not path:
        return value
    changed = copy.deepcopy(document)
    parent = changed
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = value
    return changed


def without(document: Any, path: tuple[Any, ...]) -> Any:
    """The document without what stands at a path."""
    changed = copy.deepcopy(document)
    parent = changed
    for step in path[:-1]:
        parent = parent[step]
    del parent[path[-1]]
    return changed


def variants(document: Any) -> Iterator[Any]:
    """Every document that differs from this one in one part."""
    for path in paths(document):
        if path:
            yield without(document, path)
        for value in ODD_VALUES:
            yield replaced(document, path, value)
