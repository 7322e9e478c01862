"""Sparse fieldsets: the names that `fields[type]` accepts, and the remaining attributes.

A name within a structured attribute (`location.city`) is taken where Klaviyo's documents list it.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from klaviyo_pipeline.sandbox.api.contracts import Contract
from klaviyo_pipeline.sandbox.api.errors import invalid
from klaviyo_pipeline.sandbox.api.revisions import LIVING
from klaviyo_pipeline.sandbox.facts import lines

_META = "meta meta.description meta.name meta.relationship_id"
_ONLY_AT = {
    "get_profiles_for_list": ("profile", "joined_group_at", "2025-01-15"),
    "get_profiles_for_segment": ("profile", "joined_group_at", "2025-01-15"),
    "get_object_type": ("object-type", _META, "2026-07-15"),
    "get_object_schema": ("object-schema", _META, "2026-07-15"),
    "get_form": ("form", "definition definition.versions", "2025-10-15"),
}
"""Attributes that a type has in the answers of one operation only, and since when."""


@cache
def _versions() -> dict[str, dict[str, frozenset[str]]]:
    found: dict[str, dict[str, frozenset[str]]] = {}
    for line in lines("fieldsets"):
        found.setdefault(line["type"], {})[line["since"]] = frozenset(line["names"].split())
    return found


@cache
def documented_fields(resource: str, revision: str) -> frozenset[str]:
    """The attribute names of a type, dotted ones too, as `fields[type]` takes them at most operations."""
    names: frozenset[str] = frozenset()
    versions = _versions().get(resource, {})
    for since in LIVING[: LIVING.index(revision) + 1]:
        names = versions.get(since, names)
    return names


@cache
def only_at(operation: str, resource: str, revision: str) -> frozenset[str]:
    """The names that a type has only in the answers of this operation."""
    found, names, since = _ONLY_AT.get(operation, ("", "", ""))
    return frozenset(names.split()) if found == resource and revision >= since else frozenset()


def allowed_fields(resource: str, contract: Contract, revision: str) -> frozenset[str]:
    """The names that `fields[resource]` takes at an endpoint, without those within additional fields."""
    names = documented_fields(resource, revision) | only_at(contract.operation, resource, revision)
    return names | set(contract.additional.get(resource, ()))


def check_fields(resource: str, names: tuple[str, ...], contract: Contract, revision: str) -> None:
    """Refuse a name that the type doesn't have (400; the wording is inferred).

    Raises:
        ApiError: 400.
    """
    allowed = allowed_fields(resource, contract, revision)
    additional = contract.additional.get(resource, ())
    for name in names:
        if name not in allowed and name.partition(".")[0] not in additional:
            raise invalid(
                f"'{name}' is not a valid field for the resource type '{resource}'.",
                parameter=f"fields[{resource}]",
            )


def project(attributes: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """The attributes that were asked for, in their own order."""
    inner: dict[str, list[str]] = {}
    whole = set()
    for name in names:
        root, dot, rest = name.partition(".")
        if dot:
            inner.setdefault(root, []).append(rest)
        else:
            whole.add(root)
    kept: dict[str, Any] = {}
    for name, value in attributes.items():
        if name in whole:
            kept[name] = value
        elif name in inner:
            kept[name] = project(value, tuple(inner[name])) if isinstance(value, dict) else value
    return kept
