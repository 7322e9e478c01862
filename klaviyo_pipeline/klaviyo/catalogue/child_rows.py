"""What a data source declares whose rows stand inside the rows of another one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Where child rows stand in their parent's column.

    Attributes:
        path: The keys to follow.
        columns: Names and values of the columns that say which place it was. They stand instead of what the row has.
        renames: Keys that are named otherwise in other places: theirs to ours.
    """

    path: tuple[str, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()
    renames: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ChildOf:
    """How rows stand inside the rows of another data source, and so cost no requests of their own.

    Attributes:
        parent: The other data source.
        id_column: The column that has the parent's id.
        inside: The parent's JSON column, or staged column, that holds the rows.
        places: Where in it: each path leads to one row, or to an array of rows. An array on the way is followed into
            each of its elements.
        carries: Columns whose values come from the parent's row: ours to the parent's.
        option: The parent's option that reads the rows; None where they are always read.
        ignores: What an element has besides and no column takes.
    """

    parent: str
    id_column: str
    inside: str
    places: tuple[Place, ...] = (Place(),)
    carries: tuple[tuple[str, str], ...] = ()
    option: str | None = None
    ignores: tuple[str, ...] = ()

    @property
    def parent_columns(self) -> tuple[str, ...]:
        """The columns of the parent's rows that are needed."""
        return ("id", *(theirs for _ours, theirs in self.carries), self.inside)
