"""What a JSON text says, apart from how it is spelled: two texts with the same content have the same digest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from operator import itemgetter
from typing import Any


def content_digest(texts: Sequence[str | None]) -> bytes:
    """A digest of the content of a row's JSON texts.

    The order of keys, white space, escapes and the spelling of numbers (``1``, ``1.0``, ``1e0``) do not count. All
    digits of a number count. Of a key that an object has twice, the last value counts, as for JSON parsers.
    """
    return blake2b(repr([_content(text) for text in texts]).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _content(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return repr(_DECODER.decode(text))
    except (ValueError, RecursionError):  # nested too deep, or no JSON: then the text itself is the content
        return text


class _Number(str):
    """A number's digits, so written that equal numbers are equal; not to be mixed up with a text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _number(text: str) -> _Number:
    try:
        sign, digits, exponent = Decimal(text).as_tuple()
    except InvalidOperation:  # an exponent beyond any reason
        return _Number(text)
    whole = "".join(map(str, digits)).lstrip("0")
    significant = whole.rstrip("0")
    if not significant or not isinstance(exponent, int):
        return _Number("0" if isinstance(exponent, int) else text)
    return _Number(f"{'-' * sign}{significant}e{exponent + len(whole) - len(significant)}")


def _object(pairs: list[tuple[str, Any]]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(dict(pairs).items(), key=itemgetter(0)))


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_number, parse_float=_number)
