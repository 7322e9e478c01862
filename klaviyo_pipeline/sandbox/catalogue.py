"""What each endpoint takes, per revision: filters, sorts, paging, includes, fieldsets, limits and scopes.

Source: Klaviyo's OpenAPI documents 2025-01-15 and 2026-07-15, the history of those between, and for
2026-10-15 the official SDK 25. A value that changed is a `since` table; `contract` picks the one in force.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar

from klaviyo_pipeline.sandbox.revisions import LIVING, OLDEST

T = TypeVar("T")
Since = dict[str, T]
"""A value by the revision from which on it holds."""

Limit = tuple[int, int]
"""Requests a second (burst) and a minute (steady)."""

XS, S, M, L700, L, XL = (1, 15), (3, 60), (10, 150), (75, 700), (75, 750), (350, 3500)

OPERATORS = {
    "eq": "equals",
    "ge": "greater-or-equal",
    "gt": "greater-than",
    "le": "less-or-equal",
    "lt": "less-than",
    "any": "any",
    "has": "has",
    "contains": "contains",
}


@dataclass(frozen=True, slots=True)
class Filterable:
    """A field that can be filtered: the kind of its literal and the operators it takes."""

    kind: str
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PageSize:
    """Rows on a page; `settable` is false where the endpoint takes no `page[size]`."""

    default: int
    maximum: int
    settable: bool = True


@dataclass(frozen=True, slots=True)
class Contract:
    """What one endpoint takes under one revision."""

    operation: str
    method: str
    path: tuple[str, ...]
    scopes: tuple[str, ...]
    limit: Limit
    lowered: Mapping[tuple[str, str], Limit]
    filters: Mapping[str, Filterable]
    sorts: tuple[str, ...]
    page: PageSize | None
    includes: tuple[str, ...]
    additional: Mapping[str, tuple[str, ...]]
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint over its whole life."""

    operation: str
    path: str
    scopes: str
    limit: Since[Limit]
    resource: str = ""
    filters: Since[str] = field(default_factory=dict)
    sorts: Since[str] = field(default_factory=dict)
    page: Since[PageSize] = field(default_factory=dict)
    includes: Since[str] = field(default_factory=dict)
    additional: Since[str] = field(default_factory=dict)
    lowered: Mapping[tuple[str, str], Limit] = field(default_factory=dict)
    since: str = OLDEST
    method: str = "GET"


def _always(value: T) -> Since[T]:
    return {OLDEST: value}


_L_LATER = {OLDEST: L700, "2026-01-15": L}
_TIMES = "ge/gt/le/lt"
_SUPPRESSED = "subscriptions.email.marketing.suppression"
_LIST_SUPPRESSED = "subscriptions.email.marketing.list_suppressions"

_MEMBER_FILTERS = (
    f"email:str any/eq; phone_number:str any/eq; push_token:str any/eq; _kx:str eq; joined_group_at:time {_TIMES}"
)
_EVENT_FILTERS = f"metric_id:str eq; profile_id:str eq; profile:has has; datetime:time {_TIMES}; timestamp:int {_TIMES}"
_PROFILE_FILTERS = (
    "id:str any/eq; email:str any/eq; phone_number:str any/eq; external_id:str any/eq; _kx:str eq; "
    "created:time gt/lt; updated:time gt/lt; "
    f"{_LIST_SUPPRESSED}.reason:str eq; {_LIST_SUPPRESSED}.timestamp:time {_TIMES}; "
    f"{_LIST_SUPPRESSED}.list_id:str eq; "
    f"{_SUPPRESSED}.reason:str eq; {_SUPPRESSED}.timestamp:time {_TIMES}"
)
_PROFILE_SORTS = f"created,email,id,updated,{_SUPPRESSED}.timestamp,{_LIST_SUPPRESSED}.timestamp"
_TEMPLATE_TIMES = f"created:time eq/{_TIMES}; updated:time eq/{_TIMES}"
_CAMPAIGN_LEGACY = (
    "messages.channel:str eq; name:str contains; status:str any/eq; archived:bool eq; "
    f"created_at:time {_TIMES}; scheduled_at:time {_TIMES}; updated_at:time {_TIMES}"
)
_MORE_PROFILE = "profile=subscriptions,predictive_analytics"
_PREDICTIVE = {("additional-fields[profile]", "predictive_analytics"): M}
_PROFILE_INCLUDES = {
    OLDEST: "",
    "2025-04-15": "lists,push-tokens,segments",
    "2026-01-15": "push-tokens",
    "2026-04-15": "conversation,push-tokens",
    "2026-07-15": "conversations,push-tokens",
}
_ONE_PROFILE_INCLUDES = {
    OLDEST: "lists,segments",
    "2025-04-15": "lists,push-tokens,segments",
    "2026-04-15": "conversation,lists,push-tokens,segments",
    "2026-07-15": "conversations,lists,push-tokens,segments",
}
_EVENT_INCLUDES = _always("attributions,metric,profile")
_MESSAGE_INCLUDES = {OLDEST: "campaign,image,template", "2026-10-15": "campaign"}
_CAMPAIGN_INCLUDES = {
    OLDEST: "campaign-messages,tags",
    "2026-10-15": "campaign-audiences,campaign-messages,tags",
}
_REBUILT = "2026-10-15"

ENDPOINTS = (
    Endpoint("get_accounts", "accounts", "accounts:read", _always(XS), "account"),
    Endpoint("get_account", "accounts/{id}", "accounts:read", _always(XS), "account"),
    Endpoint(
        "get_metrics",
        "metrics",
        "metrics:read",
        _always(M),
        "metric",
        filters=_always("integration.name:str eq; integration.category:str eq"),
        page=_always(PageSize(200, 200, settable=False)),
        includes=_always("flow-triggers"),
    ),
    Endpoint(
        "get_metric",
        "metrics/{id}",
        "metrics:read",
        _always(M),
        "metric",
        includes=_always("flow-triggers"),
    ),
    Endpoint(
        "get_events",
        "events",
        "events:read",
        _always(XL),
        "event",
        filters={OLDEST: _EVENT_FILTERS, "2026-04-15": f"{_EVENT_FILTERS}; metric:has has"},
        sorts=_always("datetime,timestamp"),
        page={OLDEST: PageSize(200, 200, settable=False), "2026-01-15": PageSize(200, 1000)},
        includes=_EVENT_INCLUDES,
    ),
    Endpoint(
        "get_event",
        "events/{id}",
        "events:read",
        _always(M),
        "event",
        includes=_EVENT_INCLUDES,
    ),
    Endpoint("get_metric_for_event", "events/{id}/metric", "events:read metrics:read", _always(XL), "metric"),
    Endpoint(
        "get_metric_id_for_event",
        "events/{id}/relationships/metric",
        "events:read metrics:read",
        _always(XL),
    ),
    Endpoint(
        "get_profile_for_event",
        "events/{id}/profile",
        "events:read profiles:read",
        _always(XL),
        "profile",
        additional=_always(_MORE_PROFILE),
    ),
    Endpoint(
        "get_profile_id_for_event",
        "events/{id}/relationships/profile",
        "events:read profiles:read",
        _always(XL),
    ),
    Endpoint(
        "get_profiles",
        "profiles",
        "profiles:read",
        _L_LATER,
        "profile",
        filters=_always(_PROFILE_FILTERS),
        sorts=_always(_PROFILE_SORTS),
        page=_always(PageSize(20, 100)),
        includes=_PROFILE_INCLUDES,
        additional=_always(_MORE_PROFILE),
        lowered=_PREDICTIVE,
    ),
    Endpoint(
        "get_profile",
        "profiles/{id}",
        "profiles:read",
        _L_LATER,
        "profile",
        includes=_ONE_PROFILE_INCLUDES,
        additional=_always(_MORE_PROFILE),
        lowered={("include", "lists"): XS, ("include", "segments"): XS},
    ),
    Endpoint(
        "get_lists",
        "lists",
        "lists:read",
        _L_LATER,
        "list",
        filters=_always("name:str any/eq; id:str any/eq; created:time gt; updated:time gt"),
        sorts=_always("created,id,name,updated"),
        page={OLDEST: PageSize(10, 10, settable=False), "2026-04-15": PageSize(10, 10)},
        includes=_always("flow-triggers,tags"),
    ),
    Endpoint(
        "get_list",
        "lists/{id}",
        "lists:read",
        _L_LATER,
        "list",
        includes=_always("flow-triggers,tags"),
        additional=_always("list=profile_count"),
        lowered={("additional-fields[list]", "profile_count"): XS},
    ),
    Endpoint(
        "get_profiles_for_list",
        "lists/{id}/profiles",
        "lists:read profiles:read",
        _L_LATER,
        "profile",
        filters=_always(_MEMBER_FILTERS),
        sorts=_always("joined_group_at"),
        page=_always(PageSize(20, 100)),
        additional=_always(_MORE_PROFILE),
        lowered=_PREDICTIVE,
    ),
    Endpoint(
        "get_profile_ids_for_list",
        "lists/{id}/relationships/profiles",
        "lists:read profiles:read",
        _L_LATER,
        filters=_always(_MEMBER_FILTERS),
        sorts=_always("joined_group_at"),
        page=_always(PageSize(20, 100)),
    ),
    Endpoint(
        "get_templates",
        "templates",
        "templates:read",
        {OLDEST: M, "2025-10-15": L700, "2026-01-15": L},
        "template",
        filters={
            OLDEST: f"id:str any/eq; name:str any/eq; {_TEMPLATE_TIMES}",
            "2025-10-15": f"id:str any/eq; name:str any/contains/eq; {_TEMPLATE_TIMES}",
        },
        sorts=_always("created,id,name,updated"),
        page={OLDEST: PageSize(10, 10, settable=False), "2026-04-15": PageSize(10, 10)},
        additional={OLDEST: "", "2026-04-15": "template=definition"},
    ),
    Endpoint(
        "get_template",
        "templates/{id}",
        "templates:read",
        {OLDEST: M, "2025-10-15": L700, "2026-01-15": L},
        "template",
        additional={OLDEST: "", "2026-04-15": "template=definition"},
    ),
    Endpoint(
        "get_campaigns",
        "campaigns",
        "campaigns:read",
        _always(M),
        "campaign",
        filters={
            OLDEST: _CAMPAIGN_LEGACY,
            "2025-07-15": f"id:str any; {_CAMPAIGN_LEGACY}",
            _REBUILT: "id:str any; name:str contains; archived:bool eq; builder:str eq; "
            f"created_at:time {_TIMES}; updated_at:time {_TIMES}",
        },
        sorts={
            OLDEST: "created_at,id,name,scheduled_at,updated_at",
            _REBUILT: "created_at,id,name,updated_at",
        },
        page={OLDEST: PageSize(100, 100, settable=False), "2026-04-15": PageSize(100, 100)},
        includes=_CAMPAIGN_INCLUDES,
    ),
    Endpoint(
        "get_campaign",
        "campaigns/{id}",
        "campaigns:read",
        _always(M),
        "campaign",
        includes=_CAMPAIGN_INCLUDES,
    ),
    Endpoint(
        "get_messages_for_campaign",
        "campaigns/{id}/campaign-messages",
        "campaigns:read",
        _always(M),
        "campaign-message",
        page={_REBUILT: PageSize(20, 20, settable=False)},
        includes=_MESSAGE_INCLUDES,
    ),
    Endpoint(
        "get_message_ids_for_campaign",
        "campaigns/{id}/relationships/campaign-messages",
        "campaigns:read",
        _always(M),
        page={_REBUILT: PageSize(20, 20, settable=False)},
    ),
    Endpoint(
        "get_campaign_audiences_for_campaign",
        "campaigns/{id}/campaign-audiences",
        "campaigns:read",
        _always(M),
        "campaign-audience",
        since=_REBUILT,
    ),
    Endpoint(
        "get_campaign_messages",
        "campaign-messages",
        "campaigns:read",
        _always(M),
        "campaign-message",
        filters=_always(
            "id:str any/eq; campaign_id:str eq; name:str contains; status:str eq; "
            f"created:time {_TIMES}; updated:time {_TIMES}"
        ),
        sorts=_always("created,id,name,status,updated"),
        page=_always(PageSize(20, 100)),
        includes=_always("campaign"),
        since=_REBUILT,
    ),
    Endpoint(
        "get_campaign_message",
        "campaign-messages/{id}",
        "campaigns:read",
        _always(M),
        "campaign-message",
        includes={OLDEST: "campaign,image,template", _REBUILT: "campaign,campaign-variations"},
    ),
    Endpoint(
        "get_variations_for_campaign_message",
        "campaign-messages/{id}/campaign-variations",
        "campaigns:read",
        _always(M),
        "campaign-variation",
        since=_REBUILT,
    ),
    Endpoint(
        "query_metric_aggregates",
        "metric-aggregates",
        "metrics:read",
        _always(S),
        "metric-aggregate",
        method="POST",
    ),
)

_INCLUDED_TYPES = {
    "attributions": "attribution",
    "campaign-audiences": "campaign-audience",
    "campaign-messages": "campaign-message",
    "campaign-variations": "campaign-variation",
    "conversations": "conversation",
    "flow-triggers": "flow",
    "lists": "list",
    "push-tokens": "push-token",
    "segments": "segment",
    "tags": "tag",
}

_FIELDS_SINCE = {"": "never", "attribution": "2026-04-15", "metric-aggregate": "2026-04-15"}

_BY_OPERATION = {endpoint.operation: endpoint for endpoint in ENDPOINTS}


def route(method: str, segments: list[str]) -> tuple[Endpoint, str] | None:
    """The endpoint of a path below `/api/`, and the id within it."""
    for endpoint in ENDPOINTS:
        parts = endpoint.path.split("/")
        if endpoint.method == method and len(parts) == len(segments):
            found = ""
            for part, segment in zip(parts, segments, strict=True):
                if part == "{id}":
                    found = segment
                elif part != segment:
                    break
            else:
                return endpoint, found
    return None


def known_path(segments: list[str]) -> bool:
    """Whether any method is served there."""
    return any(route(method, segments) for method in ("GET", "POST"))


@cache
def contract(operation: str, revision: str) -> Contract | None:
    """What the operation takes under a living revision; None where the revision doesn't have it."""
    endpoint = _BY_OPERATION[operation]
    if LIVING.index(revision) < LIVING.index(endpoint.since):
        return None
    includes = _names(_at(endpoint.includes, revision, ""))
    return Contract(
        operation=operation,
        method=endpoint.method,
        path=tuple(endpoint.path.split("/")),
        scopes=tuple(endpoint.scopes.split()),
        limit=_at(endpoint.limit, revision, S),
        lowered=endpoint.lowered,
        filters=_filters(_at(endpoint.filters, revision, "")),
        sorts=_names(_at(endpoint.sorts, revision, "")),
        page=_at(endpoint.page, revision, None),
        includes=includes,
        additional=_additional(_at(endpoint.additional, revision, "")),
        types=_types(endpoint.resource, includes, revision),
    )


def _at(versions: Mapping[str, T], revision: str, default: T) -> T:
    value = default
    for since in LIVING[: LIVING.index(revision) + 1]:
        value = versions.get(since, value)
    return value


def _types(resource: str, includes: tuple[str, ...], revision: str) -> tuple[str, ...]:
    """The types that `fields[…]` takes."""
    types = (resource, *(_INCLUDED_TYPES.get(name, name) for name in includes))
    return tuple(name for name in types if revision >= _FIELDS_SINCE.get(name, OLDEST))


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def _filters(text: str) -> dict[str, Filterable]:
    filters = {}
    for part in filter(None, text.split("; ")):
        name, _, rest = part.partition(":")
        kind, _, operators = rest.partition(" ")
        filters[name] = Filterable(kind, tuple(OPERATORS[operator] for operator in operators.split("/")))
    return filters


def _additional(text: str) -> dict[str, tuple[str, ...]]:
    if not text:
        return {}
    resource, _, names = text.partition("=")
    return {resource: tuple(names.split(","))}
