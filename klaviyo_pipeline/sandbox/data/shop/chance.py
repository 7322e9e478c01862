"""Seeded randomness, and ids that look like Klaviyo's.

Source of the id shapes: recorded answers (events base62, profiles and campaigns ULID, others 6 characters).
"""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = [first + second for first in _BASE62 for second in _BASE62]
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Chance(Random):
    """Randomness for one part of the shop, so that the size of one part doesn't shift another."""

    def __init__(self, seed: int, part: str) -> None:
        super().__init__(f"{seed}:{part}")
        self._taken: set[str] = set()

    def one_of(self, things: Sequence[T]) -> T:
        """Any one of them; several times faster than `choice`."""
        return things[int(self.random() * len(things))]

    def early(self, things: Sequence[T]) -> T:
        """One of them, the first far likelier than the last."""
        return things[int(self.random() ** 2.2 * len(things))]

    def event_id(self) -> str:
        """11 characters, base62."""
        bits = self.getrandbits(60)
        return (
            "7"
            + _PAIRS[bits % 3844]
            + _PAIRS[(bits >> 12) % 3844]
            + _PAIRS[(bits >> 24) % 3844]
            + _PAIRS[(bits >> 36) % 3844]
            + _PAIRS[(bits >> 48) % 3844]
        )

    def short_id(self) -> str:
        """6 characters, unlike any that this part gave before."""
        while True:
            made = self.one_of(_LETTERS) + "".join(self.one_of(_BASE62) for _ in range(5))
            if made not in self._taken:
                self._taken.add(made)
                return made

    def ulid(self, time_us: int) -> str:
        """A ULID of that time."""
        number = ((time_us // 1000) << 80) | self.getrandbits(80)
        characters = []
        for _ in range(26):
            characters.append(_CROCKFORD[number & 31])
            number >>= 5
        return "".join(reversed(characters))

    def event_uuid(self, timestamp: int) -> str:
        """A UUID whose time part is the event's, as Klaviyo's are."""
        bits = self.getrandbits(80)
        return f"{timestamp & 0xFFFFFFFF:08x}-{bits & 0xFFFF:04x}-11f1-8001-{bits >> 32:012x}"
