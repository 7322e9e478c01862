"""The rows that the sandbox holds, one type each, free of HTTP and of revisions.

The numerous ones (events, profiles) keep the columns that are searched and the rest as the JSON that the API
sends; the few keep plain fields. Times are microseconds, except the event's, which Klaviyo keeps in seconds.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

Value = Any
"""A value read from a row or from JSON by name: text, number, flag, null, or a structure of these."""


class Attribution(NamedTuple):
    """That an order is owed to a mail: the event it is owed to, and the campaign or flow that sent it."""

    id: str
    attributed_event_id: str
    campaign_id: str | None
    campaign_message_id: str | None
    flow_id: str | None
    flow_message_id: str | None


class Event(NamedTuple):
    """One event. Ordered by time, then id, which is also the order of its cursor."""

    timestamp: int
    id: str
    metric_id: str | None
    profile_id: str | None
    document: bytes
    attribution: Attribution | None = None
    also: tuple[Attribution, ...] = ()

    @property
    def attributions(self) -> tuple[Attribution, ...]:
        """All that it is owed to, the chief one first."""
        return (self.attribution, *self.also) if self.attribution else ()


class Suppression(NamedTuple):
    """That an address may not be mailed, by the account or (with `list_id`) by one list."""

    reason: str
    timestamp: int
    list_id: str | None = None


class Consent(NamedTuple):
    """What a person has agreed to, by channel: None is never asked, otherwise when."""

    email_at: int | None = None
    email_method: str | None = None
    sms_at: int | None = None
    push_at: int | None = None
    whatsapp_at: int | None = None
    unsubscribed: bool = False


class Orders(NamedTuple):
    """What predictive analytics is computed from."""

    number: int = 0
    value: float = 0.0
    first_at: int | None = None
    last_at: int | None = None


class Profile(NamedTuple):
    """One profile; `document` is its plain attributes as JSON."""

    id: str
    email: str | None
    phone_number: str | None
    external_id: str | None
    created: int
    updated: int
    document: bytes
    consent: Consent = Consent()
    suppressions: tuple[Suppression, ...] = ()
    orders: Orders = Orders()


@dataclass(frozen=True, slots=True)
class Metric:
    """A kind of event, as one integration reports it."""

    id: str
    name: str
    created: int
    updated: int
    integration: dict[str, Any]


@dataclass(frozen=True, slots=True)
class MailingList:
    """A list. Its members are kept by the store."""

    id: str
    name: str
    created: int
    updated: int
    opt_in_process: str = "single_opt_in"
    tag_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """A mail template."""

    id: str
    name: str
    editor_type: str
    html: str
    text: str | None
    created: int
    updated: int
    amp: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A campaign's message: its own content, with what 2026-10-15 made of it."""

    id: str
    campaign_id: str
    label: str
    content: dict[str, Any]
    template_id: str | None
    created: int
    updated: int
    audience_id: str
    variation_id: str


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign of one channel; both of Klaviyo's shapes are made from it."""

    id: str
    name: str
    channel: str
    status: str
    archived: bool
    created_at: int
    updated_at: int
    scheduled_at: int | None
    send_time: int | None
    included: tuple[str, ...]
    excluded: tuple[str, ...] = ()
    send_strategy: str = "static"
    builder: str = "wizard"
    smart_sending: bool = True
    tag_ids: tuple[str, ...] = ()
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Flow:
    """An automation that the history has mails of."""

    id: str
    name: str
    status: str
    trigger_type: str
    created: int
    updated: int
    metric_id: str | None = None
    list_id: str | None = None
    message_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tag:
    """A label on lists and campaigns."""

    id: str
    name: str


class Member(NamedTuple):
    """That a profile joined a list; ordered by when."""

    joined_at: int
    profile_id: str


@dataclass(frozen=True, slots=True)
class Shop:
    """Everything that was generated."""

    account: dict[str, Any]
    metrics: list[Metric]
    profiles: list[Profile]
    lists: list[MailingList]
    members: dict[str, list[Member]]
    templates: list[Template]
    campaigns: list[Campaign]
    flows: list[Flow]
    tags: list[Tag]
    events: list[Event] = field(default_factory=list)
    seed: int = 1
    since: int = 0
    until: int = 0
