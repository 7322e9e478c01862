"""The msgspec structs behind a PageDecoder, made from the columns' paths.

Values that become typed columns are decoded as whatever they are (a value of the wrong type must not fail the
page); JSON columns stay raw text. ``attributes`` refuses unknown fields, so that a field that Klaviyo added is
noticed; once noticed it is part of the struct, and later pages decode in one pass again.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec

from klaviyo_pipeline.klaviyo.catalogue.columns import ColumnType
from klaviyo_pipeline.klaviyo.decode.undecodable import SetAside

Path = tuple[str, ...]


class _Links(msgspec.Struct, gc=False):
    next: str | msgspec.UnsetType | None = msgspec.UNSET


class _LooseItem(msgspec.Struct, gc=False):
    attributes: dict[str, msgspec.Raw] | None = None


class _LoosePage(msgspec.Struct, gc=False):
    data: list[_LooseItem] | _LooseItem | None


MOST_LEARNED = 2000
"""So many attributes that no column is made from become part of the decoder."""
_NO_FIELD_NAME = re.compile(r'[\\"\x00-\x1f]')
_LOOSE_DECODER = msgspec.json.Decoder(_LoosePage)


@dataclass(frozen=True)
class Structs:
    """A decoder for pages, and the names that attributes and relationships have in what it makes."""

    decoder: msgspec.json.Decoder[Any]
    attributes: Mapping[str, str]
    relationships: Mapping[str, str]
    extra: tuple[str, ...]
    """Attributes that no column is made from."""
    loose: tuple[str, ...] = ()
    """Such attributes whose names msgspec takes for no field; with them, unknown ones go unnoticed here."""
    is_crowded: bool = False
    """More attributes were met that no column is made from than are learned: they are looked for in each page."""

    @property
    def reads_loosely(self) -> bool:
        """Whether the decoder passes over attributes that it does not know."""
        return bool(self.loose) or self.is_crowded

    def is_unread(self, name: str) -> bool:
        """Whether the decoder passed over an attribute."""
        return name in self.loose or (self.is_crowded and name not in self.attributes)

    def attribute(self, items: list[Any], name: str) -> list[Any]:
        """An attribute's value in each row, None where it is missing."""
        return _read(items, "attributes", self.attributes[name])

    def linkage(self, items: list[Any], relationship: str) -> list[Any]:
        """A relationship's resource linkage (``data``) in each row, None where it is missing."""
        return [
            None if found is None else found.data
            for found in _read(items, "relationships", self.relationships[relationship])
        ]


def build(
    paths: Iterable[tuple[Path, ColumnType]], via: Iterable[str], extra: tuple[str, ...] = (), *, single: bool = False
) -> Structs:
    """Make the structs for columns at these paths, relationships to follow, and extra attributes met so far.

    A page of a collection has a list as ``data``; a ``single`` one has an object, or null for a thing that is not.
    """
    is_crowded = len(extra) > MOST_LEARNED
    extra = () if is_crowded else extra
    loose = tuple(name for name in extra if _NO_FIELD_NAME.search(name))
    extra = tuple(name for name in extra if name not in loose)
    attributes: dict[str, Any] = dict.fromkeys(extra, msgspec.Raw)
    relationships: dict[str, None] = dict.fromkeys(via)
    for path, kind in paths:
        if path[0] == "attributes":
            attributes[path[1]] = msgspec.Raw if is_raw(path, kind) else Any
        elif path[0] == "relationships":
            relationships[path[1]] = None
    attribute_fields = {name: f"a{i}" for i, name in enumerate(attributes)}
    relationship_fields = {name: f"r{i}" for i, name in enumerate(relationships)}
    attributes_struct = msgspec.defstruct(
        "Attributes",
        [(attribute_fields[name], kind, msgspec.field(default=None, name=name)) for name, kind in attributes.items()],
        forbid_unknown_fields=not (loose or is_crowded),
        gc=False,
    )
    relationship_struct = msgspec.defstruct("Relationship", [("data", Any, None)], gc=False)
    relationships_struct = msgspec.defstruct(
        "Relationships",
        [
            (name, relationship_struct | None, msgspec.field(default=None, name=original))
            for original, name in relationship_fields.items()
        ],
        gc=False,
    )
    item = msgspec.defstruct(
        "Item",
        [
            ("id", Any, None),
            ("type", Any, None),
            ("attributes", attributes_struct | None, None),
            ("relationships", relationships_struct | None, None),
        ],
        gc=False,
    )
    page = msgspec.defstruct(
        "Page",
        [
            ("data", item | None if single else list[item]),  # type: ignore[valid-type]
            ("links", _Links | None, None),
            ("errors", msgspec.Raw, msgspec.Raw(b"null")),
            ("included", msgspec.Raw, msgspec.Raw(b"null")),
        ],
        gc=False,
    )
    return Structs(msgspec.json.Decoder(page), attribute_fields, relationship_fields, extra, loose, is_crowded)


def is_raw(path: Path, kind: ColumnType) -> bool:
    """Whether a column takes its attribute's JSON as text, unread."""
    return kind is ColumnType.JSON and len(path) == 2


def all_attributes(body: bytes) -> list[dict[str, msgspec.Raw]]:
    """What stands below ``attributes`` in each row of a page, unread."""
    data = _LOOSE_DECODER.decode(body).data
    items = data if isinstance(data, list) else [data]
    return [item.attributes or {} for item in items if item is not None]


def mend_text(body: bytes) -> SetAside | None:
    """A page without a byte order mark, in which the escape of half a character stands as U+FFFD; None if it is so.

    A text cut off in the middle of an emoji ends in such a half; no UTF-8 can hold it, and msgspec refuses the page.
    """
    mended = _ESCAPE.sub(lambda found: rb"\ufffd" if len(found[0]) == _HALF else found[0], body)
    mended = mended.removeprefix(codecs.BOM_UTF8)
    return None if mended == body else SetAside(mended)


_HALF = len(rb"\ud83d")
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)", re.DOTALL
)


def _read(items: list[Any], parent: str, field: str) -> list[Any]:
    try:
        return list(map(attrgetter(f"{parent}.{field}"), items))
    except AttributeError:  # a row without the parent object
        return [getattr(getattr(item, parent), field, None) for item in items]
