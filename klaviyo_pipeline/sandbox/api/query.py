"""Checks a request's parameters against those of the endpoint under the revision.

The wordings for includes, filters and cursors are recorded; those for sorts, page sizes, fieldsets and
unknown parameters are inferred.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from klaviyo_pipeline.sandbox.api.contracts import Contract, Limit
from klaviyo_pipeline.sandbox.api.errors import ApiError, invalid
from klaviyo_pipeline.sandbox.api.fieldsets import check_fields
from klaviyo_pipeline.sandbox.api.filters import Condition, parse_filter
from klaviyo_pipeline.sandbox.api.messages import Request
from klaviyo_pipeline.sandbox.data.rows import Value

_AGAIN = "again"
_BRACKETS = re.compile(r"(fields|additional-fields)\[([a-z-]+)\]")


@dataclass(frozen=True, slots=True)
class Query:
    """What a request asks for."""

    conditions: tuple[Condition, ...] = ()
    sort: str | None = None
    descending: bool = False
    after: tuple[Any, str] | None = None
    size: int = 0
    includes: frozenset[str] = frozenset()
    additional: frozenset[str] = frozenset()
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    overlap: int = 0
    """So many of a page's last rows come again on the next (a fault)."""
    without: tuple[tuple[int, int], ...] = ()
    """Stretches of time, in seconds, whose events are left out (a fault)."""

    def place_after(self, places: Sequence[tuple[Any, str]]) -> tuple[Any, str]:
        """Where the next page begins, after a page of rows that stand in these places."""
        repeated = self.overlap if len(places) > self.overlap else 0
        return places[-1 - repeated]

    def value(self, field_name: str) -> Value:
        """The literal of the condition on a field, None without one."""
        for condition in self.conditions:
            if condition.field == field_name:
                return condition.value
        return None


def limit_of(contract: Contract, request: Request) -> Limit:
    """The rate limit that this request falls under."""
    limit = contract.limit
    if contract.lowered and request.query:
        for name, value in request.query:
            for choice in value.split(","):
                limit = min(limit, contract.lowered.get((name, choice), limit))
    return limit


def parse_query(request: Request, contract: Contract, revision: str) -> Query:
    """Read and check the parameters.

    Raises:
        ApiError: 400.
    """
    values: dict[str, Any] = {"fields": {}, "size": contract.page.default if contract.page else 0}
    for name, text in request.query:
        brackets = _BRACKETS.fullmatch(name)
        if name == "filter" and contract.filters:
            values["conditions"] = parse_filter(text, contract.filters)
        elif name == "sort" and contract.sorts:
            values["sort"], values["descending"] = _sort(text, contract)
        elif name == "include" and contract.includes:
            values["includes"] = _includes(text, contract)
        elif name == "page[size]" and contract.page and contract.page.settable:
            values["size"] = _size(text, contract.page.maximum)
        elif name == "page[cursor]" and contract.page:
            values["after"] = decode_cursor(text)
        elif brackets and brackets[1] == "fields" and brackets[2] in contract.types:
            chosen = tuple(filter(None, text.split(",")))
            check_fields(brackets[2], chosen, contract, revision)
            values["fields"][brackets[2]] = chosen
        elif brackets and brackets[1] == "additional-fields" and brackets[2] in contract.additional:
            values["additional"] = _additional(text, brackets[2], contract)
        elif name != "page_cursor" or not contract.operation.startswith("query_"):
            raise invalid(f"'{name}' is not a valid query parameter for this resource.", parameter=name)
    return Query(**values)


def encode_cursor(place: tuple[Any, str]) -> str:
    """An opaque cursor that continues after a place."""
    return base64.urlsafe_b64encode(msgspec.json.encode([*place, True])).decode().rstrip("=")


def follow_up_cursor(text: str | None) -> str:
    """Another cursor to the same place, for a page without rows; None is the start."""
    place = decode_cursor(text) if text is not None else None
    return base64.urlsafe_b64encode(msgspec.json.encode([*(place or (None, "")), True, _AGAIN])).decode().rstrip("=")


def is_follow_up(text: str) -> bool:
    """Whether the cursor is one that an empty page gave."""
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_")
    except (ValueError, binascii.Error):
        return False
    return decoded.endswith(f'"{_AGAIN}"]'.encode())


def decode_cursor(text: str) -> tuple[Any, str] | None:
    """The place that a cursor continues after; None is the start.

    Raises:
        ApiError: 400, as recorded, for anything that isn't one.
    """
    try:
        padded = text + "=" * (-len(text) % 4)
        key, row_id, mark, *more = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error, msgspec.DecodeError):
        raise bad_cursor() from None
    if more == [_AGAIN] and key is None:
        return None
    if mark is not True or not isinstance(row_id, str) or not isinstance(key, int | str):
        raise bad_cursor()
    return key, row_id


def bad_cursor() -> ApiError:
    """400 for a cursor that is none."""
    return invalid("Invalid cursor provided.")


def _sort(text: str, contract: Contract) -> tuple[str, bool]:
    name = text.removeprefix("-")
    if name not in contract.sorts:
        allowed = ", ".join(contract.sorts)
        raise invalid(
            f"'{name}' is not an allowed sort value for this resource. Allowed values are: {allowed}",
            parameter="sort",
        )
    return name, text.startswith("-")


def _includes(text: str, contract: Contract) -> frozenset[str]:
    names = frozenset(filter(None, text.split(",")))
    for name in sorted(names):
        if name not in contract.includes:
            raise invalid(f"'{name}' is not an allowed include parameter for this resource.", parameter="include")
    return names


def _additional(text: str, resource: str, contract: Contract) -> frozenset[str]:
    names = frozenset(filter(None, text.split(",")))
    for name in sorted(names):
        if name not in contract.additional[resource]:
            raise invalid(
                f"'{name}' is not a valid additional field for the resource type '{resource}'.",
                parameter=f"additional-fields[{resource}]",
            )
    return names


def _size(text: str, maximum: int) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= maximum:
        raise invalid(f"Page size must be an integer between 1 and {maximum}.", parameter="page[size]")
    return int(text)
