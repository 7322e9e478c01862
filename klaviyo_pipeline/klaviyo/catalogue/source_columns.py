"""The columns of each data source. Names are Klaviyo's; nested objects that every account has are flattened.

Required are those that the OpenAPI documents require in every living revision, and those that the pipeline sets itself.
"""

from __future__ import annotations

from dataclasses import replace

from klaviyo_pipeline.klaviyo.catalogue.columns import Allowed, Column, ColumnType

_STRING, _INTEGER, _FLOAT = ColumnType.STRING, ColumnType.INTEGER, ColumnType.FLOAT
_BOOLEAN, _TIMESTAMP, _JSON = ColumnType.BOOLEAN, ColumnType.TIMESTAMP, ColumnType.JSON


def _id(description: str) -> Column:
    return Column("id", _STRING, ("id",), description)


def _attribute(name: str, kind: ColumnType, description: str, option: str | None = None) -> Column:
    return Column(name, kind, ("attributes", name), description, option=option)


def _nested(parent: str, name: str, kind: ColumnType, description: str, prefix: str | None = None) -> Column:
    return Column(f"{prefix or parent}_{name}", kind, ("attributes", parent, name), description)


def _related(name: str, relationship: str, description: str, references: str) -> Column:
    return Column(name, _STRING, ("relationships", relationship, "data", "id"), description, references=references)


def _required(column: Column) -> Column:
    return replace(column, required=True)


def _key(column: Column, references: str) -> Column:
    return replace(column, required=True, references=references)


def _one_of(column: Column, *values: str, at: str | None = None) -> Column:
    return replace(column, allowed=(*column.allowed, Allowed(frozenset(values), at)))


_METRIC_ATTRIBUTES = (
    _attribute("name", _STRING, "The metric's name. Klaviyo renames metrics now and then: join on ids."),
    _attribute("created", _TIMESTAMP, "When the metric was created."),
    _attribute("updated", _TIMESTAMP, "When the metric was last changed; new events do not count."),
    _nested("integration", "object", _STRING, "Type of the integration object."),
    _nested("integration", "id", _STRING, "The integration's id."),
    _nested("integration", "key", _STRING, "The integration's key."),
    _nested("integration", "name", _STRING, "Where the events come from, for example Shopify, Klaviyo or API."),
    replace(
        _nested("integration", "category", _STRING, "The integration's category."),
        named=True,  # text, or an object with a name
    ),
)
METRIC_COLUMNS = (_id("The metric's id."), *_METRIC_ATTRIBUTES)


def _attribution(name: str, relationship: str, description: str) -> Column:
    return Column(
        name,
        _STRING,
        ("relationships", relationship, "data", "id"),
        description,
        via="attributions",
        option="attributions",
    )


def _event_detail(relationship: str, name: str, *path: str) -> Column:
    return Column(
        f"{relationship}_{name}",
        _STRING,
        ("attributes", *(path or (name,))),
        f"The {relationship}'s {name.replace('_', ' ')}, as it was when the event was read.",
        via=relationship,
        option="related",
    )


EVENT_COLUMNS = (
    _id("The event's id."),
    _related("metric_id", "metric", "The metric this event belongs to; joins metrics.id.", "metrics"),
    _related(
        "profile_id", "profile", "The person it is about; joins profiles.id. Empty for deleted profiles.", "profiles"
    ),
    _attribute(
        "datetime",
        _TIMESTAMP,
        "When it happened, as the sender says: late and future-dated events exist.",
    ),
    _attribute("timestamp", _INTEGER, "The same in seconds since 1970-01-01 UTC."),
    _attribute("uuid", _STRING, "The event's UUID."),
    _attribute("event_properties", _JSON, "Everything the sender said about the event, for example $value."),
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

_PROFILE_ATTRIBUTES = (
    _attribute("email", _STRING, "Email address."),
    _attribute("phone_number", _STRING, "Phone number in E.164 form."),
    _attribute("external_id", _STRING, "The id that the account's own system uses for this person."),
    _attribute("first_name", _STRING, "First name."),
    _attribute("last_name", _STRING, "Last name."),
    _attribute("organization", _STRING, "Company or organization."),
    _attribute("locale", _STRING, "IETF BCP 47 language tag."),
    _attribute("title", _STRING, "Job title."),
    _attribute("image", _STRING, "URL of a picture."),
    _attribute("created", _TIMESTAMP, "When the profile was created."),
    _attribute("updated", _TIMESTAMP, "When the profile last changed; a suppression alone does not count."),
    _attribute("last_event_date", _TIMESTAMP, "When the person's latest event happened."),
    _nested("location", "address1", _STRING, "First line of the address."),
    _nested("location", "address2", _STRING, "Second line of the address."),
    _nested("location", "city", _STRING, "City."),
    _nested("location", "region", _STRING, "Region within the country, such as a state."),
    _nested("location", "zip", _STRING, "Postal code."),
    _nested("location", "country", _STRING, "Country."),
    _nested("location", "latitude", _FLOAT, "Latitude in degrees; Klaviyo gives a number or text."),
    _nested("location", "longitude", _FLOAT, "Longitude in degrees; Klaviyo gives a number or text."),
    _nested("location", "timezone", _STRING, "IANA time zone."),
    _nested("location", "ip", _STRING, "IP address last seen."),
    _attribute("properties", _JSON, "Custom properties."),
    _attribute("subscriptions", _JSON, "Consent and suppressions by channel.", option="subscriptions"),
    _one_of(
        _attribute(
            "predictive_analytics",
            _JSON,
            "Klaviyo's predictions: lifetime value, churn, next order.",
            option="predictive_analytics",
        ),
        *("email", "push", "sms", "whatsapp"),
        at="$.ranked_channel_affinity[*]",
    ),
)
PROFILE_COLUMNS = (_id("The profile's id."), *_PROFILE_ATTRIBUTES)

LIST_PROFILE_COLUMNS = (
    Column("id", _STRING, None, "The list's id and the profile's id, joined by a colon."),
    _key(Column("list_id", _STRING, None, "The list; joins lists.id."), "lists"),
    _key(replace(_id("The member; joins profiles.id."), name="profile_id"), "profiles"),
    _required(_attribute("joined_group_at", _TIMESTAMP, "When the person joined the list; joining again moves it.")),
    *_PROFILE_ATTRIBUTES,
)
EVENT_METRIC_COLUMNS = (
    Column("id", _STRING, None, "The event's id: one row an event."),
    _key(Column("event_id", _STRING, None, "The event; joins events.id."), "events"),
    Column("event_datetime", _TIMESTAMP, None, "When the event happened; empty for events asked for by id alone."),
    _key(replace(_id("The event's metric; joins metrics.id."), name="metric_id"), "metrics"),
    *_METRIC_ATTRIBUTES,
)
EVENT_PROFILE_COLUMNS = (
    Column("id", _STRING, None, "The event's id: one row an event."),
    _key(Column("event_id", _STRING, None, "The event; joins events.id."), "events"),
    Column("event_datetime", _TIMESTAMP, None, "When the event happened; empty for events asked for by id alone."),
    _key(replace(_id("The event's profile; joins profiles.id."), name="profile_id"), "profiles"),
    *_PROFILE_ATTRIBUTES,
)

TEMPLATE_COLUMNS = (
    _id("The template's id."),
    _required(_attribute("name", _STRING, "The template's name.")),
    _required(
        _attribute("editor_type", _STRING, "How it was made: CODE, USER_DRAGGABLE, SYSTEM_DRAGGABLE and others.")
    ),
    _required(_attribute("html", _STRING, "The template's HTML.")),
    _attribute("text", _STRING, "The template's plain text."),
    _attribute("amp", _STRING, "The template's AMP version."),
    _attribute("created", _TIMESTAMP, "When the template was created."),
    _attribute("updated", _TIMESTAMP, "When the template last changed."),
    _attribute("screenshot_url", _STRING, "A picture of the template (from revision 2026-10-15 on)."),
)

LIST_COLUMNS = (
    _id("The list's id."),
    _attribute("name", _STRING, "The list's name."),
    _attribute("created", _TIMESTAMP, "When the list was created."),
    _attribute("updated", _TIMESTAMP, "When the list last changed; people joining or leaving do not count."),
    _one_of(_attribute("opt_in_process", _STRING, "double_opt_in or single_opt_in."), "double_opt_in", "single_opt_in"),
)

_OMNI = "2026-10-15"
"""From this revision on a campaign's attributes stand under `definition`, what is sent and when with its messages,
and to whom with its audiences. What a message says (channel, subject, sender, template) then stands with the
message's variations, which Klaviyo gives one message at a time only: those columns are empty, since a request a
campaign is not made. Revisions up to 2026-07-15, which Klaviyo serves until 2028-07-15, have them."""

_DEFINITION = ("attributes", "definition")


def _campaign(name: str, kind: ColumnType, description: str, *, omni: tuple[str, ...] | None = None) -> Column:
    return Column(name, kind, ("attributes", name), description, moved=((_OMNI, omni),))


def _omni_only(name: str, kind: ColumnType, description: str, *path: str) -> Column:
    return Column(name, kind, None, f"{description} From revision 2026-10-15 on.", moved=((_OMNI, path),))


def _moved(name: str, kind: ColumnType, description: str, via: str, *path: str) -> Column:
    """An attribute of the campaign that stands with a related resource from 2026-10-15 on."""
    omni = (*_DEFINITION, *path)
    return Column(name, kind, ("attributes", name), description, moved=((_OMNI, omni),), moved_via=((_OMNI, via),))


def _message(name: str, kind: ColumnType, description: str, *path: str, omni: tuple[str, ...] | None = None) -> Column:
    return Column(name, kind, path, description, moved=((_OMNI, omni),), via="campaign-messages")


def _said(name: str, description: str, *path: str) -> Column:
    return _message(name, _STRING, f"{description} Empty from revision 2026-10-15 on.", *path)


_CONTENT = (*_DEFINITION, "content")
_SEND_STRATEGIES = (  # from revision 2026-10-15 on
    *("static", "local_timezone", "send_time_optimization", "personalized_send_time_optimization", "throttled"),
    *("ab_send_time_test", "content_variation", "content_variation_local_timezone", "variation_per_second_throttled"),
)
_STATUSES = (
    *("Draft", "Preparing to schedule", "Scheduled", "Preparing to send", "Adding Recipients"),
    *("Queued without Recipients", "Sending", "Sending Segments", "Sent", "Variations Sent", "Unknown", "Cancelled"),
    *("Cancelled: Account Disabled", "Cancelled: Billing Limit", "Cancelled: Internal Error"),
    *("Cancelled: Misconfigured", "Cancelled: No Recipients", "Cancelled: Smart Sending"),
    *("draft", "scheduled", "sending", "sent", "cancelled"),  # from revision 2026-10-15 on
)
CAMPAIGN_COLUMNS = (
    _id("The campaign's id."),
    _required(_campaign("name", _STRING, "The campaign's name.", omni=(*_DEFINITION, "name"))),
    _one_of(
        _moved(
            "status",
            _STRING,
            "Draft, Scheduled, Sending, Sent, Cancelled and others; from revision 2026-10-15 on the first message's, "
            "in its words: draft, scheduled, sending, sent, cancelled.",
            "campaign-messages",
            "status",
        ),
        *_STATUSES,
    ),
    _campaign("archived", _BOOLEAN, "Whether it is archived.", omni=(*_DEFINITION, "archived")),
    _one_of(_said("channel", "email, sms or mobile_push.", *_DEFINITION, "channel"), *("email", "sms", "mobile_push")),
    _required(Column("created_at", _TIMESTAMP, ("attributes", "created_at"), "When the campaign was created.")),
    _campaign("scheduled_at", _TIMESTAMP, "When it was scheduled. Empty from revision 2026-10-15 on."),
    Column("updated_at", _TIMESTAMP, ("attributes", "updated_at"), "When the campaign last changed."),
    _moved("send_time", _TIMESTAMP, "When it is or was sent.", "campaign-messages", "send_options", "send_time"),
    _moved("audiences", _JSON, "Lists and segments included and excluded.", "campaign-audiences"),
    _one_of(
        _moved("send_options", _JSON, "Smart sending and similar options.", "campaign-messages", "send_options"),
        *_SEND_STRATEGIES,
        at="$.send_strategy",
    ),
    _moved(
        "tracking_options",
        _JSON,
        "What is tracked and which UTM parameters are added.",
        "campaign-messages",
        "tracking_options",
    ),
    _one_of(
        _campaign("send_strategy", _JSON, "How and when it is sent.", omni=(*_DEFINITION, "send_settings")),
        *("static", "throttled", "immediate", "smart_send_time", "ab_test_campaign", "unsupported"),
        at="$.method",
    ),
    _omni_only("builder", _STRING, "canvas or wizard.", *_DEFINITION, "builder"),
    _omni_only("color", _STRING, "Colour in the calendar.", *_DEFINITION, "color"),
    _omni_only("description", _STRING, "Description.", *_DEFINITION, "description"),
    _message("message_id", _STRING, "The first message's id.", "id", omni=("id",)),
    _said("subject", "The first message's subject.", *_CONTENT, "subject"),
    _said("preview_text", "The first message's preview text.", *_CONTENT, "preview_text"),
    _said("from_email", "The first message's sender address.", *_CONTENT, "from_email"),
    _said("from_label", "The first message's sender name.", *_CONTENT, "from_label"),
    _said("reply_to_email", "Where answers go.", *_CONTENT, "reply_to_email"),
    _said(
        "template_id", "The first message's template; joins templates.id.", *("relationships", "template", "data", "id")
    ),
    _message(
        "message_send_times",
        _JSON,
        "When the first message is or was sent.",
        *("attributes", "send_times"),
        omni=(*_DEFINITION, "send_options", "send_times"),
    ),
    Column(
        "messages",
        _JSON,
        (),
        "All messages of the campaign, whole.",
        via="campaign-messages",
        every=True,
    ),
    Column(
        "campaign_audiences",
        _JSON,
        None,
        "All audiences of the campaign, whole. From revision 2026-10-15 on.",
        moved=((_OMNI, ()),),
        via="campaign-audiences",
        every=True,
    ),
)
