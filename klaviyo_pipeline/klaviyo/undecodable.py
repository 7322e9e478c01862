"""Values that JSON allows, or that servers write all the same, and that no decoder here can take.

These are values nested deeper than the decoder can follow, numbers beyond any number type, and ``NaN`` and
``Infinity``, which are no JSON. One such value must not fail its page. A page that cannot be decoded is scanned
token by token: an attribute that has such a value is taken out, to be kept as text.
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

    ``attributes`` are the rows and names of attributes that are null in ``body`` now, and what stood there as
    text. ``elsewhere`` counts values outside of attributes: in ``body`` they are their own text.
    """

    body: bytes
    attributes: list[tuple[int, str, str]] = field(default_factory=list)
    elsewhere: int = 0


@dataclass
class _Frame:
    """An open object or array, and the key or index of the value in it that is being read."""

    is_object: bool
    key: bytes | int | None


@dataclass
class _Suspect:
    """A value that may have to be taken out: an attribute (``name``), or one that begins too deep."""

    start: int
    depth: int
    row: int = 0
    name: bytes | None = None
    is_bad: bool = False


def set_aside(body: bytes, typed: Collection[str]) -> SetAside | None:
    """A page whose attributes can all be decoded, or None where that takes no change.

    ``typed`` are the attributes whose numbers are decoded; in others a number of any size is only text.
    """
    found = SetAside(b"")
    kept: list[bytes] = []
    through = 0
    frames: list[_Frame] = []
    suspect: _Suspect | None = None
    text = b""

    def take_out(start: int, end: int, row: int, name: bytes | None) -> None:
        nonlocal through
        taken = body[start:end].decode("utf-8", "replace")
        if name is None:
            found.elsewhere += 1
        else:
            found.attributes.append((row, _name(name), taken))
        kept.extend((body[through:start], b"null" if name is not None else msgspec.json.encode(taken)))
        through = end

    for token in _TOKEN.finditer(body):
        word, start, end = token[0], token.start(), token.end()
        first = word[:1]
        if first == b'"':
            text = word
        elif first == b":":
            if frames:
                frames[-1].key = text
        elif first == b",":
            if frames and not frames[-1].is_object:
                frames[-1].key += 1  # type: ignore[operator]
        elif first in (b"{", b"["):
            if suspect is None:
                attribute = _attribute(frames)
                if attribute is not None:
                    suspect = _Suspect(start, len(frames), *attribute)
                elif len(frames) >= MOST_NESTED:
                    suspect = _Suspect(start, len(frames), is_bad=True)
            frames.append(_Frame(first == b"{", None if first == b"{" else 0))
            if suspect is not None and len(frames) > MOST_NESTED:
                suspect.is_bad = True
        elif first in (b"}", b"]"):
            if not frames:
                return None
            frames.pop()
            if suspect is not None and len(frames) == suspect.depth:
                if suspect.is_bad:
                    take_out(suspect.start, end, suspect.row, suspect.name)
                suspect = None
        elif suspect is not None:
            suspect.is_bad |= _is_bad(word, suspect.name is None or _name(suspect.name) in typed)
        else:
            row, name = _attribute(frames) or (0, None)
            if _is_bad(word, name is None or _name(name) in typed):
                take_out(start, end, row, name)
    if not through:
        return None
    found.body = b"".join([*kept, body[through:]])
    return found


def _attribute(frames: list[_Frame]) -> tuple[int, bytes] | None:
    """The row and the quoted name, if the next value is an attribute of a row: ``data[row].attributes.name``."""
    keys = [frame.key for frame in frames] if len(frames) in (3, 4) else []
    row = keys.pop(1) if len(keys) == 4 else 0
    if keys[:2] == [b'"data"', b'"attributes"'] and isinstance(row, int) and isinstance(keys[2], bytes):
        return row, keys[2]
    return None


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
