"""What a JSON text says, apart from how it is spelled: two texts with the same content have the same digest."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from hashlib import blake2b

import msgspec

_LONGEST_INTEGER = 400


def content_digest(texts: Sequence[str | None]) -> bytes:
    """A digest of the content of a row's JSON texts.

    The order of keys, white space, escapes and the spelling of numbers (``1``, ``1.0``, ``1e0``) do not count. All
    digits of a number count. Of a key that an object has twice, the last value counts, as for JSON parsers. A text that
    the decoder can't take (nested too deep, half an emoji) is its own content.
    """
    digest = blake2b(digest_size=16)
    for text in texts:
        content = b"-" if text is None else _content(text)
        digest.update(b"%d:%b" % (len(content), content))
    return digest.digest()


def _content(text: str) -> bytes:
    try:
        return _ENCODER.encode(_DECODER.decode(text))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return text.encode("utf-8", "surrogatepass")


def _number(text: str) -> int | Decimal | str:
    """A number with a point or an exponent, so that equal numbers are spelled alike, without rounding."""
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent beyond any reason
        return f"number {text}"
    sign, digits, exponent = number.as_tuple()
    if not any(digits) or not isinstance(exponent, int):
        return 0
    while digits[-1] == 0:
        digits, exponent = digits[:-1], exponent + 1
    number = Decimal((sign, digits, exponent))
    return int(number) if 0 <= exponent < _LONGEST_INTEGER else number


_DECODER = msgspec.json.Decoder(float_hook=_number)
_ENCODER = msgspec.json.Encoder(order="sorted", decimal_format="number")
