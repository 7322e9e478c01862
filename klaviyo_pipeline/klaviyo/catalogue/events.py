"""Events, and for each event its metric and its profile."""

from __future__ import annotations

from dataclasses import replace

from klaviyo_pipeline.klaviyo.catalogue.child_rows import ChildOf
from klaviyo_pipeline.klaviyo.catalogue.columns import Column
from klaviyo_pipeline.klaviyo.catalogue.declaring import (
    INTEGER,
    JSON,
    STRING,
    TIMESTAMP,
    attribute,
    child_of,
    id_,
    key,
    pair,
    related,
    required,
)
from klaviyo_pipeline.klaviyo.catalogue.metrics import IMPERSONAL_METRIC, METRIC_ATTRIBUTES
from klaviyo_pipeline.klaviyo.catalogue.model import (
    DOC,
    EXTRA_LARGE,
    GE_GT_LE_LT,
    Choice,
    FanOut,
    FilterBy,
    Include,
    Option,
    Source,
    TimeField,
)
from klaviyo_pipeline.klaviyo.catalogue.profiles import IMPERSONAL_PROFILE, PROFILE_ATTRIBUTES, PROFILE_OPTIONS


def _attribution(name: str, relationship: str, description: str) -> Column:
    return Column(
        name,
        STRING,
        ("relationships", relationship, "data", "id"),
        description,
        via="attributions",
        option="attributions",
    )


def _event_detail(relationship: str, name: str, *path: str) -> Column:
    return Column(
        f"{relationship}_{name}",
        STRING,
        ("attributes", *(path or (name,))),
        f"The {relationship}'s {name.replace('_', ' ')}, as it was when the event was read.",
        via=relationship,
        option="related",
    )


EVENT_COLUMNS = (
    id_("The event's id."),
    related("metric_id", "metric", "The metric this event belongs to; joins metrics.id.", "metrics"),
    related(
        "profile_id", "profile", "The person it is about; joins profiles.id. Empty for deleted profiles.", "profiles"
    ),
    attribute(
        "datetime",
        TIMESTAMP,
        "When it happened, as the sender says: late and future-dated events exist.",
    ),
    attribute("timestamp", INTEGER, "The same in seconds since 1970-01-01 UTC."),
    attribute("uuid", STRING, "The event's UUID."),
    attribute("event_properties", JSON, "Everything the sender said about the event, for example $value."),
    _attribution("attributed_event_id", "attributed-event", "The message event this event is attributed to."),
    _attribution("campaign_id", "campaign", "The campaign this event is attributed to."),
    _attribution("campaign_message_id", "campaign-message", "The campaign message it is attributed to."),
    _attribution("flow_id", "flow", "The flow this event is attributed to."),
    _attribution("flow_message_id", "flow-message", "The flow message it is attributed to."),
    _attribution("flow_message_variation_id", "flow-message-variation", "The variation of the flow message."),
    _event_detail("metric", "name"),
    _event_detail("metric", "integration_name", "integration", "name"),
    replace(
        _event_detail("metric", "integration_category", "integration", "category"),
        named=True,  # text, or an object with a name
    ),
    _event_detail("profile", "email"),
    _event_detail("profile", "phone_number"),
    _event_detail("profile", "external_id"),
    _event_detail("profile", "first_name"),
    _event_detail("profile", "last_name"),
)

_ATTRIBUTED = (
    ("attributed_event_id", "attributed-event", "The message event that the event is attributed to.", None),
    ("campaign_id", "campaign", "The campaign; joins campaigns.id.", "campaigns"),
    ("campaign_message_id", "campaign-message", "The campaign message; joins campaign_messages.id.", None),
    ("flow_id", "flow", "The flow; joins flows.id.", "flows"),
    ("flow_message_id", "flow-message", "The flow message; joins flow_messages.id.", None),
    ("flow_message_variation_id", "flow-message-variation", "The variation of the flow message.", None),
)

EVENT_METRIC_COLUMNS = (
    Column("id", STRING, None, "The event's id: one row an event.", made_of=("event_id",)),
    key(Column("event_id", STRING, None, "The event; joins events.id."), "events"),
    Column("event_datetime", TIMESTAMP, None, "When the event happened; empty for events asked for by id alone."),
    key(replace(id_("The event's metric; joins metrics.id."), name="metric_id"), "metrics"),
    *METRIC_ATTRIBUTES,
)

EVENT_PROFILE_COLUMNS = (
    Column("id", STRING, None, "The event's id: one row an event.", made_of=("event_id",)),
    key(Column("event_id", STRING, None, "The event; joins events.id."), "events"),
    Column("event_datetime", TIMESTAMP, None, "When the event happened; empty for events asked for by id alone."),
    key(replace(id_("The event's profile; joins profiles.id."), name="profile_id"), "profiles"),
    *PROFILE_ATTRIBUTES,
)

_OF_EVENT = FanOut(
    parent="events",
    noun="event",
    id_column="event_id",
    setting="event_ids",
    limits="Ask for these events one by one.",
    carries=(("event_id", "id"), ("event_datetime", "datetime")),
)

EVENTS = Source(
    name="events",
    title="Events",
    description="What people did and what was sent to them: orders, opens, clicks, and custom events.",
    doc=DOC + "get_events",
    path="/api/events",
    resource="event",
    scopes=("events:read",),
    columns=EVENT_COLUMNS,
    impersonal=(
        *("id", "metric_id", "datetime", "timestamp", "uuid"),
        *("attributed_event_id", "campaign_id", "campaign_message_id"),
        *("flow_id", "flow_message_id", "flow_message_variation_id"),
        *("metric_name", "metric_integration_name", "metric_integration_category"),
    ),
    tier=(("", EXTRA_LARGE),),
    # Before 2026-01-15 a page had 200 events and the parameter did not exist.
    page_size=(("", None), ("2026-01-15", 1000)),
    time_fields=(TimeField("datetime", FilterBy.CREATED, GE_GT_LE_LT),),
    fixed_time="datetime",  # no endpoint changes an event
    choice=Choice(
        of="metrics",
        noun="metric",
        setting="metrics",
        column="metric_id",
        limits="Read the events of these metrics only, named by name or id.",
    ),
    includes=(
        Include("attributions", option="attributions", since="2024-02-15"),
        Include("metric", option="related", resource="metric", fields=("name", "integration")),
        Include(
            "profile",
            option="related",
            resource="profile",
            fields=("email", "phone_number", "external_id", "first_name", "last_name"),
        ),
    ),
    options=(
        Option("attributions", True, "Read which campaign, flow and message an event is attributed to."),
        Option(
            "related",
            False,
            "Off: details of each event's metric and profile are read into columns of their own.",
            skips=True,
        ),
    ),
    staged=(
        Column(
            "attributions",
            JSON,
            (),
            "All attributions of the event.",
            via="attributions",
            every=True,
            option="attributions",
        ),
    ),
    partitioned_by_day=True,
    lookback_days=7,
)

EVENT_ATTRIBUTIONS = child_of(
    EVENTS,
    ChildOf(
        parent="events",
        id_column="event_id",
        inside="attributions",
        carries=(("event_datetime", "datetime"),),
        option="attributions",
    ),
    name="event_attributions",
    title="Event attributions",
    description="What each event is attributed to: one row an attribution, where events has the first one only.",
    columns=(
        pair("event_id", "attribution_id"),
        key(Column("event_id", STRING, None, "The event; joins events.id."), "events"),
        Column("event_datetime", TIMESTAMP, None, "When the event happened."),
        required(Column("attribution_id", STRING, ("id",), "Klaviyo's id of the attribution.")),
        *(
            Column(name, STRING, ("relationships", relationship, "id"), text, references=other)
            for name, relationship, text, other in _ATTRIBUTED
        ),
    ),
    impersonal=(
        *("id", "event_id", "event_datetime", "attribution_id"),
        *(name for name, _relationship, _text, _other in _ATTRIBUTED),
    ),
)

EVENT_METRICS = Source(
    name="event_metrics",
    title="Event metrics",
    description="For each event the metric it belongs to.",
    doc=DOC + "get_metric_for_event",
    path="/api/events/{id}/metric",
    resource="metric",
    scopes=("events:read", "metrics:read"),
    columns=EVENT_METRIC_COLUMNS,
    impersonal=("id", "event_id", "event_datetime", "metric_id", *IMPERSONAL_METRIC),
    tier=(("", EXTRA_LARGE),),
    fan_out=replace(_OF_EVENT, key="metric_id", batch="metrics"),
    fixed_time="event_datetime",
    partitioned_by_day=True,
    incremental=False,
)

EVENT_PROFILES = Source(
    name="event_profiles",
    title="Event profiles",
    description="For each event the profile of the person it is about.",
    doc=DOC + "get_profile_for_event",
    path="/api/events/{id}/profile",
    resource="profile",
    scopes=("events:read", "profiles:read"),
    columns=EVENT_PROFILE_COLUMNS,
    impersonal=("id", "event_id", "event_datetime", *IMPERSONAL_PROFILE),
    tier=(("", EXTRA_LARGE),),
    options=PROFILE_OPTIONS,
    fan_out=replace(_OF_EVENT, key="profile_id", batch="profiles", chunk=100),
    version_column="updated",
    fixed_time="event_datetime",
    partitioned_by_day=True,
    incremental=False,
)
