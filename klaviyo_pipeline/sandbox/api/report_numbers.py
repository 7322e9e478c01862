"""What reports count: messages by the date they were sent, forms by sign-ups, segments by who joined."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import msgspec

from klaviyo_pipeline.sandbox.data.rows import Event
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.data.times import SECOND

Groupings = dict[str, str]
Counted = Iterator[tuple[Groupings, int, "Numbers"]]
"""What is counted: of which group, when (seconds), how much."""

_RECEIVED = ("Received Email", "Received Text Message", "Received Push")
_ROLES = {
    **dict.fromkeys(_RECEIVED, "delivered"),
    "Bounced Email": "bounced",
    "Opened Email": "opens",
    "Opened Push": "opens",
    "Clicked Email": "clicks",
    "Clicked Text Message": "clicks",
    "Marked Email as Spam": "spam_complaints",
    "Unsubscribed from Email Marketing": "unsubscribes",
}
_SEND_CHANNELS = {"mobile_push": "push-notification"}


@dataclass(slots=True)
class Numbers:
    """Counts, sums, and who was counted, which add up over any stretch of time."""

    counts: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    people: dict[str, set[str | None]] = field(default_factory=lambda: defaultdict(set))

    def add(self, other: "Numbers") -> None:
        """Take in what another stretch counted."""
        for name, count in other.counts.items():
            self.counts[name] += count
        for name, found in other.people.items():
            self.people[name] |= found


def one(role: str, person: str | None, value: float = 0.0) -> Numbers:
    """One event."""
    numbers = Numbers()
    numbers.counts[role] += 1
    numbers.counts["value"] += value
    numbers.people[role].add(person)
    return numbers


def of_messages(store: Store, conversion_metric_ids: set[str], *, flows: bool) -> Counted:
    """The events of campaigns' or flows' messages, and the conversions owed to them, by send date."""
    messages = _messages(store, flows=flows)
    sent: dict[tuple[str, str | None], list[int]] = defaultdict(list)
    found: list[tuple[str, Event, str]] = []
    for metric in store.metrics:
        role = _ROLES.get(metric.name)
        for event in store.events.of_metric(metric.id) if role else ():
            message_id = msgspec.json.decode(event.document)["event_properties"].get("$message")
            if message_id in messages and role:
                found.append((role, event, message_id))
                if role in ("delivered", "bounced"):
                    sent[message_id, event.profile_id].append(event.timestamp)
    for moments in sent.values():
        moments.sort()
    for role, event, message_id in found:
        yield messages[message_id], _sent_at(sent, event, message_id), one(role, event.profile_id)
    for metric_id in conversion_metric_ids:
        for event in store.events.of_metric(metric_id):
            owed = event.attribution
            owed_id = owed and (owed.flow_message_id if flows else owed.campaign_message_id)
            if owed_id in messages and owed_id:
                value = msgspec.json.decode(event.document)["event_properties"].get("$value") or 0.0
                yield messages[owed_id], _sent_at(sent, event, owed_id), one("conversions", event.profile_id, value)


def _sent_at(sent: dict[tuple[str, str | None], list[int]], event: Event, message_id: str) -> int:
    moments = sent.get((message_id, event.profile_id), [])
    place = bisect_right(moments, event.timestamp)
    return moments[max(0, place - 1)] if moments else event.timestamp


def _messages(store: Store, *, flows: bool) -> dict[str, Groupings]:
    if not flows:
        return {
            message.id: {
                "campaign_id": campaign.id,
                "campaign_message_id": message.id,
                "campaign_message_name": message.label,
                "send_channel": _SEND_CHANNELS.get(campaign.channel, campaign.channel),
            }
            for campaign in store.campaigns
            for message in campaign.messages
        }
    actions, named = store.records("flow-action"), store.records("flow")
    found = {}
    for message in store.records("flow-message"):
        action = actions.get(next(iter(message.related["flow-action"]), None))
        flow = named.get(next(iter(action.related["flow"]), None)) if action else None
        if flow:
            found[message.id] = {
                "flow_id": flow.id,
                "flow_name": flow.attributes["name"],
                "flow_message_id": message.id,
                "flow_message_name": message.attributes["name"],
                "send_channel": "email",
            }
    return found


def of_forms(store: Store) -> Counted:
    """Who signed up by a form, as the consent of profiles has it; each form takes its share of them."""
    versions = sorted(store.records("form-version"), key=lambda row: row.id)
    for profile in store.profiles:
        if profile.consent.email_method != "FORM" or profile.consent.email_at is None or not versions:
            continue
        version = versions[crc32(profile.id.encode()) % len(versions)]
        numbers = one("submits", profile.id)
        numbers.add(one("viewed_form", profile.id))
        groupings = {"form_id": version.related["form"][0], "form_version_id": version.id}
        yield groupings, profile.consent.email_at // SECOND, numbers


def of_segments(store: Store) -> Counted:
    """Who joined which segment."""
    for segment_id, members in store.members_of("segments").items():
        for member in members.sorted:
            yield {"segment_id": segment_id}, member.joined_at // SECOND, one("members_added", member.profile_id)


def message_statistics(numbers: Numbers) -> dict[str, float]:
    """All statistics of messages; rates are fractions from 0 to 1."""
    counts, people = numbers.counts, numbers.people
    delivered, bounced = counts["delivered"], counts["bounced"]
    recipients = delivered + bounced
    conversions, value = counts["conversions"], round(counts["value"], 2)
    opened, clicked, converted, left = (
        float(len(people[role])) for role in ("opens", "clicks", "conversions", "unsubscribes")
    )
    return {
        "average_order_value": _rate(value, conversions),
        "bounce_rate": _rate(bounced, recipients),
        "bounced": bounced,
        "bounced_or_failed": bounced,
        "bounced_or_failed_rate": _rate(bounced, recipients),
        "click_rate": _rate(clicked, delivered),
        "click_to_open_rate": _rate(clicked, opened),
        "clicks": counts["clicks"],
        "clicks_unique": clicked,
        "conversion_rate": _rate(converted, delivered),
        "conversion_uniques": converted,
        "conversion_value": value,
        "conversions": conversions,
        "delivered": delivered,
        "delivery_rate": _rate(delivered, recipients),
        "failed": 0.0,
        "failed_rate": 0.0,
        "message_segment_count_sum": 0.0,
        "open_rate": _rate(opened, delivered),
        "opens": counts["opens"],
        "opens_unique": opened,
        "recipients": recipients,
        "revenue_per_recipient": _rate(value, recipients),
        "spam_complaint_rate": _rate(counts["spam_complaints"], delivered),
        "spam_complaints": counts["spam_complaints"],
        "text_message_credit_usage_amount": 0.0,
        "text_message_roi": 0.0,
        "text_message_spend": 0.0,
        "unsubscribe_rate": _rate(left, delivered),
        "unsubscribe_uniques": left,
        "unsubscribes": counts["unsubscribes"],
    }


def form_statistics(numbers: Numbers) -> dict[str, float]:
    """All statistics of forms. The shop knows who signed up, so every view it knows of led to a sign-up."""
    views, submits = numbers.counts["viewed_form"], numbers.counts["submits"]
    viewers = float(len(numbers.people["viewed_form"]))
    return {
        "closed_form": 0.0,
        "closed_form_uniques": 0.0,
        "qualified_form": views,
        "qualified_form_uniques": viewers,
        "submit_rate": _rate(submits, views),
        "submits": submits,
        "submitted_form_step": submits,
        "submitted_form_step_uniques": float(len(numbers.people["submits"])),
        "viewed_form": views,
        "viewed_form_step": views,
        "viewed_form_step_uniques": viewers,
        "viewed_form_uniques": viewers,
    }


def segment_statistics(numbers: Numbers) -> dict[str, float]:
    """All statistics of segments; `total` is counted by the caller over all time before."""
    added = numbers.counts["members_added"]
    return {
        "members_added": added,
        "members_removed": 0.0,
        "net_members_changed": added,
        "total_members": numbers.counts["total_members"],
    }


def _rate(part: float, whole: float) -> float:
    return round(part / whole, 6) if whole else 0.0


def keyed(groupings: Groupings, names: tuple[str, ...]) -> tuple[Any, ...]:
    """What tells a group from others."""
    return tuple(groupings.get(name) for name in names)
