"""Campaigns, with what their messages say."""

from __future__ import annotations

from itertools import product

from klaviyo_pipeline.klaviyo.catalogue.child_rows import ChildOf, Place
from klaviyo_pipeline.klaviyo.catalogue.columns import Column, ColumnType
from klaviyo_pipeline.klaviyo.catalogue.declaring import (
    BOOLEAN,
    JSON,
    STAGED_TAGS,
    STRING,
    TAGS,
    TIMESTAMP,
    child_of,
    id_,
    key,
    one_of,
    required,
    tags_of,
)
from klaviyo_pipeline.klaviyo.catalogue.filters import EQUALS, condition
from klaviyo_pipeline.klaviyo.catalogue.model import DOC, GE_GT_LE_LT, MEDIUM, FilterBy, Include, Source, TimeField

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
    return _message(name, STRING, f"{description} Empty from revision 2026-10-15 on.", *path)


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
SENT_OR_CANCELLED = frozenset(
    each for each in _STATUSES if each.lower().startswith(("cancelled", "sent", "variations sent"))
)
CAMPAIGN_COLUMNS = (
    id_("The campaign's id."),
    required(_campaign("name", STRING, "The campaign's name.", omni=(*_DEFINITION, "name"))),
    one_of(
        _moved(
            "status",
            STRING,
            "Draft, Scheduled, Sending, Sent, Cancelled and others; from revision 2026-10-15 on the first message's, "
            "in its words: draft, scheduled, sending, sent, cancelled.",
            "campaign-messages",
            "status",
        ),
        *_STATUSES,
    ),
    _campaign("archived", BOOLEAN, "Whether it is archived.", omni=(*_DEFINITION, "archived")),
    one_of(_said("channel", "email, sms or mobile_push.", *_DEFINITION, "channel"), *("email", "sms", "mobile_push")),
    required(Column("created_at", TIMESTAMP, ("attributes", "created_at"), "When the campaign was created.")),
    _campaign("scheduled_at", TIMESTAMP, "When it was scheduled. Empty from revision 2026-10-15 on."),
    Column("updated_at", TIMESTAMP, ("attributes", "updated_at"), "When the campaign last changed."),
    _moved("send_time", TIMESTAMP, "When it is or was sent.", "campaign-messages", "send_options", "send_time"),
    _moved("audiences", JSON, "Lists and segments included and excluded.", "campaign-audiences"),
    one_of(
        _moved("send_options", JSON, "Smart sending and similar options.", "campaign-messages", "send_options"),
        *_SEND_STRATEGIES,
        at="$.send_strategy",
    ),
    _moved(
        "tracking_options",
        JSON,
        "What is tracked and which UTM parameters are added.",
        "campaign-messages",
        "tracking_options",
    ),
    one_of(
        _campaign("send_strategy", JSON, "How and when it is sent.", omni=(*_DEFINITION, "send_settings")),
        *("static", "throttled", "immediate", "smart_send_time", "ab_test_campaign", "unsupported"),
        at="$.method",
    ),
    _omni_only("builder", STRING, "canvas or wizard.", *_DEFINITION, "builder"),
    _omni_only("color", STRING, "Colour in the calendar.", *_DEFINITION, "color"),
    _omni_only("description", STRING, "Description.", *_DEFINITION, "description"),
    _message("message_id", STRING, "The first message's id.", "id", omni=("id",)),
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
        JSON,
        "When the first message is or was sent.",
        *("attributes", "send_times"),
        omni=(*_DEFINITION, "send_options", "send_times"),
    ),
    Column(
        "messages",
        JSON,
        (),
        "All messages of the campaign, whole.",
        via="campaign-messages",
        every=True,
    ),
    Column(
        "campaign_audiences",
        JSON,
        None,
        "All audiences of the campaign, whole. From revision 2026-10-15 on.",
        moved=((_OMNI, ()),),
        via="campaign-audiences",
        every=True,
    ),
)

_OF_CHANNEL = {each: condition(EQUALS, "messages.channel", each) for each in ("email", "sms", "mobile_push")}
_CAMPAIGN_STREAMS = tuple(
    (of_channel, condition(EQUALS, "archived", archived))
    for of_channel, archived in product(_OF_CHANNEL.values(), (False, True))
)

CAMPAIGNS = Source(
    name="campaigns",
    title="Campaigns",
    description="Email, SMS and push campaigns, archived ones too, with what their messages say.",
    doc=DOC + "get_campaigns",
    path="/api/campaigns",
    resource="campaign",
    scopes=("campaigns:read",),
    columns=CAMPAIGN_COLUMNS,
    impersonal=(
        *("id", "name", "status", "archived", "channel", "builder", "color", "message_id", "template_id"),
        *("send_strategy", "send_options"),
        *("created_at", "scheduled_at", "updated_at", "send_time"),
    ),
    tier=(("", MEDIUM),),
    page_size=(("", None), ("2026-04-15", 100)),
    time_fields=(
        TimeField("updated_at", FilterBy.UPDATED, GE_GT_LE_LT),
        TimeField("created_at", FilterBy.CREATED, GE_GT_LE_LT),
    ),
    # From 2026-10-15 on Klaviyo cannot filter by channel; without `archived` older revisions leave
    # archived campaigns out.
    streams=(
        ("", _CAMPAIGN_STREAMS),
        (
            "2026-10-15",
            ((condition(EQUALS, "archived", False),), (condition(EQUALS, "archived", True),)),
        ),
    ),
    # A campaign without messages, or a revision that cannot include them, says nothing of its channel.
    stream_values=tuple((of_channel, "channel", each) for each, of_channel in _OF_CHANNEL.items()),
    includes=(
        Include("campaign-messages", since="2023-07-15"),
        Include("campaign-audiences", since="2026-10-15"),
        Include("tags", option="tags"),
    ),
    options=(TAGS,),
    staged=(STAGED_TAGS,),
    lookback_days=1,
    version_column="updated_at",
    partitioned_by_day=True,
    sorted_by_time=False,
    shows_deletions=True,
)

CAMPAIGN_TAGS = tags_of(CAMPAIGNS, "Tags of campaigns", option="tags")


def _of_message(name: str, kind: ColumnType, description: str, *path: str, omni: tuple[str, ...] | None) -> Column:
    return Column(name, kind, path, description, moved=((_OMNI, omni),))


def _in_content(name: str, description: str) -> Column:
    return _of_message(
        name, STRING, f"{description} Empty from revision 2026-10-15 on.", "definition", "content", name, omni=None
    )


CAMPAIGN_MESSAGES = child_of(
    CAMPAIGNS,
    ChildOf(parent="campaigns", id_column="campaign_id", inside="messages"),
    name="campaign_messages",
    title="Campaign messages",
    description="All messages of each campaign, where campaigns has what the first one says.",
    columns=(
        id_("The message's id."),
        key(Column("campaign_id", STRING, None, "The campaign; joins campaigns.id."), "campaigns"),
        _of_message(
            "channel",
            STRING,
            "email, sms or mobile_push. Empty from revision 2026-10-15 on.",
            *("definition", "channel"),
            omni=None,
        ),
        _of_message("label", STRING, "The message's name.", "definition", "label", omni=("definition", "name")),
        _in_content("subject", "The subject of an email."),
        _in_content("preview_text", "The preview text of an email."),
        _in_content("from_email", "The sender's address."),
        _in_content("from_label", "The sender's name."),
        _in_content("reply_to_email", "Where answers go."),
        _in_content("cc_email", "Who gets a copy."),
        _in_content("bcc_email", "Who gets a blind copy."),
        _in_content("body", "The text of an SMS or push message."),
        _in_content("media_url", "The picture of an SMS message."),
        _in_content("title", "The title of a push message."),
        Column(
            "template_id", STRING, ("relationships", "template", "id"), "Joins templates.id.", references="templates"
        ),
        Column("image_id", STRING, ("relationships", "image", "id"), "Its image.", references="images"),
        Column("definition", JSON, ("definition",), "What it says and how it is sent."),
        _of_message(
            "send_times",
            JSON,
            "When it is or was sent.",
            "send_times",
            omni=("definition", "send_options", "send_times"),
        ),
        _of_message("created_at", TIMESTAMP, "When the message was created.", "created_at", omni=("created",)),
        _of_message("updated_at", TIMESTAMP, "When the message last changed.", "updated_at", omni=("updated",)),
    ),
    impersonal=("id", "campaign_id", "channel", "label", "template_id", "image_id", "created_at", "updated_at"),
)

CAMPAIGN_AUDIENCES = child_of(
    CAMPAIGNS,
    ChildOf(
        parent="campaigns",
        id_column="campaign_id",
        inside="audiences",
        places=tuple(Place((side,), (("side", side),)) for side in ("included", "excluded")),
    ),
    name="campaign_audiences",
    title="Campaign audiences",
    description="The lists and segments that each campaign is sent to, and those that it leaves out.",
    columns=(
        Column(
            "id",
            STRING,
            None,
            "The campaign's id, the side, and the group's id, joined by colons.",
            made_of=("campaign_id", "side", "group_id"),
        ),
        key(Column("campaign_id", STRING, None, "The campaign; joins campaigns.id."), "campaigns"),
        one_of(required(Column("side", STRING, None, "included or excluded.")), "included", "excluded"),
        required(Column("group_id", STRING, (), "A list's or a segment's id; joins lists.id or segments.id.")),
    ),
    impersonal=("id", "campaign_id", "side", "group_id"),
)
