"""Segments and their members, by orders, consent and loyalty."""

from collections.abc import Callable
from typing import Any

import msgspec

from klaviyo_pipeline.sandbox.data.kinds import Record
from klaviyo_pipeline.sandbox.data.rows import Member, Profile
from klaviyo_pipeline.sandbox.data.shop.lazy.made import Made, Makers
from klaviyo_pipeline.sandbox.data.times import DAY, HOUR, SECOND

_Rule = Callable[[Profile], int | None]
"""When a profile came to meet a definition; None where it does not."""


def _gold(row: Profile) -> int | None:
    properties = msgspec.json.decode(row.document)["properties"]
    return row.created + HOUR if (properties.get("loyalty") or {}).get("tier") == "gold" else None


def _ordered(row: Profile) -> int | None:
    return row.orders.first_at


def _often(row: Profile) -> int | None:
    return row.orders.last_at if row.orders.number >= 3 else None


def _subscribed(row: Profile) -> int | None:
    return None if row.consent.unsubscribed else row.consent.email_at


def _never(_: Profile) -> int | None:
    return None


_SEGMENTS: tuple[tuple[str, _Rule, bool, bool], ...] = (
    ("Customers", _ordered, True, False),
    ("Regulars", _often, True, True),
    ("Gold loyalty", _gold, True, False),
    ("Engaged by email", _subscribed, True, False),
    ("Black Friday 2024", _never, False, False),
)


def _segments(made: Made) -> list[Record]:
    chance = made.chance("segments")
    tags = made.shop.tags
    rows = []
    for number, (name, rule, active, starred) in enumerate(_SEGMENTS):
        created = made.shop.since - (60 + 10 * number) * DAY
        attributes = {
            "name": name,
            "definition": {"condition_groups": [{"conditions": [_condition(made, rule)]}]},
            "created": created,
            "updated": created + int(chance.random() * 30 * DAY) // SECOND * SECOND,
            "is_active": active,
            "is_processing": False,
            "is_starred": starred,
        }
        related = {"tags": (tags[number % len(tags)].id,) if number % 2 == 0 else ()}
        rows.append(Record(chance.short_id(), attributes, related))
    return rows


def _condition(made: Made, rule: _Rule) -> dict[str, Any]:
    if rule is _gold:
        equals_gold = {"type": "string", "operator": "equals", "value": "gold"}
        return {"type": "profile-property", "property": "properties['loyalty.tier']", "filter": equals_gold}
    if rule is _subscribed and made.shop.lists:
        return {"type": "profile-group-membership", "is_member": True, "group_ids": [made.shop.lists[0].id],
                "timeframe_filter": None}  # fmt: skip
    return {
        "type": "profile-metric",
        "metric_id": made.metric_id("Placed Order"),
        "measurement": "count",
        "measurement_filter": {
            "type": "numeric",
            "operator": "greater-than-or-equal",
            "value": 3 if rule is _often else 1,
        },
        "timeframe_filter": {"type": "date", "operator": "alltime"},
        "metric_filters": None,
    }


def join_segments(made: Made) -> dict[str, list[Member]]:
    """Who is in which segment since when, by the segment's id."""
    joined = {}
    for record, (_, rule, _, _) in zip(made.records("segment"), _SEGMENTS, strict=True):
        since = ((row, rule(row)) for row in made.shop.profiles)
        joined[record.id] = [Member(at // SECOND * SECOND, row.id) for row, at in since if at is not None]
    return joined


MAKERS: Makers = {"segment": _segments}
