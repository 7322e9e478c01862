"""What the package declares, wherever it does."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any, TypeVar

import klaviyo_pipeline

T = TypeVar("T")
_APART = ("klaviyo_pipeline.sandbox", "klaviyo_pipeline.fleet")
"""The sandbox has no reference, and the fleet needs packages that only workers have."""


@cache
def modules() -> tuple[ModuleType, ...]:
    """All modules of the package but those apart, imported."""
    found = pkgutil.walk_packages(klaviyo_pipeline.__path__, "klaviyo_pipeline.", onerror=_fail)
    names = sorted(each.name for each in found)
    wanted = [name for name in names if not name.startswith(_APART) and not name.endswith("__main__")]
    return tuple(importlib.import_module(name) for name in wanted)


def _fail(name: str) -> None:
    raise ImportError(name)


def instances(kind: type[T]) -> list[T]:
    """All module-level values of a class, each once, in the order of their modules."""
    found: dict[int, T] = {}
    for module in modules():
        for value in vars(module).values():
            if type(value) is kind:
                found.setdefault(id(value), value)
    return list(found.values())


def subclasses(base: type) -> list[type]:
    """All classes below another one that are declared at the top of a module, parents before children."""
    found = [
        value
        for module in modules()
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, base)
        and value.__module__ == module.__name__
        and value.__name__ == name
    ]
    return sorted(found, key=lambda each: (each.__module__, len(each.__mro__)))


@cache
def definitions() -> Any:
    """What Dagster loads."""
    from klaviyo_pipeline.definitions import defs

    return defs


def own_doc(cls: type) -> str | None:
    """A class's own docstring, not an inherited one."""
    return cls.__dict__.get("__doc__")


def checks() -> Iterator[tuple[Any, list[str]]]:
    """Every asset check once (its spec), with the assets it is on."""
    grouped: dict[tuple[str, str], tuple[Any, list[str]]] = {}
    for definition in definitions().asset_checks or ():
        for spec in definition.check_specs:
            _spec, assets = grouped.setdefault((spec.name, spec.description or ""), (spec, []))
            assets.append(spec.asset_key.to_user_string())
    for definition in definitions().assets or ():
        for spec in getattr(definition, "check_specs", ()):
            _spec, assets = grouped.setdefault((spec.name, spec.description or ""), (spec, []))
            assets.append(spec.asset_key.to_user_string())
    yield from grouped.values()
