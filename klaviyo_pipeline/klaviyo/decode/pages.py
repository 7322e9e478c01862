"""A page's bytes to an Arrow batch, by the catalogue's columns.

The usual page is decoded in one pass by msgspec into shapes made from the columns' paths; free-form objects are
not parsed at all but kept as the text that Klaviyo sent. Two things need more care, and neither may lose a value
or fail a load: attributes that the catalogue does not know (Klaviyo adds fields without notice) are learned and
kept in ``_extra``; a value that does not fit its column's type becomes null there, and its original goes to
``_extra`` too. Both are counted.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from klaviyo_pipeline.klaviyo.catalogue.columns import EXTRA, Column, ColumnType
from klaviyo_pipeline.klaviyo.client import envelope
from klaviyo_pipeline.klaviyo.client.client import target_of_link
from klaviyo_pipeline.klaviyo.decode import structs
from klaviyo_pipeline.klaviyo.decode.arrays import (
    ARROW_TYPES,
    constant_array,
    convert,
    stored_times,
    string_array,
)
from klaviyo_pipeline.klaviyo.decode.extras import Extras
from klaviyo_pipeline.klaviyo.decode.repeated_keys import RepeatedKeys, with_each_key_once
from klaviyo_pipeline.klaviyo.decode.structs import Path, Structs, is_raw
from klaviyo_pipeline.klaviyo.decode.undecodable import SetAside, set_aside
from klaviyo_pipeline.klaviyo.errors import UnreadablePageError
from klaviyo_pipeline.times import from_microseconds

LONGEST_LINK = 16_384
"""Servers refuse a longer address; Klaviyo's cursors have some hundred characters."""
_UNDECODABLE = (msgspec.MsgspecError, RecursionError, OverflowError, ValueError)
_DECODING = threading.Lock()
"""Decoding holds the interpreter lock for most of its time; threads that fight over it page by page lose a third."""


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """The Arrow schema of a batch: the columns, and ``_extra`` as JSON."""
    fields = [pa.field(column.name, ARROW_TYPES[column.type]) for column in columns]
    return pa.schema([*fields, pa.field(EXTRA, ARROW_TYPES[ColumnType.JSON])])


@dataclass(frozen=True)
class Page:
    """One decoded page.

    ``first_time`` and ``last_time`` are the times of its first and last row by the window's field, of those that have
    one; ``in_order`` says whether the times on the page never go down. ``has_links`` says whether its links have the
    member ``next``, be it null. ``ids`` are Klaviyo's, row by row; not every batch has them in a column.
    """

    batch: pa.RecordBatch
    ids: list[str]
    next_target: str | None
    first_time: datetime | None
    last_time: datetime | None
    in_order: bool
    unknown: Counter[str]
    misfits: Counter[str]
    has_links: bool

    @property
    def rows(self) -> int:
        """How many rows the page has."""
        return int(self.batch.num_rows)

    def filled(self, values: Mapping[str, str]) -> Page:
        """The page with these texts, by column, where the column has no value."""
        batch = self.batch
        for name, value in values.items():
            if name in batch.schema.names:
                column = pc.fill_null(batch.column(name), value)
                batch = batch.set_column(batch.schema.get_field_index(name), batch.schema.field(name), column)
        return self if batch is self.batch else replace(self, batch=batch)


class PageDecoder:
    """Decodes the pages of one data source in the shape of one revision. Safe to share between threads.

    Args:
        columns: The columns to make.
        revision: The revision that answered.
        time_column: The column of the window's time, for ``first_time`` and ``last_time``.
        resource: The type that every row must have; None for any.
        single: Whether an answer has one resource; otherwise a list of them.
        left_out: Columns that are known and not made: what they would have is kept nowhere.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        revision: str,
        time_column: str | None = None,
        *,
        resource: str | None = None,
        single: bool = False,
        left_out: Sequence[Column] = (),
    ) -> None:
        columns = [column.in_revision(revision) for column in columns]
        self._columns = [(column, column.path) for column in columns]
        self._time_column = time_column
        self._resource = resource
        self._single = single
        self._schema = arrow_schema(columns)
        dropped = [(column, column.path) for column in (each.in_revision(revision) for each in left_out)]
        self._own = [(path, column.type) for column, path in (*self._columns, *dropped) if path and not column.via]
        self._dropped = {path[1] for _column, path in dropped if path and path[0] == "attributes"}
        self._dropped -= {path[1] for _column, path in self._columns if path and path[0] == "attributes"}
        self._via = sorted({column.via for column in columns if column.via})
        self._nested: dict[str, set[str]] = {}
        for path, _kind in self._own:
            if path[0] == "attributes" and len(path) > 2:
                self._nested.setdefault(path[1], set()).add(path[2])
        self._typed = {path[1] for path, kind in self._own if path[0] == "attributes" and not is_raw(path, kind)}
        self._structs = structs.build(self._own, self._via, single=single)
        self._repeated_keys = defaultdict[str, RepeatedKeys](RepeatedKeys)

    def decode(self, body: bytes, constants: Mapping[str, Any] | None = None) -> Page:
        """Decode a page. ``constants`` are the values of columns that do not stand in the page.

        Raises:
            UnreadablePageError: if the body is not a JSON:API document with all of what was asked for.
        """
        found: SetAside | None = SetAside(body)
        for mend in (None, structs.mend_text, self._set_aside):
            if mend is not None:
                found = mend(body)
            if found is None:  # nothing to mend that way
                continue
            body = found.body
            try:
                with _DECODING:
                    return self._decode(found, constants or {})
            except _UNDECODABLE as error:
                problem = f"{type(error).__name__}: {error}"
        raise UnreadablePageError(f"not the JSON:API document it should be: {envelope.errors_of(body) or problem}")

    def _decode(self, found: SetAside, constants: Mapping[str, Any]) -> Page:
        body = found.body
        shapes = self._learn(body) if self._structs.reads_loosely else self._structs
        try:
            document = shapes.decoder.decode(body)
        except msgspec.ValidationError:
            shapes = self._learn(body)
            document = shapes.decoder.decode(body)
        envelope.check_members(body)
        unread = structs.all_attributes(body) if shapes.reads_loosely else []
        return self._page(shapes, document, unread, constants, found)

    def _set_aside(self, body: bytes) -> SetAside | None:
        return set_aside(body, self._typed)

    def _learn(self, body: bytes) -> Structs:
        """Structs that also take the attributes of a page that the catalogue does not know."""
        known = self._structs
        names = {name for attributes in structs.all_attributes(body) for name in attributes}
        new = names.difference(known.attributes, known.loose)
        if new and not known.is_crowded:
            extra = (*known.extra, *known.loose, *sorted(new))
            self._structs = structs.build(self._own, self._via, extra, single=self._single)
        return self._structs

    def _page(
        self,
        shapes: Structs,
        document: Any,  # noqa: ANN401 - a struct made at run time
        unread: list[dict[str, msgspec.Raw]],
        constants: Mapping[str, Any],
        found: SetAside,
    ) -> Page:
        envelope.refuse_errors(document.errors)
        data = document.data
        items = data if isinstance(data, list) else [data] if data is not None else []
        ids = [item.id for item in items]
        envelope.check_identities(zip(ids, (item.type for item in items), strict=True), self._resource)
        extras = Extras()
        for row, attributes in enumerate(unread):
            for name, value in attributes.items():
                if shapes.is_unread(name) and bytes(value) != b"null":
                    extras.keep(row, (name,), bytes(with_each_key_once(value)), extras.unknown)
        for name in shapes.extra:
            for row, value in enumerate(shapes.attribute(items, name)):
                if value is not None and bytes(value) != b"null":
                    extras.keep(row, (name,), bytes(with_each_key_once(value)), extras.unknown)
        objects = {
            name: self._objects(shapes, items, name, extras) for name in self._nested if name not in self._dropped
        }
        related = _Related(shapes, items, document.included) if self._via else None
        arrays: dict[str, pa.Array] = {}
        read: list[tuple[Column, Path, list[Any]]] = []
        for column, path in self._columns:
            if column.name in constants:
                arrays[column.name] = constant_array(constants[column.name], column.type, len(items))
                continue
            if path is None:
                arrays[column.name] = pa.nulls(len(items), ARROW_TYPES[column.type])
                continue
            if column.via:
                assert related is not None
                values = related.values(column, path)
                kept_at: Path = (column.name,)
            elif path[0] == "id":
                values, kept_at = ids, path
            elif path[0] == "relationships":
                values = [_linked(linkage, column) for linkage in shapes.linkage(items, path[1])]
                kept_at = (column.name,)
            elif len(path) == 2:
                values, kept_at = shapes.attribute(items, path[1]), path[1:]
                if column.type is ColumnType.JSON:
                    values = self._repeated_keys[column.name].mended(values)
            elif len(path) == 3 and column.type is not ColumnType.JSON and not column.named:
                key, kept_at = path[2], path[1:]
                values = [each.get(key) for each in objects[path[1]]]
            else:
                values, kept_at = [_walk(each, path[2:], column) for each in objects[path[1]]], path[1:]
            read.append((column, kept_at, values))
        converted = convert([(values, column.type) for column, _kept_at, values in read])
        for (column, kept_at, _values), (array, refused) in zip(read, converted, strict=True):
            arrays[column.name] = array
            for row, text in refused.items():
                extras.keep(row, kept_at, text, extras.misfits)
        for column, _path in self._columns:
            if column.made_of:
                arrays[column.name] = joined([arrays[name] for name in column.made_of])
        if arrays[self._schema.names[0]].null_count:
            raise UnreadablePageError("a row without an id")
        extras.set_aside(found, self._dropped)
        arrays[EXTRA] = extras.column(len(items))
        batch = pa.RecordBatch.from_arrays([arrays[name] for name in self._schema.names], schema=self._schema)
        link: Any = document.links.next if document.links is not None else msgspec.UNSET
        first, last, in_order = _times(batch, self._time_column)
        has_links = link is not msgspec.UNSET
        following = next_target(link) if has_links and link is not None else None
        return Page(batch, ids, following, first, last, in_order, extras.unknown, extras.misfits, has_links)

    def _objects(self, shapes: Structs, items: list[Any], name: str, extras: Extras) -> list[dict[str, Any]]:
        """A nested object of each row; what no column is made from is kept."""
        known, objects = self._nested[name], []
        for row, value in enumerate(shapes.attribute(items, name)):
            if isinstance(value, dict):
                objects.append(value)
                if not known.issuperset(value):
                    for key in value.keys() - known:
                        if value[key] is not None:
                            extras.keep(row, (name, key), msgspec.json.encode(value[key]), extras.unknown)
            else:
                objects.append({})
                if value is not None:
                    extras.keep(row, (name,), msgspec.json.encode(value), extras.misfits)
        return objects


class _Related:
    """The resources that came along in ``included``, found by the rows' relationships."""

    def __init__(self, shapes: Structs, items: list[Any], included: msgspec.Raw) -> None:
        self._structs = shapes
        self._items = items
        resources = msgspec.json.decode(included, type=list[dict[str, Any]] | None)
        self._by_id = {_identifier(each): each for each in resources or ()}
        self._by_row: dict[str, list[list[dict[str, Any]]]] = {}

    def values(self, column: Column, path: Path) -> list[Any]:
        """The column's value for each row."""
        assert column.via is not None
        if not self._by_id:
            return [None] * len(self._items)
        if column.via not in self._by_row:
            linkages = self._structs.linkage(self._items, column.via)
            self._by_row[column.via] = [self._resources(linkage) if linkage else [] for linkage in linkages]
        return [_of_related(found, column, path) if found else None for found in self._by_row[column.via]]

    def _resources(self, linkage: Any) -> list[dict[str, Any]]:  # noqa: ANN401
        identifiers = linkage if isinstance(linkage, list) else [linkage]
        found = [self._by_id.get(_identifier(each)) for each in identifiers]
        return [resource for resource in found if resource is not None]


def _of_related(resources: list[dict[str, Any]], column: Column, path: Path) -> Any:  # noqa: ANN401
    if column.every:
        return msgspec.Raw(msgspec.json.encode([_summary(each) for each in resources]))
    return _walk(resources[0], path, column)


def _summary(resource: dict[str, Any]) -> dict[str, Any]:
    """A related resource without its links: its id, its attributes, and what it relates to."""
    relationships = {
        name: linkage
        for name, relationship in _object(resource, "relationships").items()
        if (linkage := _step(relationship, "data"))
    }
    summary = {"id": resource.get("id"), **_object(resource, "attributes")}
    return summary | ({"relationships": relationships} if relationships else {})


def _identifier(resource: Any) -> tuple[str, str]:  # noqa: ANN401 - a resource, or what points at one
    return str(_step(resource, "type")), str(_step(resource, "id"))


def _linked(linkage: Any, column: Column) -> Any:  # noqa: ANN401 - whatever JSON holds
    """The id that a relationship has; all of its data for a column of JSON."""
    if column.type is ColumnType.JSON:
        return None if linkage is None else msgspec.Raw(msgspec.json.encode(linkage))
    return _step(linkage, "id")


def _step(value: Any, key: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    return value.get(key) if isinstance(value, dict) else None


def _object(resource: dict[str, Any], key: str) -> dict[str, Any]:
    found = resource.get(key)
    return found if isinstance(found, dict) else {}


def _walk(value: Any, path: Path, column: Column) -> Any:  # noqa: ANN401
    for key in path:
        value = _step(value, key)
    if column.named and isinstance(value, dict):
        value = value.get("name", value)
    if value is not None and column.type is ColumnType.JSON:
        return msgspec.Raw(msgspec.json.encode(value))
    return value


def next_target(link: str) -> str:
    """The target of a next link."""
    if not link or len(link) > LONGEST_LINK:
        raise UnreadablePageError(f"a next link of {len(link)} characters")
    return target_of_link(link)


def joined(parts: Sequence[pa.Array]) -> pa.Array:
    """Texts and times (ISO 8601, UTC) joined by colons, row by row; null where a part is null or empty."""
    if len(parts) == 1:
        return parts[0]
    rows = zip(*(_as_texts(part) for part in parts), strict=True)
    return string_array([":".join(row) if all(row) else None for row in rows])


def _as_texts(part: pa.Array) -> list[Any]:
    if not pa.types.is_timestamp(part.type):
        return part.to_pylist()  # type: ignore[no-any-return]
    return [None if at is None else from_microseconds(at).isoformat() for at in part.cast(pa.int64()).to_pylist()]


def _times(batch: pa.RecordBatch, name: str | None) -> tuple[datetime | None, datetime | None, bool]:
    if name is None or batch.num_rows == 0:
        return None, None, True
    times = batch.column(name)
    # A row without a time has no place in the order; it does not hide those of the others.
    stored = stored_times(times.drop_null() if times.null_count else times)
    if not len(stored):
        return None, None, True
    in_order = bool((stored[:-1] <= stored[1:]).all())
    return from_microseconds(stored[0]), from_microseconds(stored[-1]), in_order
