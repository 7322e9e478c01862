"""The paths under `/sandbox/`, which are not part of Klaviyo's API: counts, truth and changes, for tests.

GET    /sandbox/requests                          counts      POST resets them and the rate windows
GET    /sandbox/truth/<collection>                ids and main fields (?since=&until=, by the main time)
POST   /sandbox/<collection>                      a row or a list of rows, merged by id
DELETE /sandbox/<collection>/<id>
GET    /sandbox/faults                            the plan, and what was injected
POST   /sandbox/faults                            another plan: {"seed": 1, "rules": ["429:get_events=0.1", {...}]}
POST   /sandbox/lists/<id>/members                {"<profile id>": "<joined at>"}; segments likewise
DELETE /sandbox/lists/<id>/members/<profile id>   segments likewise
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import msgspec

from klaviyo_pipeline.sandbox.api.limits import RateLimits
from klaviyo_pipeline.sandbox.api.messages import Request, Response
from klaviyo_pipeline.sandbox.counts import Counts
from klaviyo_pipeline.sandbox.data.kinds import BY_PATH, TIMES, Record
from klaviyo_pipeline.sandbox.data.rows import Value
from klaviyo_pipeline.sandbox.data.store import Store, no_collection
from klaviyo_pipeline.sandbox.data.tables import Members
from klaviyo_pipeline.sandbox.data.times import SECOND, in_micros, in_seconds, parse_time
from klaviyo_pipeline.sandbox.faults.plan import FaultPlan, Faults


class Steered(Protocol):
    """The parts of a sandbox that the admin paths control."""

    store: Store
    faults: Faults
    counts: Counts
    limits: RateLimits

    def plan_faults(self, faults: Faults) -> None:
        """Use these faults from now on."""


def answer(sandbox: Steered, request: Request) -> Response:
    """Answer an admin request."""
    segments = request.path.strip("/").split("/")[1:]
    store = sandbox.store
    try:
        match request.method, segments:
            case "GET", ["requests"]:
                return Response.json(sandbox.counts.report())
            case "POST", ["requests"]:
                sandbox.counts.reset()
                sandbox.limits.reset()
                return Response.json({})
            case "GET", ["faults"]:
                return Response.json(sandbox.faults.report())
            case "POST", ["faults"]:
                sandbox.plan_faults(FaultPlan.of(msgspec.json.decode(request.body, type=dict[str, Any])))
                return Response.json(sandbox.faults.report())
            case "GET", ["truth", collection]:
                return Response.json(truth(store, collection, **request.parameters))
            case "POST", ["lists" | "segments" as groups, group_id, "members"]:
                store.add_members(group_id, msgspec.json.decode(request.body, type=dict[str, str]), groups)
                return Response.json({})
            case "DELETE", ["lists" | "segments" as groups, group_id, "members", profile_id]:
                return _deleted(store.remove_member(group_id, profile_id, groups))
            case "POST", [collection]:
                rows = msgspec.json.decode(request.body)
                ids = store.put(collection, rows if isinstance(rows, list) else [rows])
                return Response.json({"ids": ids})
            case "DELETE", [collection, row_id]:
                return _deleted(store.delete(collection, row_id))
    except (ValueError, KeyError, TypeError) as error:
        return Response.json({"error": f"{type(error).__name__}: {error}"}, status=400)
    return Response.json({"error": "no such path"}, status=404)


def _deleted(found: bool) -> Response:
    return Response.json({"deleted": found}, status=200 if found else 404)


def truth(store: Store, collection: str, since: str | None = None, until: str | None = None) -> list[dict[str, Any]]:
    """All rows' ids and main fields, with the main time within [since, until).

    The main time is an event's `datetime`, a membership's `joined_at`, otherwise the row's `updated`.
    Collections: the readers below, and all collections of records by their path (records come with all their
    attributes).

    Raises:
        ValueError: for another collection, with all names.
    """
    low = parse_time(since) if since else None
    high = parse_time(until) if until else None
    with store.lock:
        rows = _rows(store, collection)
    return [row for moment, row in rows if (low is None or moment >= low) and (high is None or moment < high)]


Found = list[tuple[int, dict[str, Any]]]
"""Rows, each with its main time in microseconds."""


def _rows(store: Store, collection: str) -> Found:
    if read := _READERS.get(collection):
        return read(store)
    if collection in BY_PATH:
        return [(_moved(row), _of_record(row)) for row in store.records(BY_PATH[collection].type)]
    raise no_collection(collection, (*_READERS, *BY_PATH))


def _events(store: Store) -> Found:
    found = []
    for row in store.events:
        moment = row.timestamp * SECOND
        shown = {
            "id": row.id,
            "timestamp": row.timestamp,
            "datetime": in_seconds(moment),
            "metric_id": row.metric_id if row.metric_id in store.metrics else None,
            "profile_id": row.profile_id if row.profile_id in store.profiles else None,
        }
        found.append((moment, shown))
    return found


def _attributions(store: Store) -> Found:
    return [
        (row.timestamp * SECOND, {**each._asdict(), "id": f"{row.id}:{each.id}", "event_id": row.id})
        for row in store.events
        for each in row.attributions
    ]


def _suppressions(store: Store) -> Found:
    return [
        (
            each.timestamp,
            {
                "id": f"{row.id}:email:{each.list_id or 'global'}:{each.reason}",
                "profile_id": row.id,
                "list_id": each.list_id,
                "reason": each.reason,
                "timestamp": in_micros(each.timestamp),
            },
        )
        for row in store.profiles
        for each in row.suppressions
    ]


def _members(groups: Mapping[str, Members], id_name: str) -> Found:
    return [
        (each.joined_at, {id_name: group, "profile_id": each.profile_id, "joined_at": in_seconds(each.joined_at)})
        for group, members in groups.items()
        for each in members.sorted
    ]


def _campaigns(store: Store) -> Found:
    found = []
    for row in store.campaigns:
        shown = {
            **{name: getattr(row, name) for name in ("id", "name", "channel", "status", "archived")},
            "created_at": in_micros(row.created_at),
            "updated_at": in_micros(row.updated_at),
            "message_ids": [message.id for message in row.messages],
        }
        found.append((row.updated_at, shown))
    return found


def _messages(store: Store) -> Found:
    return [
        (message.updated, {**_main(message), "campaign_id": message.campaign_id})
        for row in store.campaigns
        for message in row.messages
    ]


def _with(rows: Iterable[Any], name: str) -> Found:
    return [(row.updated, {**_main(row), name: getattr(row, name)}) for row in rows]


_READERS: dict[str, Callable[[Store], Found]] = {
    "events": _events,
    "event-attributions": _attributions,
    "suppressions": _suppressions,
    "profiles": lambda store: _with(store.profiles, "email"),
    "metrics": lambda store: _with(store.metrics, "name"),
    "lists": lambda store: _with(store.lists, "name"),
    "templates": lambda store: _with(store.templates, "name"),
    "campaigns": _campaigns,
    "campaign-messages": _messages,
    "members": lambda store: _members(store.members, "list_id"),
    "segment-members": lambda store: _members(store.members_of("segments"), "segment_id"),
}


def _moved(row: Record) -> int:
    return row.attributes.get("updated") or row.attributes.get("updated_at") or row.attributes.get("created_at") or 0


def _of_record(row: Record) -> dict[str, Any]:
    attributes = {name: in_micros(value) if name in TIMES else value for name, value in row.attributes.items()}
    return {"id": row.id, **attributes, "related": {name: list(ids) for name, ids in row.related.items()}}


def _main(row: Value) -> dict[str, Any]:
    return {"id": row.id, "created": in_seconds(row.created), "updated": in_seconds(row.updated)}
