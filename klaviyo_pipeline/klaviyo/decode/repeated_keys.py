"""JSON objects that have a key twice: JSON parsers take the last value, DuckDB's functions the first one.

Such a text is written anew with the last value, so that every reader sees the same. To look into every text would take
a quarter of the time of decoding, and no server is known that sends such objects. So the first texts of a load are all
looked into, and one in so many after these; once one is found, all of them.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

FIRST_TEXTS = 2000
"""So many texts of each column are all looked into."""
ONE_IN = 64


class RepeatedKeys:
    """Rewrites JSON texts of one column in which an object has a key twice."""

    def __init__(self) -> None:
        self._seen = 0
        self._look_at_all = False

    def mended(self, texts: list[msgspec.Raw | None]) -> list[msgspec.Raw | None]:
        """A page's texts, each object with each key once."""
        step = ONE_IN if self._seen >= FIRST_TEXTS and not self._look_at_all else 1
        first = -self._seen % step
        self._seen += len(texts)
        for row in range(first, len(texts), step):
            text = texts[row]
            if text is not None and (mended := with_each_key_once(text)) is not text:
                self._look_at_all = True
                if step > 1:
                    return self.mended(texts)
                texts[row] = mended
        return texts


def with_each_key_once(text: msgspec.Raw) -> msgspec.Raw:
    """The text itself, or one with the last value of each key; numbers keep their digits."""
    sent = bytes(text)
    if sent[:1] not in (b"{", b"["):
        return text
    try:
        if sent.count(b'":') == msgspec.json.encode(msgspec.json.decode(sent)).count(b'":'):
            return text
    except (msgspec.MsgspecError, RecursionError):  # a number that Python can't hold: the other parser tells
        pass
    is_mended = False

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal is_mended
        found = dict(pairs)
        is_mended |= len(found) < len(pairs)
        return found

    try:
        content = json.loads(sent, object_pairs_hook=once, parse_int=_digits, parse_float=_digits)
        return msgspec.Raw(msgspec.json.encode(content)) if is_mended else text
    except (ValueError, RecursionError):  # nested too deep: it stays as it came
        return text


def _digits(text: str) -> msgspec.Raw:
    return msgspec.Raw(text)
