"""Values that servers send and that our decoders cannot read.

These are values nested too deeply, numbers beyond any number type, and ``NaN`` and ``Infinity``, which are not JSON.
One such value must not fail its page. A page that cannot be decoded is scanned token by token: the scan takes out an
attribute with such a value, and its text is kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass, field

import msgspec

MOST_NESTED = 500
"""The decoder follows a little less than Python's recursion limit (1,000), depending on who calls it."""
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]|[^\s"\[\]{},:]+', re.DOTALL)
_NO_JSON = frozenset({b"NaN", b"Infinity", b"-Infinity"})
_LONGEST_NUMBER = 1000


@dataclass
class SetAside:
    """A page without the values that cannot be decoded.

    ``values`` has the values of rows: the row, the name of the attribute (or of another member), and its text. In
    ``body`` they are null. ``elsewhere`` counts values outside rows; in ``body`` they are text.
    """

    body: bytes
    values: list[tuple[int, str, str]] = field(default_factory=list)
    elsewhere: int = 0


@dataclass
class _Frame:
    """An open object or array, and the key or index of the value in it that is being read."""

    is_object: bool
    key: bytes | int | None


@dataclass
class _Suspect:
    """A value that may have to be taken out: an attribute, or one that begins too deep."""

    start: int
    depth: int
    place: _Place | None
    is_bad: bool = False


@dataclass(frozen=True)
class _Place:
    """A row, and which of its attributes (or other members)."""

    row: int
    name: bytes
    is_attribute: bool


def set_aside(body: bytes, typed: Collection[str]) -> SetAside | None:
    """A page whose attributes can all be decoded, or None if it needs no change.

    ``typed`` are the attributes whose numbers are decoded. In others a number of any size is text.
    """
    found = SetAside(b"")
    kept: list[bytes] = []
    through = 0
    frames: list[_Frame] = []
    suspect: _Suspect | None = None
    text = b""

    def take_out(start: int, end: int, place: _Place | None) -> None:
        nonlocal through
        taken = body[start:end].decode("utf-8", "replace")
        if place is None:
            found.elsewhere += 1
        else:
            found.values.append((place.row, _name(place.name), taken))
        kept.extend((body[through:start], b"null" if place is not None else msgspec.json.encode(taken)))
        through = end

    for token in _TOKEN.finditer(body):
        word, start, end = token[0], token.start(), token.end()
        first = word[:1]
        if first == b'"':
            text = word
        elif first == b":":
            if frames and frames[-1].is_object:
                frames[-1].key = text
        elif first == b",":
            if frames and isinstance(frames[-1].key, int):
                frames[-1].key += 1
        elif first in (b"{", b"["):
            if suspect is None:
                place = _place(frames)
                is_deep = len(frames) >= MOST_NESTED
                if is_deep or (place is not None and place.is_attribute and len(frames) in (3, 4)):
                    suspect = _Suspect(start, len(frames), place, is_deep)
            frames.append(_Frame(first == b"{", None if first == b"{" else 0))
            if suspect is not None and len(frames) > MOST_NESTED:
                suspect.is_bad = True
        elif first in (b"}", b"]"):
            if not frames:
                return None
            frames.pop()
            if suspect is not None and len(frames) == suspect.depth:
                if suspect.is_bad:
                    take_out(suspect.start, end, suspect.place)
                suspect = None
        elif suspect is not None:
            suspect.is_bad |= _is_bad(word, _is_decoded(suspect.place, typed))
        else:
            place = _place(frames)
            if _is_bad(word, _is_decoded(place, typed)):
                take_out(start, end, place)
    if not through:
        return None
    found.body = b"".join([*kept, body[through:]])
    return found


def _place(frames: list[_Frame]) -> _Place | None:
    """Where the next value belongs: ``data[row].attributes.name``, or ``data[row].name`` and what lies below it."""
    keys = [frame.key for frame in frames[:4]]
    row = keys.pop(1) if len(keys) > 1 and isinstance(keys[1], int) else 0
    if len(keys) < 2 or keys[0] != b'"data"' or not isinstance(row, int):
        return None
    is_attribute = keys[1] == b'"attributes"' and len(keys) > 2
    name = keys[2] if is_attribute else keys[1]
    return _Place(row, name, is_attribute) if isinstance(name, bytes) else None


def _is_decoded(place: _Place | None, typed: Collection[str]) -> bool:
    return place is None or not place.is_attribute or _name(place.name) in typed


def _name(quoted: bytes) -> str:
    try:
        return str(msgspec.json.decode(quoted))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return quoted.decode("utf-8", "replace")


def _is_bad(word: bytes, is_decoded: bool) -> bool:
    """Whether a bare word is a number that cannot be decoded, or would be if it were JSON."""
    if word in _NO_JSON:
        return True
    if not is_decoded or word[0] not in b"-0123456789":
        return False
    if len(word) > _LONGEST_NUMBER:
        return True
    try:
        return not -(2**63) <= int(word) < 2**64
    except ValueError:
        pass
    try:
        return math.isinf(float(word))
    except ValueError:
        return False
