"""Changes to rows as tests write them (flat JSON) worked into the rows that the store keeps."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any
from uuid import UUID, uuid5

import msgspec

from klaviyo_pipeline.sandbox.data.kinds import TIMES, Kind, Record
from klaviyo_pipeline.sandbox.data.rows import (
    Campaign,
    Consent,
    Event,
    MailingList,
    Member,
    Message,
    Metric,
    Profile,
    Suppression,
    Template,
    Value,
)
from klaviyo_pipeline.sandbox.data.times import SECOND, in_seconds, parse_time

__all__ = ["Member", "event", "plain", "profile", "profile_row"]

_NAMESPACE = UUID("6f1d7c1e-6b7d-4c53-9d0e-5b1c2a7e9f10")

_BASE_TIME = 1_767_225_600 * SECOND
_TIME_FIELDS = {"created", "updated", "created_at", "updated_at", "scheduled_at", "send_time"}
_PROFILE_ATTRIBUTES = (
    "email", "phone_number", "external_id", "first_name", "last_name", "organization", "locale", "title",
    "image", "created", "updated", "last_event_date", "location", "properties",
)  # fmt: skip
_LOCATION: dict[str, Any] = dict.fromkeys(
    ("address1", "address2", "city", "country", "latitude", "longitude", "region", "zip", "timezone", "ip")
)

_MADE: dict[str, tuple[type, dict[str, Any]]] = {
    "metrics": (
        Metric,
        {
            "name": "New Metric",
            "integration": {
                "object": "integration", "id": "7FtS4J", "key": "api", "name": "API", "category": "API",
            },
        },
    ),
    "lists": (MailingList, {"name": "New list"}),
    "templates": (
        Template,
        {"name": "New template", "editor_type": "CODE", "html": "<html><body></body></html>", "text": None},
    ),
    "campaigns": (
        Campaign,
        {
            "name": "New campaign", "channel": "email", "status": "Draft", "archived": False,
            "scheduled_at": None, "send_time": None, "included": (),
        },
    ),
}  # fmt: skip


def event(old: Event | None, change: Mapping[str, Any]) -> Event:
    """An event as changed: `datetime` or `timestamp`, `event_properties` (as a whole), of what and whom."""
    known = {"id", "datetime", "timestamp", "event_properties", "metric_id", "profile_id", "uuid"}
    _refuse_unknown(change, known)
    document = msgspec.json.decode(old.document) if old else {}
    if "timestamp" in change:
        timestamp = int(change["timestamp"])
    elif "datetime" in change:
        timestamp = parse_time(change["datetime"]) // SECOND
    else:
        timestamp = old.timestamp if old else _BASE_TIME // SECOND
    event_id = change["id"]
    properties = change.get("event_properties", document.get("event_properties", {}))
    uuid = change.get("uuid") or document.get("uuid") or str(uuid5(_NAMESPACE, event_id))
    return Event(
        timestamp=timestamp,
        id=event_id,
        metric_id=change.get("metric_id", old.metric_id if old else None),
        profile_id=change.get("profile_id", old.profile_id if old else None),
        document=event_document(timestamp, properties, uuid),
        attribution=old.attribution if old else None,
        also=old.also if old else (),
    )


def event_document(timestamp: int, properties: Mapping[str, Any], uuid: str) -> bytes:
    """An event's attributes, as the API sends them."""
    return msgspec.json.encode(
        {
            "timestamp": timestamp,
            "datetime": in_seconds(timestamp * SECOND),
            "event_properties": properties,
            "uuid": uuid,
        }
    )


def profile(old: Profile | None, change: Mapping[str, Any]) -> Profile:
    """A profile as changed: attributes by name, `location` and `properties` merged, `suppressions` not."""
    _refuse_unknown(change, {"id", "suppressions", *_PROFILE_ATTRIBUTES})
    attributes = msgspec.json.decode(old.document) if old else {}
    for name in _PROFILE_ATTRIBUTES:
        if name in change:
            value = change[name]
            if name in ("location", "properties") and value is not None:
                value = {**(attributes.get(name) or {}), **value}
            attributes[name] = value
    suppressions = old.suppressions if old else ()
    if "suppressions" in change:
        suppressions = tuple(
            Suppression(found["reason"], parse_time(found["timestamp"]), found.get("list_id"))
            for found in change["suppressions"]
        )
    consent = old.consent if old else Consent()
    made = profile_row(change["id"], attributes)
    orders = old.orders if old else made.orders
    return made._replace(suppressions=suppressions, consent=consent, orders=orders)


def profile_row(profile_id: str, attributes: Mapping[str, Any]) -> Profile:
    """The row of a profile with these attributes; those missing are null."""
    created = parse_time(attributes.get("created") or in_seconds(_BASE_TIME) or "")
    updated = parse_time(attributes.get("updated") or in_seconds(created) or "")
    document: dict[str, Any] = {name: attributes.get(name) for name in _PROFILE_ATTRIBUTES}
    document |= {
        "created": in_seconds(created),
        "updated": in_seconds(updated),
        "location": _LOCATION | (attributes.get("location") or {}),
        "properties": attributes.get("properties") or {},
    }
    return Profile(
        id=profile_id,
        email=document["email"],
        phone_number=document["phone_number"],
        external_id=document["external_id"],
        created=created,
        updated=updated,
        document=msgspec.json.encode(document),
    )


def plain(collection: str, old: Value | None, change: Mapping[str, Any]) -> Value:
    """A row of one of the small collections as changed."""
    made, defaults = _MADE[collection]
    names = {field.name for field in fields(made)} - {"messages"}
    _refuse_unknown(change, names)
    values: dict[str, Any] = {
        name: parse_time(value) if name in _TIME_FIELDS and isinstance(value, str) else value
        for name, value in change.items()
    }
    for name in ("included", "excluded", "tag_ids"):
        if name in values:
            values[name] = tuple(values[name])
    if old is not None:
        return replace(old, **values)
    times: dict[str, Any] = {
        name: _BASE_TIME for name in ("created", "updated", "created_at", "updated_at") if name in names
    }
    row = made(**{**defaults, **times, **values})
    return _with_message(row) if isinstance(row, Campaign) else row


def record(kind: Kind, old: Record | None, change: Mapping[str, Any]) -> Record:
    """A record as changed: attributes and relationships by Klaviyo's names, a relationship as one id or a list."""
    attributes = dict(old.attributes) if old else {}
    related = dict(old.related) if old else {}
    for name, value in change.items():
        if name in kind.relations:
            found = kind.relations[name]
            if found.inverse:
                raise ValueError(f"'{name}' is kept by the {found.type}: change '{found.inverse}' there")
            related[name] = tuple(value) if isinstance(value, list) else ((value,) if value else ())
        elif name != "id":
            attributes[name] = parse_time(value) if name in TIMES and isinstance(value, str) else value
    for name, value in kind.unless_asked.items():
        attributes.setdefault(name, value)
    return Record(change["id"], attributes, related)


def _with_message(campaign: Campaign) -> Campaign:
    """The campaign with the one message that it was made without."""
    content = {"subject": campaign.name} if campaign.channel == "email" else {"body": campaign.name}
    message = Message(
        id=f"{campaign.id}M",
        campaign_id=campaign.id,
        label=campaign.name,
        content=content,
        template_id=None,
        created=campaign.created_at,
        updated=campaign.updated_at,
        audience_id=f"{campaign.id}A",
        variation_id=f"{campaign.id}V",
    )
    return replace(campaign, messages=(message,))


def _refuse_unknown(change: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(change) - known)
    if unknown:
        raise ValueError(f"unknown attributes {unknown}; known are {sorted(known)}")
