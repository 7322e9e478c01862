"""Rows of a child table, from the JSON column of its parent's rows that they stand in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa

from klaviyo_pipeline.klaviyo.catalogue.child_rows import Place
from klaviyo_pipeline.klaviyo.catalogue.columns import EXTRA, Column, ColumnType
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.decode.arrays import ARROW_TYPES, convert, string_array
from klaviyo_pipeline.klaviyo.decode.extras import Extras
from klaviyo_pipeline.klaviyo.decode.pages import arrow_schema, joined

OUTER = "^"
"""As the first step of a column's path: from the element of the outermost array, not from the row's own object."""


@dataclass(frozen=True)
class _Element:
    """One row as it stands in its parent's column."""

    parent: int
    place: Place
    value: Any
    outer: Any


class ChildDecoder:
    """Makes a child's rows of its parent's.

    A value that does not fit its column's type, and what has no column, is kept in ``_extra``.

    Args:
        child: The child's data source.
        revision: The revision that answered.
    """

    def __init__(self, child: Source, revision: str) -> None:
        assert child.child is not None
        self._of = child.child
        self._columns = [column.in_revision(revision) for column in child.columns]
        self._carried = {**dict(self._of.carries), self._of.id_column: "id"}
        self._known = {column.path[0] for column in self._columns if column.path} | {*self._of.ignores}
        self._keeps_whole = any(column.path == () for column in self._columns)
        self.schema = arrow_schema(self._columns)

    def rows(self, parents: pa.RecordBatch) -> pa.RecordBatch:
        """The child's rows of a batch of parents, which has the columns of ``ChildOf.parent_columns``."""
        elements = list(self._elements(parents.column(self._of.inside)))
        extras, arrays = Extras(), dict[str, pa.Array]()
        at = pa.array([element.parent for element in elements], pa.int64()) if elements else None
        of_place = {name for place in self._of.places for name, _filled in place.columns}
        read: list[tuple[Column, list[Any]]] = []
        for column in self._columns:
            if column.name in self._carried:
                carried = parents.column(self._carried[column.name])
                arrays[column.name] = carried.take(at) if at is not None else carried.slice(0, 0)
            elif column.path is not None:
                values = [_value(element, column) for element in elements]
                if column.name in of_place:
                    values = [
                        dict(element.place.columns).get(column.name, value)
                        for element, value in zip(elements, values, strict=True)
                    ]
                read.append((column, values))
            elif not column.made_of:
                arrays[column.name] = self._of_place(column, elements)
        converted = convert([(values, column.type) for column, values in read])
        for (column, _values), (array, refused) in zip(read, converted, strict=True):
            arrays[column.name] = array
            for row, text in refused.items():
                extras.keep(row, (column.name,), text, extras.misfits)
        for row, element in enumerate(elements):
            self._keep_unknown(row, element.value, extras)
        for column in self._columns:
            if column.made_of:
                arrays[column.name] = joined([arrays[name] for name in column.made_of])
        arrays[EXTRA] = extras.column(len(elements))
        batch = pa.RecordBatch.from_arrays([arrays[name] for name in self.schema.names], schema=self.schema)
        return batch.filter(batch.column(0).is_valid())

    def _elements(self, column: pa.Array) -> Iterator[_Element]:
        for parent, text in enumerate(_texts(column)):
            if text is None:
                continue
            document = msgspec.json.decode(text)
            for place in self._of.places:
                renames = dict(place.renames)
                for value, outer in _at(document, place.path):
                    if renames and isinstance(value, dict):
                        value = {renames.get(key, key): each for key, each in value.items()}
                    yield _Element(parent, place, value, outer)

    def _of_place(self, column: Column, elements: list[_Element]) -> pa.Array:
        values = [dict(element.place.columns).get(column.name) for element in elements]
        if column.type is ColumnType.STRING:
            return string_array(values)
        return pa.nulls(len(elements), ARROW_TYPES[column.type])

    def _keep_unknown(self, row: int, value: Any, extras: Extras) -> None:  # noqa: ANN401 - whatever JSON holds
        if not self._keeps_whole and isinstance(value, dict) and not self._known.issuperset(value):
            for name in value.keys() - self._known:
                if value[name] is not None:
                    extras.keep(row, (name,), msgspec.json.encode(value[name]), extras.unknown)


def _texts(column: pa.Array) -> list[str | None]:
    storage = column.storage if isinstance(column, pa.ExtensionArray) else column
    return storage.to_pylist()  # type: ignore[no-any-return]


def _at(document: Any, path: tuple[str, ...]) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 - whatever JSON holds
    """What stands at the end of a path, each with the element of the outermost array that it stands in."""
    found = [(document, document)]
    for step in (*path, None):
        arrays = [(value, outer) for value, outer in found if isinstance(value, list)]
        found = [(value, outer) for value, outer in found if not isinstance(value, list)]
        found += [(each, each if outer is document else outer) for value, outer in arrays for each in value]
        if step is not None:
            found = [(value.get(step), outer) for value, outer in found if isinstance(value, dict)]
    yield from ((value, outer) for value, outer in found if value is not None)


def _value(element: _Element, column: Column) -> Any:  # noqa: ANN401 - whatever JSON holds
    assert column.path is not None
    path, value = column.path, element.value
    if path and path[0] == OUTER:
        path, value = path[1:], element.outer
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    if value is not None and column.type is ColumnType.JSON:
        return msgspec.Raw(msgspec.json.encode(value))
    return value
