"""How a data source declares its columns: name, type, where the value stands in Klaviyo's answer, meaning."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")

EXTRA = "_extra"
"""The column for what no other column takes, as JSON."""

Since = tuple[tuple[str, T], ...]
"""A value that changed over Klaviyo's revisions: pairs of (first revision with it, value), oldest first."""


def since(history: Since[T], revision: str) -> T:
    """The value in force for a revision."""
    value = history[0][1]
    for first, candidate in history:
        if first <= revision:
            value = candidate
    return value


class ColumnType(StrEnum):
    """The types that columns have, by the names that a preview shows."""

    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    DATE = "date"
    JSON = "json"


@dataclass(frozen=True)
class Allowed:
    """The values that Klaviyo's OpenAPI documents name, of all known revisions.

    ``at`` is the JSON path to them inside a JSON column, such as ``$.method``; ``[*]`` at its end: in an array.
    """

    values: frozenset[str]
    at: str | None = None


@dataclass(frozen=True)
class Column:
    """One column of a data source's table.

    ``path`` leads to the value inside a JSON:API resource, for example ``("attributes", "email")``; None marks a
    column that is set from outside the resource (a list's id for its members). ``via`` names a relationship:
    the value then stands in the first resource of ``included`` that this relationship points at (in all of them,
    as a JSON array, if ``every``). ``option`` names the option of the data source that a column depends on.
    ``named`` says that Klaviyo gives a text or an object with a name, and that the name is meant. ``moved`` and
    ``moved_via`` say where the value stands from a later revision on. ``required`` says that every row has a value,
    ``references`` names the data source whose ``id`` it is, and ``allowed`` the values that are documented.
    ``made_of`` names the columns whose values, joined by colons, are this one's; a row that lacks one of them has none.
    """

    name: str
    type: ColumnType
    path: tuple[str, ...] | None
    description: str
    moved: Since[tuple[str, ...] | None] = ()
    via: str | None = None
    moved_via: Since[str | None] = ()
    every: bool = False
    option: str | None = None
    named: bool = False
    required: bool = False
    references: str | None = None
    allowed: tuple[Allowed, ...] = ()
    made_of: tuple[str, ...] = ()

    def path_in(self, revision: str) -> tuple[str, ...] | None:
        """Where the value stands in answers of this revision; None where it is not in them."""
        return since((("", self.path), *self.moved), revision)

    def in_revision(self, revision: str) -> Column:
        """The column as answers of this revision have it."""
        via = since((("", self.via), *self.moved_via), revision)
        return replace(self, path=self.path_in(revision), moved=(), via=via, moved_via=())
