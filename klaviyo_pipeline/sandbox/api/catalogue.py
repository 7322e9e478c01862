"""What each endpoint takes, per revision: filters, sorts, paging, includes, fieldsets, limits and scopes.

Source: Klaviyo's OpenAPI documents 2025-01-15 and 2026-07-15, the history of those between, and for
2026-10-15 the official SDK 25. A value that changed is a table by the revision from which on it holds.
"""

from functools import cache

from klaviyo_pipeline.sandbox.api.contracts import L700, XL, XS, Contract, Endpoint, L, M, PageSize, S, always, in_force
from klaviyo_pipeline.sandbox.api.revisions import OLDEST

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
_EVENT_INCLUDES = always("attributions,metric,profile")
_MESSAGE_INCLUDES = {OLDEST: "campaign,image,template", "2026-10-15": "campaign"}
_CAMPAIGN_INCLUDES = {
    OLDEST: "campaign-messages,tags",
    "2026-10-15": "campaign-audiences,campaign-messages,tags",
}
_REBUILT = "2026-10-15"

ENDPOINTS = (
    Endpoint("get_accounts", "accounts", "accounts:read", always(XS), "account"),
    Endpoint("get_account", "accounts/{id}", "accounts:read", always(XS), "account"),
    Endpoint(
        "get_metrics",
        "metrics",
        "metrics:read",
        always(M),
        "metric",
        filters=always("integration.name:str eq; integration.category:str eq"),
        page=always(PageSize(200, 200, settable=False)),
        includes=always("flow-triggers"),
    ),
    Endpoint(
        "get_metric",
        "metrics/{id}",
        "metrics:read",
        always(M),
        "metric",
        includes=always("flow-triggers"),
    ),
    Endpoint(
        "get_events",
        "events",
        "events:read",
        always(XL),
        "event",
        filters={OLDEST: _EVENT_FILTERS, "2026-04-15": f"{_EVENT_FILTERS}; metric:has has"},
        sorts=always("datetime,timestamp"),
        page={OLDEST: PageSize(200, 200, settable=False), "2026-01-15": PageSize(200, 1000)},
        includes=_EVENT_INCLUDES,
    ),
    Endpoint(
        "get_event",
        "events/{id}",
        "events:read",
        always(M),
        "event",
        includes=_EVENT_INCLUDES,
    ),
    Endpoint("get_metric_for_event", "events/{id}/metric", "events:read metrics:read", always(XL), "metric"),
    Endpoint(
        "get_metric_id_for_event",
        "events/{id}/relationships/metric",
        "events:read metrics:read",
        always(XL),
    ),
    Endpoint(
        "get_profile_for_event",
        "events/{id}/profile",
        "events:read profiles:read",
        always(XL),
        "profile",
        additional=always(_MORE_PROFILE),
    ),
    Endpoint(
        "get_profile_id_for_event",
        "events/{id}/relationships/profile",
        "events:read profiles:read",
        always(XL),
    ),
    Endpoint(
        "get_profiles",
        "profiles",
        "profiles:read",
        _L_LATER,
        "profile",
        filters=always(_PROFILE_FILTERS),
        sorts=always(_PROFILE_SORTS),
        page=always(PageSize(20, 100)),
        includes=_PROFILE_INCLUDES,
        additional=always(_MORE_PROFILE),
        lowered=_PREDICTIVE,
    ),
    Endpoint(
        "get_profile",
        "profiles/{id}",
        "profiles:read",
        _L_LATER,
        "profile",
        includes=_ONE_PROFILE_INCLUDES,
        additional=always(_MORE_PROFILE),
        lowered={("include", "lists"): XS, ("include", "segments"): XS},
    ),
    Endpoint(
        "get_lists",
        "lists",
        "lists:read",
        _L_LATER,
        "list",
        filters=always("name:str any/eq; id:str any/eq; created:time gt; updated:time gt"),
        sorts=always("created,id,name,updated"),
        page={OLDEST: PageSize(10, 10, settable=False), "2026-04-15": PageSize(10, 10)},
        includes=always("flow-triggers,tags"),
    ),
    Endpoint(
        "get_list",
        "lists/{id}",
        "lists:read",
        _L_LATER,
        "list",
        includes=always("flow-triggers,tags"),
        additional=always("list=profile_count"),
        lowered={("additional-fields[list]", "profile_count"): XS},
    ),
    Endpoint(
        "get_profiles_for_list",
        "lists/{id}/profiles",
        "lists:read profiles:read",
        _L_LATER,
        "profile",
        filters=always(_MEMBER_FILTERS),
        sorts=always("joined_group_at"),
        page=always(PageSize(20, 100)),
        additional=always(_MORE_PROFILE),
        lowered=_PREDICTIVE,
    ),
    Endpoint(
        "get_profile_ids_for_list",
        "lists/{id}/relationships/profiles",
        "lists:read profiles:read",
        _L_LATER,
        filters=always(_MEMBER_FILTERS),
        sorts=always("joined_group_at"),
        page=always(PageSize(20, 100)),
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
        sorts=always("created,id,name,updated"),
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
        always(M),
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
        always(M),
        "campaign",
        includes=_CAMPAIGN_INCLUDES,
    ),
    Endpoint(
        "get_messages_for_campaign",
        "campaigns/{id}/campaign-messages",
        "campaigns:read",
        always(M),
        "campaign-message",
        page={_REBUILT: PageSize(20, 20, settable=False)},
        includes=_MESSAGE_INCLUDES,
    ),
    Endpoint(
        "get_message_ids_for_campaign",
        "campaigns/{id}/relationships/campaign-messages",
        "campaigns:read",
        always(M),
        page={_REBUILT: PageSize(20, 20, settable=False)},
    ),
    Endpoint(
        "get_campaign_audiences_for_campaign",
        "campaigns/{id}/campaign-audiences",
        "campaigns:read",
        always(M),
        "campaign-audience",
        since=_REBUILT,
    ),
    Endpoint(
        "get_campaign_messages",
        "campaign-messages",
        "campaigns:read",
        always(M),
        "campaign-message",
        filters=always(
            "id:str any/eq; campaign_id:str eq; name:str contains; status:str eq; "
            f"created:time {_TIMES}; updated:time {_TIMES}"
        ),
        sorts=always("created,id,name,status,updated"),
        page=always(PageSize(20, 100)),
        includes=always("campaign"),
        since=_REBUILT,
    ),
    Endpoint(
        "get_campaign_message",
        "campaign-messages/{id}",
        "campaigns:read",
        always(M),
        "campaign-message",
        includes={OLDEST: "campaign,image,template", _REBUILT: "campaign,campaign-variations"},
    ),
    Endpoint(
        "get_variations_for_campaign_message",
        "campaign-messages/{id}/campaign-variations",
        "campaigns:read",
        always(M),
        "campaign-variation",
        since=_REBUILT,
    ),
    Endpoint(
        "query_metric_aggregates",
        "metric-aggregates",
        "metrics:read",
        always(S),
        "metric-aggregate",
        method="POST",
    ),
)

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
    return in_force(_BY_OPERATION[operation], revision)
