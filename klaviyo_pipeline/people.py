"""Identifiers of people: one spelling of each, keyed hashes of them, and how they are found in text.

An e-mail address, a phone number and an id are written in many ways. Hashes are made from one spelling, so that the
same person has the same hash in every table.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any
from urllib.parse import unquote_plus

HASH_DIGITS = 32
"""A hash has so many hexadecimal digits: 128 bits of HMAC-SHA256."""
ERASED = "[erased]"
"""Stands where a value mentioned a person who was erased."""
LEAST_ID = 6
"""A shorter id of the account's own system, or one of digits only, such as 1001, is taken for a person's only under a
name that says so: orders and products have such ids too."""


class Kind(StrEnum):
    """Kinds of identifiers."""

    PROFILE = "profile"
    EMAIL = "email"
    PHONE = "phone"
    EXTERNAL = "external_id"


_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"))
_EMAIL = re.compile(r"[^\s\"'<>,;:()\[\]{}\\|=&?#/@]+@[^\s\"'<>,;:()\[\]{}\\|=&?#/@]+")
_DIGITS = re.compile(r"[+(]{0,2}\d[\d\s().\-/\u2010-\u2015\u00b7]{4,28}\d")
_TRUNK_ZERO = re.compile(r"\(\s*0\s*\)")
_ID = re.compile(r"(?<![0-9a-z])01[0-9a-z]{24}(?![0-9a-z])")
"""How Klaviyo writes the ids of profiles: a ULID, folded here."""
_HASH = re.compile(rf"(?<![0-9a-z])[0-9a-f]{{{HASH_DIGITS}}}(?![0-9a-z])")
_NAMES_AN_ID = re.compile(
    r"(external|customer|user|person|profile|client|member|shopper|subscriber).{0,2}(id|number|no)"
)
_NAMES_A_PHONE = re.compile(r"phone|mobile|tel|cell|sms|whatsapp|handy|call|contact")
_TWO_DIGIT_CODES = frozenset(
    map(
        str,
        (
            *(20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56, 57, 58),
            *(60, 61, 62, 63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98),
        ),
    )
)
"""Country codes of two digits. 1 and 7 have one, all others three."""
_FEWEST_DIGITS, _MOST_DIGITS = 7, 17
_MOST_GROUPS = 7


def folded(text: str) -> str:
    """Text in Unicode's form NFKC, without case and without invisible characters."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).translate(_INVISIBLE)


def plain(text: str) -> str:
    """The spelling of an id from which its hash is made: NFKC, without spaces around it. Case counts."""
    return unicodedata.normalize("NFKC", text).translate(_INVISIBLE).strip()


def email(text: str) -> str:
    """The spelling of an address from which its hash is made: folded, and the host without Punycode.

    ``anna+shop@example.com`` and ``anna@example.com`` stay two addresses.
    """
    name, at, host = folded(text).strip().removeprefix("mailto:").rpartition("@")
    if "xn--" in host:
        with suppress(UnicodeError):
            host = host.encode("ascii").decode("idna")
    return f"{name}{at}{folded(host).rstrip('.')}"


def mailbox(text: str) -> str:
    """The mailbox of an address: without what stands behind a plus. It names one person."""
    name, at, host = email(text).rpartition("@")
    return f"{name.partition('+')[0] or name}{at}{host}"


def phone(text: str) -> str:
    """The spelling of a phone number from which its hash is made: ``+`` and digits, or the digits alone.

    ``00`` in front is a plus. A national number stays national: nothing says of which country it is.
    """
    number = _TRUNK_ZERO.sub("", folded(text)).strip()
    digits = "".join(str(unicodedata.digit(each)) for each in number if each.isdigit())
    if number.lstrip("( ").startswith("+"):
        return f"+{digits}"
    return f"+{digits[2:]}" if digits.startswith("00") else digits


def national(number: str) -> str:
    """The digits of an international number behind its country's code; of another one, those behind its zeros."""
    if not number.startswith("+"):
        return number.lstrip("0")
    digits = number[1:]
    if digits[:1] in ("1", "7"):
        return digits[1:]
    return digits[2:] if digits[:2] in _TWO_DIGIT_CODES else digits[3:]


def keyed_hash(secret: bytes, text: str) -> str:
    """The hash of a normalised text."""
    return hmac.digest(secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()[:HASH_DIGITS]


def tokens(kind: Kind, value: str) -> Iterator[str]:
    """What is remembered of an identifier: its kind and its spelling.

    Of an international phone number, also how it is written in its country; of a national one, only that.
    """
    if kind is Kind.PHONE and value.strip():
        number = phone(value)
        if len(number) >= _FEWEST_DIGITS:
            yield from (f"phone:{number}", f"national:{national(number)}") if number[0] == "+" else (_bare(number),)
    elif value.strip():
        yield f"{kind}:{_SPELLED[kind](value)}"


def _looked_up(kind: Kind, value: str) -> Iterable[str]:
    """The tokens, one of which is remembered if an identifier is that of the person.

    Two international numbers are the same if all of their digits are. A national one may be of any country.
    """
    if kind is not Kind.PHONE:
        return tokens(kind, value)
    number = phone(value)
    if len(number) < _FEWEST_DIGITS:
        return ()
    digits = national(number)
    return (
        (f"phone:{number}", f"bare:{digits}")
        if number[0] == "+"
        else (f"national:{digits}", f"bare:{digits}", f"phone:+{digits}")
    )


def _bare(number: str) -> str:
    return f"bare:{national(number)}"


def emails_in(text: str) -> list[str]:
    """The addresses in a text, also percent-encoded."""
    if "@" not in text and "%" not in text and "\uff20" not in text:
        return []
    return [found for each in _readings(text) for found in _EMAIL.findall(folded(each))]


def phones_in(text: str) -> Iterator[tuple[str, bool]]:
    """What may be phone numbers in a text, as ``phone`` spells them, and whether each is written as plain digits.

    Plain digits without a zero in front may be anything, such as a time in seconds.
    """
    for found in _DIGITS.findall(_TRUNK_ZERO.sub("", folded(text))):
        groups = found.split()
        for first in range(min(len(groups), _MOST_GROUPS)):
            for last in range(first + 1, min(len(groups), first + _MOST_GROUPS) + 1):
                number = phone("".join(groups[first:last]))
                if _FEWEST_DIGITS <= len(number) <= _MOST_DIGITS:
                    yield number, last - first == 1 and groups[first].isdigit() and groups[first][0] != "0"


def _readings(text: str) -> Iterable[str]:
    return (text, unquote_plus(text)) if "%" in text else (text,)


_SPELLED: dict[Kind, Callable[[str], str]] = {
    Kind.PROFILE: lambda text: folded(text).strip(),
    Kind.EMAIL: mailbox,
    Kind.EXTERNAL: plain,
}


@dataclass(frozen=True)
class People:
    """People to look for, by the tokens of their identifiers.

    Args:
        tokens: Tokens, or keyed hashes of tokens.
        digest: Makes of a token what ``tokens`` has.
        hashes: Hashes that a privacy rule made of these people's identifiers.
    """

    tokens: frozenset[str]
    digest: Callable[[str], str] = lambda token: token
    hashes: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.tokens or self.hashes)

    def has(self, kind: Kind, value: str) -> bool:
        """Whether a value of this kind is one of these people's."""
        return value in self.hashes or any(self.digest(token) in self.tokens for token in _looked_up(kind, value))

    def is_mentioned_in(self, text: str, name: str = "") -> bool:
        """Whether a text, the value of ``name``, has an identifier of one of these people in it."""
        small = folded(text)
        if any(self.has(Kind.EMAIL, each) for each in emails_in(text)):
            return True
        if any(self.has(Kind.PROFILE, each) for each in _ID.findall(small)) or self.has(Kind.PROFILE, text):
            return True
        if any(self._is_phone(each, is_plain, name, small) for each, is_plain in phones_in(text)):
            return True
        if self.hashes and any(each in self.hashes for each in _HASH.findall(small)):
            return True
        id_ = plain(text)
        is_telling = len(id_) >= LEAST_ID and not id_.isdigit()
        return (is_telling or _NAMES_AN_ID.search(folded(name)) is not None) and self.has(Kind.EXTERNAL, text)

    def _is_phone(self, number: str, is_plain: bool, name: str, text: str) -> bool:
        if not is_plain or _NAMES_A_PHONE.search(f"{folded(name)} {text}"):
            return self.has(Kind.PHONE, number)
        return self.digest(f"phone:+{number}") in self.tokens

    def without(self, value: Any, name: str = "") -> Any:  # noqa: ANN401 - whatever JSON holds
        """A JSON value in which each text, number and name that mentions one of these people is ``[erased]``."""
        if isinstance(value, dict):
            return {self._name(key): self.without(each, key) for key, each in value.items()}
        if isinstance(value, list):
            return [self.without(each, name) for each in value]
        if isinstance(value, str):
            return ERASED if self.is_mentioned_in(value, name) else value
        if isinstance(value, int) and not isinstance(value, bool) and self.is_mentioned_in(str(value), name):
            return ERASED
        return value

    def _name(self, key: str) -> str:
        return ERASED if self.is_mentioned_in(key) else key


class Nobody(People):
    """Nobody to look for."""

    def __init__(self) -> None:
        super().__init__(frozenset())


@dataclass(frozen=True)
class Person:
    """What is known of a person: the ids of profiles, addresses, phone numbers, ids of the account's own system."""

    profiles: frozenset[str] = frozenset()
    emails: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()
    external_ids: frozenset[str] = frozenset()

    def __or__(self, other: Person) -> Person:
        return Person(
            self.profiles | other.profiles,
            self.emails | other.emails,
            self.phones | other.phones,
            self.external_ids | other.external_ids,
        )

    @cached_property
    def tokens(self) -> frozenset[str]:
        """The tokens of all identifiers."""
        named = (
            (Kind.PROFILE, self.profiles),
            (Kind.EMAIL, self.emails),
            (Kind.PHONE, self.phones),
            (Kind.EXTERNAL, self.external_ids),
        )
        return frozenset(token for kind, values in named for value in values for token in tokens(kind, value))

    def known(self, secret: bytes | None = None) -> People:
        """To look for in text; with a ``secret``, also for the hashes that privacy rules made."""
        hashes: set[str] = set()
        if secret is not None:
            spelled = {
                *map(email, self.emails),
                *map(mailbox, self.emails),
                *map(phone, self.phones),
                *map(plain, self.external_ids),
            }
            hashes = {keyed_hash(secret, each) for each in spelled}
        return People(self.tokens, hashes=frozenset(hashes))


UNUSUAL = r"[^\x00-\x7F]|\\u[0-9a-fA-F]{4}|%[0-9a-fA-F]{2}"
"""A regular expression for texts that ``pattern`` does not see through: other letters, and what is escaped."""


def pattern(person: Person, people: People) -> str:
    """A regular expression, for RE2 and Python, without regard to case: ASCII text that mentions the person fits it.

    Others may fit it too.
    """
    found = [re.escape(folded(each).strip()) for each in person.profiles]
    for each in person.emails:
        name, _at, host = email(each).rpartition("@")
        found.append(re.escape(name.partition("+")[0] or name) + "[^@]*@" if name.isascii() else "@" + re.escape(host))
    found += ["[^0-9a-z]{0,4}".join(national(phone(each))) for each in person.phones]
    found += [re.escape(plain(each)) for each in person.external_ids]
    found += sorted(people.hashes)
    return "|".join(each for each in found if each) or r"[^\s\S]"
