"""The kinds of faults that a fault plan can use.

A kind belongs to one of five groups, by the moment at which it strikes: the shop changes before the answer, another
answer is given, another question is answered, rows are altered on their way, or the delivery fails.
"""

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from random import Random
from typing import Any
from uuid import UUID

from klaviyo_pipeline.sandbox.api.errors import ApiError, invalid, throttled
from klaviyo_pipeline.sandbox.api.messages import Request, Response, Send, deliver
from klaviyo_pipeline.sandbox.api.query import Query, bad_cursor, follow_up_cursor, is_follow_up
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.data.times import SECOND, in_seconds
from klaviyo_pipeline.sandbox.faults import connections
from klaviyo_pipeline.sandbox.faults.connections import Releasing

_FAILURES = ("500", "502", "503", "504", "520", "521", "522", "523", "524")

KINDS: dict[str, str] = {
    "429": "refused with Retry-After (argument: its seconds); use burst for a storm",
    **dict.fromkeys(_FAILURES, "the server, or the gateway before it, fails"),
    "clock-skew": "refused with Retry-After as a date, by a clock that is an hour ahead or behind (argument: seconds)",
    "skewed-date": "the right answer, dated by a clock that is an hour ahead (argument: seconds)",
    "html-200": "a web page instead of JSON, as if all were well",
    "html-403": "a web page that refuses, as gateways do",
    "bad-cursor": "a cursor is refused",
    "echo-key": "a refusal that repeats the API key in its detail",
    "empty-pages": "a page without rows, with a link to the next",
    "list-deleted": "a list is deleted between two pages of its members",
    "row-changes": "a row changes between two pages",
    "short-pages": "fewer rows on a page than asked for (argument: how many)",
    "huge-pages": "more rows on a page than asked for (argument: how many)",
    "duplicates": "the next page begins with the last row of this one",
    "drop-day": "a day's events are missing from the events, not from the aggregates (argument: the UTC day)",
    "unknown-attributes": "attributes that nobody has documented",
    "wrong-types": "values of another type than documented",
    "case-twins": "keys that differ only in case",
    "reset": "the connection is reset",
    "hang": "no answer until the client gives up (argument: at most so many seconds)",
    "truncated": "the connection ends in the middle of the body",
    "invalid-json": "the body is cut, and its length agrees",
    "content-type": "the right body under the wrong content type",
}

_COLLECTIONS = {
    "get_events": "events",
    "get_profiles": "profiles",
    "get_lists": "lists",
    "get_templates": "templates",
    "get_campaigns": "campaigns",
}
_PAGED = {*_COLLECTIONS, "get_metrics", "get_profiles_for_list"}
_BETWEEN_PAGES = {"bad-cursor", "row-changes", "list-deleted"}
_PAGING = {"empty-pages", "short-pages", "huge-pages", "duplicates"}
_MEMBERS = "get_profiles_for_list"


def now_s() -> float:
    """The sandbox's clock, for what changes now; replaceable in tests."""
    return time.time()


def can_hit(kind: str, operation: str, request: Request) -> bool:
    """Whether a fault of this kind can happen to this request at all."""
    cursor = request.parameters.get("page[cursor]")
    if kind in _BETWEEN_PAGES and cursor is None:
        return False
    match kind:
        case "row-changes":
            return operation in _COLLECTIONS or operation == _MEMBERS
        case "list-deleted":
            return operation == _MEMBERS
        case "drop-day":
            return operation == "get_events"
        case "empty-pages":
            return operation in _PAGED and not (cursor and is_follow_up(cursor))
        case _:
            return kind not in _PAGING or operation in _PAGED


# ---- the shop changes


def _change_row(operation: str, request: Request, store: Store, chance: Random) -> None:
    """One row, chosen by chance, becomes another; its `updated` is now."""
    now = in_seconds(int(now_s()) * SECOND)
    number = chance.getrandbits(32)
    if operation == _MEMBERS:
        list_id = request.path.split("/")[3]
        members = store.members.get(list_id)
        if members is not None and members.sorted:
            store.add_members(list_id, {chance.choice(members.sorted).profile_id: str(now)})
        return
    collection = _COLLECTIONS[operation]
    ids = sorted(getattr(store, collection).rows)
    if not ids:
        return
    change: dict[str, Any] = {"id": chance.choice(ids)}
    if collection == "events":
        change["event_properties"] = {"Changed": number}
    elif collection == "profiles":
        change |= {"updated": now, "properties": {"Changed": number}}
    else:
        change |= {"updated_at" if collection == "campaigns" else "updated": now, "name": f"Changed {number}"}
    store.put(collection, [change])


def _delete_list(_operation: str, request: Request, store: Store, _chance: Random) -> None:
    store.delete("lists", request.path.split("/")[3])


CHANGES: dict[str, Callable[[str, Request, Store, Random], None]] = {
    "row-changes": _change_row,
    "list-deleted": _delete_list,
}


# ---- another answer

Answer = Callable[[Request, Random, str | None], Response]


def _page_of_html(status: int, text: str) -> Response:
    body = f"<!DOCTYPE html>\n<html><head><title>{text}</title></head><body><h1>{status} {text}</h1></body></html>\n"
    return Response(status, body.encode(), content_type=b"text/html; charset=UTF-8")


def _error(error: ApiError, chance: Random) -> Response:
    error_id = UUID(int=chance.getrandbits(128), version=4)
    return Response(error.status, error.document(error_id), error.headers)


def _failing(status: int) -> Answer:
    def answer(_request: Request, chance: Random, _argument: str | None) -> Response:
        if status in (500, 503) and chance.random() < 0.5:
            text = "A server error occurred." if status == 500 else "Service temporarily unavailable."
            return _error(ApiError(status, "error", text, text, {"pointer": "/data/"}), chance)
        return _page_of_html(status, "The server is not available")

    return answer


def _too_many(_request: Request, chance: Random, argument: str | None) -> Response:
    return _error(throttled(int(argument or 1)), chance)


def _skewed(_request: Request, chance: Random, argument: str | None) -> Response:
    skew_s = float(argument) if argument else chance.choice((-3600.0, 3600.0))
    skewed_s = now_s() + skew_s
    refused = _error(throttled(1), chance)
    headers = (
        (b"date", formatdate(skewed_s, usegmt=True).encode()),
        (b"retry-after", formatdate(skewed_s + 1, usegmt=True).encode()),
    )
    return replace(refused, headers=headers)


def _echo(request: Request, chance: Random, _argument: str | None) -> Response:
    key = request.headers.get("authorization", "").partition(" ")[2]
    return _error(invalid(f"The request was signed with {key}, which is odd: '{key}'."), chance)


def _empty_page(request: Request, _chance: Random, _argument: str | None) -> Response:
    following = request.url(**{"page[cursor]": follow_up_cursor(request.parameters.get("page[cursor]"))})
    document = {"data": [], "links": {"self": request.url(), "next": following, "prev": None}}
    revision = request.headers.get("revision", "")
    return Response(200, Response.json(document).body, ((b"x-klaviyo-api-revision", revision.encode()),))


ANSWERS: dict[str, Answer] = {
    "429": _too_many,
    "clock-skew": _skewed,
    **{kind: _failing(int(kind)) for kind in _FAILURES},
    "html-200": lambda _request, _chance, _argument: _page_of_html(200, "Checking your connection"),
    "html-403": lambda _request, _chance, _argument: _page_of_html(403, "Access denied by the gateway"),
    "bad-cursor": lambda _request, chance, _argument: _error(bad_cursor(), chance),
    "echo-key": _echo,
    "empty-pages": _empty_page,
}


# ---- another question


def _without_day(query: Query, argument: str | None) -> Query:
    start = datetime.fromisoformat(str(argument)).replace(tzinfo=UTC)
    day = (int(start.timestamp()), int((start + timedelta(days=1)).timestamp()))
    return replace(query, without=(*query.without, day))


QUESTIONS: dict[str, Callable[[Query, str | None], Query]] = {
    "short-pages": lambda query, argument: replace(query, size=min(query.size, int(argument or 2))),
    "huge-pages": lambda query, argument: replace(query, size=max(query.size, int(argument or 10_000))),
    "duplicates": lambda query, _argument: replace(query, overlap=1),
    "drop-day": _without_day,
}


# ---- altered rows


@dataclass(frozen=True, slots=True)
class Alteration:
    """That a row was sent with another value than the shop has. `path` is below `attributes`."""

    kind: str
    resource: str
    id: str
    path: tuple[str, ...]
    true: object
    sent: object


Alter = Callable[[dict[str, Any], Random], list[tuple[tuple[str, ...], object, object]]]
_PARENTS = ("properties", "event_properties", "location")
_FREE_FORM = ("properties", "event_properties")
_TIMES = ("created", "updated", "datetime", "joined_group_at", "created_at", "updated_at", "scheduled_at", "send_time")


def altered(response: Response, kind_and_alter: tuple[str, Alter], chance: Random) -> tuple[Response, list[Alteration]]:
    """The answer with some rows' attributes altered, and what was altered. What is no page of rows stays."""
    kind, alter = kind_and_alter
    try:
        document = json.loads(response.body)
    except ValueError:
        return response, []
    data = document.get("data")
    rows = data if isinstance(data, list) else [data]
    found = []
    for row in rows:
        if isinstance(row, dict) and isinstance(row.get("attributes"), dict) and chance.random() < 0.5:
            found += [Alteration(kind, row["type"], row["id"], *each) for each in alter(row["attributes"], chance)]
    return replace(response, body=json.dumps(document).encode()), found


def _add_unknown(attributes: dict[str, Any], chance: Random) -> list[tuple[tuple[str, ...], object, object]]:
    value = {"score": chance.randrange(100), "labels": ["a", None]}
    attributes["brand_new"] = value
    attributes[f"brand_new_{chance.randrange(3)}"] = "text"
    return [(("brand_new",), None, value)]


def _mistype(attributes: dict[str, Any], chance: Random) -> list[tuple[tuple[str, ...], object, object]]:
    """One value becomes a neighbour type: "4.0" for 4, a number for text, 70 bits where 64 are expected."""
    places: list[tuple[dict[str, Any], str, tuple[str, ...]]] = [
        (attributes, name, (name,)) for name in attributes if name not in _PARENTS
    ]
    location = attributes.get("location")
    if isinstance(location, dict):
        places += [(location, name, ("location", name)) for name in location]
    places = [place for place in places if place[0][place[1]] is not None]
    if not places:
        return []
    parent, name, path = chance.choice(places)
    true = parent[name]
    parent[name] = _other_type(name, true, chance)
    return [(path, true, parent[name])]


def _other_type(name: str, value: object, chance: Random) -> object:
    if name in _TIMES and isinstance(value, str):
        return value.replace("T", " ")
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return chance.choice((f"{value}.0", 2**69 + value))
        case float():
            return "unknown"
        case str():
            return chance.choice((5, 2**69 + 1, 7.5, True))
        case _:
            return "a text"


def _add_twins(attributes: dict[str, Any], _chance: Random) -> list[tuple[tuple[str, ...], object, object]]:
    found: list[tuple[tuple[str, ...], object, object]] = []
    for name in _FREE_FORM:
        if isinstance(attributes.get(name), dict):
            attributes[name] |= {"Size": "L", "size": 1, "SIZE": None}
            found.append(((name, "Size"), None, "L"))
    known = next((name for name in ("email", "name", "uuid") if name in attributes), None)
    if known is not None:
        attributes[known.capitalize()] = "a twin"
        found.append(((known.capitalize(),), None, "a twin"))
    return found


ALTERATIONS: Mapping[str, tuple[str, Alter]] = {
    "unknown-attributes": ("unknown-attributes", _add_unknown),
    "wrong-types": ("wrong-types", _mistype),
    "case-twins": ("case-twins", _add_twins),
}


# ---- failing deliveries

Delivery = Callable[[Response, Send, Releasing, str | None], Awaitable[None]]


async def _reset(_response: Response, send: Send, _releasing: Releasing, _argument: str | None) -> None:
    await connections.reset(send)


async def _hang(_response: Response, send: Send, releasing: Releasing, argument: str | None) -> None:
    await connections.hang(send, releasing, float(argument) if argument else None)


async def _cut_short(response: Response, send: Send, _releasing: Releasing, _argument: str | None) -> None:
    await connections.cut_short(response, send, len(response.body) // 2)


async def _half(response: Response, send: Send, _releasing: Releasing, _argument: str | None) -> None:
    await deliver(replace(response, body=response.body[: len(response.body) // 2]), send)


async def _misdated(response: Response, send: Send, _releasing: Releasing, argument: str | None) -> None:
    date = (b"date", formatdate(now_s() + float(argument or 3600), usegmt=True).encode())
    await deliver(replace(response, headers=(*response.headers, date)), send)


async def _mislabelled(response: Response, send: Send, _releasing: Releasing, _argument: str | None) -> None:
    await deliver(replace(response, content_type=b"text/html"), send)


DELIVERIES: dict[str, Delivery] = {
    "reset": _reset,
    "hang": _hang,
    "truncated": _cut_short,
    "invalid-json": _half,
    "content-type": _mislabelled,
    "skewed-date": _misdated,
}
