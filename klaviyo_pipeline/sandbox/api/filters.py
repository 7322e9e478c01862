"""Klaviyo's filter grammar: `op(field,value)`, commas or `and(…)` between conditions, nothing else.

Source: Klaviyo's filtering guide; the errors for a wrong operator or field as recorded on 2026-07-15.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from klaviyo_pipeline.sandbox.api.contracts import Filterable
from klaviyo_pipeline.sandbox.api.errors import ApiError, invalid
from klaviyo_pipeline.sandbox.data.times import parse_time

Value = str | int | bool | tuple[str | int | bool, ...] | None

_KNOWN_OPERATORS = frozenset(
    [
        "equals",
        "less-than",
        "less-or-equal",
        "greater-than",
        "greater-or-equal",
        "contains",
        "contains-any",
        "contains-all",
        "ends-with",
        "starts-with",
        "any",
        "has",
    ]
)


@dataclass(frozen=True, slots=True)
class _Quoted:
    text: str


_Literal = str | _Quoted
_Found = tuple[str, str, list[_Literal], bool]


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, its literal read by the field's kind (a time in microseconds)."""

    field: str
    operator: str
    value: Value


def parse_filter(text: str, fields: Mapping[str, Filterable]) -> tuple[Condition, ...]:
    """Read a filter expression for an endpoint that takes these fields.

    Raises:
        ApiError: 400 as Klaviyo words it.
    """
    reader = _Reader(text)
    conditions = [_checked(*found, fields) for found in reader.expression()]
    return tuple(conditions)


def _malformed(text: str) -> ApiError:
    return invalid(f"Invalid filter provided: {text}", parameter="filter")  # inferred wording


def _checked(
    operator: str, name: str, literals: list[_Literal], is_array: bool, fields: Mapping[str, Filterable]
) -> Condition:
    filterable = fields.get(name)
    if filterable is None:
        known = ", ".join(sorted(fields))
        raise invalid(
            f"'{name}' is not a filterable field for this resource. "
            f"The filterable fields on this resource are: {known}",
            parameter="filter",
        )
    if operator not in filterable.operators:
        allowed = ", ".join(sorted(filterable.operators))
        raise invalid(
            f"'{operator}' is not an allowed filter operator for {name}.  Allowed operators are {allowed}",
            parameter="filter",
        )
    if operator == "has":
        return Condition(name, operator, None)
    values = [_literal(literal, filterable.kind, name) for literal in literals]
    if operator in ("any", "contains-any"):
        if not is_array:
            raise _malformed(f"'{operator}' takes an array for {name}")
        return Condition(name, operator, tuple(values))
    if is_array or len(values) != 1:
        raise _malformed(f"'{operator}' takes one value for {name}")
    return Condition(name, operator, values[0])


def _literal(literal: _Literal, kind: str, name: str) -> str | int | bool:
    quoted = isinstance(literal, _Quoted)
    text = literal.text if isinstance(literal, _Quoted) else literal
    if kind == "str":
        if not quoted:
            raise _malformed(f"the value of {name} must be a quoted string")
        return text
    if kind == "bool":
        if quoted or text not in ("true", "false"):
            raise _malformed(f"the value of {name} must be true or false")
        return text == "true"
    try:
        if not quoted:
            return int(text) if kind == "int" else parse_time(text)
    except (ValueError, OverflowError):
        pass
    what = "an integer" if kind == "int" else "an ISO 8601 date-time"
    raise _malformed(f"the value of {name} must be {what}, without quotes")


class _Reader:
    """A cursor over the expression."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def expression(self) -> list[_Found]:
        found = self._conditions()
        if self._at != len(self._text):
            self._fail()
        return found

    def _conditions(self) -> list[_Found]:
        found = self._condition()
        while self._peek() == ",":
            self._at += 1
            found += self._condition()
        return found

    def _condition(self) -> list[_Found]:
        operator = self._word("(")
        self._expect("(")
        if operator == "and":
            found = self._conditions()
            self._expect(")")
            return found
        if operator not in _KNOWN_OPERATORS:
            self._fail()
        name = self._word(",)")
        literals: list[_Literal] = []
        is_array = False
        if self._peek() == ",":
            self._at += 1
            self._spaces()
            is_array = self._peek() == "["
            literals = self._array() if is_array else [self._value(",)")]
        elif operator != "has":
            self._fail()
        self._expect(")")
        return [(operator, name, literals, is_array)]

    def _array(self) -> list[_Literal]:
        self._expect("[")
        values: list[_Literal] = []
        while self._peek() != "]":
            values.append(self._value(",]"))
            if self._peek() == ",":
                self._at += 1
        self._expect("]")
        return values

    def _value(self, stops: str) -> _Literal:
        self._spaces()
        quote = self._peek()
        if quote not in ("'", '"'):
            return self._word(stops)
        characters = []
        self._at += 1
        while (character := self._peek()) != quote:
            if character == "\\":
                self._at += 1
                character = self._peek()
            if not character:
                self._fail()
            characters.append(character)
            self._at += 1
        self._at += 1
        self._spaces()
        return _Quoted("".join(characters))

    def _word(self, stops: str) -> str:
        start = self._at
        while self._at < len(self._text) and self._text[self._at] not in stops:
            self._at += 1
        word = self._text[start : self._at].strip()
        if not word:
            self._fail()
        return word

    def _spaces(self) -> None:
        while self._peek() == " ":
            self._at += 1

    def _peek(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else ""

    def _expect(self, character: str) -> None:
        self._spaces()
        if self._peek() != character:
            self._fail()
        self._at += 1
        if character == ")":
            self._spaces()

    def _fail(self) -> NoReturn:
        raise _malformed(self._text)
