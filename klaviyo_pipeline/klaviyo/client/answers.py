"""Reads the status, headers and errors of an answer, without trust in the server.

For any content, these functions return a value or raise UnreadablePageError. Texts for messages are short and
printable.
"""

from __future__ import annotations

import email.utils
import json
import math
import re
import time
from collections.abc import Mapping
from datetime import date
from typing import Any, TypeVar

from klaviyo_pipeline.klaviyo.client.transport import Answered
from klaviyo_pipeline.klaviyo.errors import UnreadablePageError
from klaviyo_pipeline.redaction import redact

T = TypeVar("T")

LONGEST_TEXT = 300
"""So many characters of a server's text stand in a message."""
_MARGIN = 2_000
LARGEST_DOCUMENT = 16 * 2**20
"""So many bytes of JSON are decoded whole; pages of rows are not, and may be larger."""
_WHOLE_NUMBER = re.compile(r"\d{1,15}", re.ASCII)
_REVISION = re.compile(r"(\d{4}-\d{2}-\d{2})(\.pre)?", re.ASCII)
_YEAR_S = 366 * 86_400.0


def passes(answered: Answered) -> bool:
    """Whether a retry may help: for everything except Klaviyo's own answer to this request.

    These are the faults of servers, success without a page (204, 206, 304), and an HTML page of a gateway that
    refuses. Seen of Cloudflare: 403 with a challenge page (klaviyo-api-python, issue 84).
    """
    status = answered.status
    if status in {304, 408, 425, 429} or status >= 500 or status < 300:
        return True
    if status not in {400, 403, 404}:
        return False
    body = answered.body.lstrip()
    return body.startswith(b"<") or (body.startswith(b"{") and not _is_json(body))


def document(body: bytes) -> dict[str, Any]:
    """A small JSON:API document, decoded whole.

    Raises:
        UnreadablePageError: if it is not one, or an object in it has a key twice.
    """
    if len(body) > LARGEST_DOCUMENT:
        raise UnreadablePageError(f"a document of {len(body)} bytes")
    try:
        found = json.loads(body, object_pairs_hook=_each_key_once)
    except (ValueError, RecursionError) as error:
        raise UnreadablePageError(f"no valid JSON: {type(error).__name__}") from None
    if not isinstance(found, dict) or not found.keys() & {"data", "errors"}:
        raise UnreadablePageError("no JSON:API document")
    return found


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise UnreadablePageError("the answer has a member twice")
    return found


def part(value: Any, *path: str | int, kind: type[T]) -> T:  # noqa: ANN401 - whatever JSON holds
    """The part of a document at a path, which is of this kind.

    Raises:
        UnreadablePageError: naming the place, the value and the required kind.
    """
    place = ""
    for step in path:
        wanted: type = dict if isinstance(step, str) else list
        _check_kind(value, wanted, place)
        place += f".{step}" if place and isinstance(step, str) else f"[{step}]" if place else str(step)
        if (step not in value) if isinstance(step, str) else (step >= len(value)):
            raise UnreadablePageError(f"the answer has no {place}")
        value = value[step]
    _check_kind(value, kind, place)
    return value  # type: ignore[no-any-return]


def whole_number(value: Any, place: str) -> int:  # noqa: ANN401 - whatever JSON holds
    """A count: a number without a fraction and not below zero, or its digits as a text.

    Raises:
        UnreadablePageError: for anything else.
    """
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        return int(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**63 and value == int(value):
        return int(value)
    raise UnreadablePageError(f"{place} is {_described(value)}, but must be a whole number")


def _check_kind(value: Any, kind: type, place: str) -> None:  # noqa: ANN401
    if not isinstance(value, kind):
        raise UnreadablePageError(
            f"{place or 'the document'} is {_described(value)}, but must be {_KINDS.get(kind, kind.__name__)}"
        )


def _described(value: Any) -> str:  # noqa: ANN401
    """A value in a message: its kind, and its text if it is short."""
    if value is None:
        return "null"
    if isinstance(value, dict | list):
        return f"{_KINDS[type(value)]} of {len(value)}"
    return f"{_KINDS.get(type(value), 'a number')} ({shown(str(value)[:100], 40)})"


_KINDS: dict[type, str] = {dict: "an object", list: "an array", str: "a text", bool: "a truth value"}


def first_error(body: bytes) -> tuple[str, str | None]:
    """An error document's first detail, with its parameter or pointer."""
    try:
        error = json.loads(body)["errors"][0]
    except (ValueError, RecursionError, LookupError, TypeError):
        return "", None
    if not isinstance(error, dict):
        return "", None
    source = error.get("source")
    source = source if isinstance(source, dict) else {}
    detail, about = error.get("detail") or error.get("title"), source.get("parameter") or source.get("pointer")
    return detail if isinstance(detail, str) else "", about if isinstance(about, str) else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """``Retry-After`` in seconds; it may be a number, whole or not, or an HTTP date (of the server's own clock)."""
    text = headers.get("Retry-After")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        until_s = http_time(text)
        if until_s is None:
            return None
        now_s = http_time(headers.get("Date"))
        return max(0.0, until_s - (time.time() if now_s is None else now_s))
    return None if math.isnan(seconds) else max(0.0, seconds)


def clock_ahead(headers: Mapping[str, str]) -> float | None:
    """By how many seconds this machine's clock is ahead of the answer's ``Date``.

    None without a usable date: a date more than a year away is a fault.
    """
    then_s = http_time(headers.get("Date"))
    if then_s is None:
        return None
    ahead_s = time.time() - then_s
    return ahead_s if abs(ahead_s) <= _YEAR_S else None


def http_time(text: str | None) -> float | None:
    """An HTTP date in seconds since 1970; None for other texts."""
    try:
        return email.utils.parsedate_to_datetime(text or "").timestamp()
    except (TypeError, ValueError, ArithmeticError, LookupError, OSError):
        return None


def answering_revision(headers: Mapping[str, str]) -> str | None:
    """The revision that an answer names: a day, with ``.pre`` for a preview; None if it names none."""
    text = headers.get("X-Klaviyo-API-Revision") or ""
    found = _REVISION.fullmatch(text) if len(text) <= 20 else None
    if found is None:
        return None
    try:
        date.fromisoformat(found[1])
    except ValueError:
        return None
    return text


def shown(text: str, length: int = LONGEST_TEXT) -> str:
    """A server's text for a message: short, on one line, without secrets and control characters."""
    text = redact(text[: length + _MARGIN])  # before it is cut: half a key would no longer be found
    cut = text if len(text) <= length else text[:length] + "…"
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in cut)


def _is_json(body: bytes) -> bool:
    """Whether an error document is complete. A truncated one says nothing about the request."""
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True
