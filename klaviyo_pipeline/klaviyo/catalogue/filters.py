"""Filter expressions: Klaviyo's small language of ``op(field,value)``, joined by commas.

Datetimes stand bare, in UTC and with a ``Z`` (an unencoded ``+00:00`` turns into a space); strings stand in
double quotes with backslash escapes. Source: Klaviyo's guide "Filtering".
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import quote

GREATER_OR_EQUAL = "greater-or-equal"
GREATER_THAN = "greater-than"
LESS_THAN = "less-than"
EQUALS = "equals"
ANY = "any"


def literal(value: str | bool | int | float | datetime | Iterable[str]) -> str:
    """A value as the filter language writes it. Datetimes must be aware and are written in whole seconds."""
    if isinstance(value, datetime):
        # Not strftime: its %Y writes the year 1 as "1".
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
    if isinstance(value, bool | int | float | str):
        return json.dumps(value, ensure_ascii=False)
    return "[" + ",".join(json.dumps(item, ensure_ascii=False) for item in value) + "]"


def condition(operator: str, field: str, value: str | bool | int | float | datetime | Iterable[str]) -> str:
    """One condition, for example ``less-than(datetime,2026-09-01T00:00:00Z)``."""
    return f"{operator}({field},{literal(value)})"


def all_of(conditions: Iterable[str]) -> str | None:
    """Conditions that must all hold, or None where there are none."""
    return ",".join(conditions) or None


def path_segment(identifier: str) -> str:
    """An id as part of a path."""
    return quote(identifier, safe="")
