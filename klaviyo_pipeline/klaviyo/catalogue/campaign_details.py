"""What Klaviyo gives for one campaign, or one of its messages, at a time: a request each."""

from __future__ import annotations

from klaviyo_pipeline.klaviyo.catalogue.campaigns import SENT_OR_CANCELLED
from klaviyo_pipeline.klaviyo.catalogue.columns import Column
from klaviyo_pipeline.klaviyo.catalogue.declaring import (
    INTEGER,
    JSON,
    STRING,
    TIMESTAMP,
    at,
    attribute,
    id_,
    key,
    observation,
    pair,
    required,
)
from klaviyo_pipeline.klaviyo.catalogue.model import DOC, MEDIUM, SMALL, FanOut, Source

_SINCE = "2026-10-15"
_OF_MESSAGE = FanOut(
    parent="campaign_messages",
    noun="campaign message",
    id_column="campaign_message_id",
    setting="campaign_message_ids",
    limits="Read these messages only.",
)
_MESSAGE_ID = key(
    Column("campaign_message_id", STRING, None, "The message; joins campaign_messages.id."), "campaign_messages"
)
_DEFINITION = ("attributes", "definition")


def _detail(name: str, description: str) -> Column:
    return at(name, STRING, description, *_DEFINITION, "details", name)


CAMPAIGN_VARIATIONS = Source(
    name="campaign_variations",
    title="Campaign variations",
    description="What each message of a campaign says, in each of its variations.",
    doc=DOC + "get_variations_for_campaign_message",
    path="/api/campaign-messages/{id}/campaign-variations",
    resource="campaign-variation",
    since=_SINCE,
    scopes=("campaigns:read",),
    columns=(
        id_("The variation's id."),
        _MESSAGE_ID,
        at("name", STRING, "The variation's name.", *_DEFINITION, "name"),
        _detail("channel", "email, sms, mobile_push and others."),
        _detail("subject", "The subject of an email."),
        _detail("preview_text", "The preview text of an email."),
        _detail("from_email", "The sender's address."),
        _detail("from_label", "The sender's name."),
        _detail("reply_to_email", "Where answers go."),
        _detail("body", "The text of a text or push message."),
        _detail("title", "The title of a push message."),
        Column(
            "template_id",
            STRING,
            (*_DEFINITION, "details", "template_id"),
            "Joins templates.id.",
            references="templates",
        ),
        at("details", JSON, "What it says, whole.", *_DEFINITION, "details"),
        required(attribute("created", TIMESTAMP, "When the variation was created.")),
        required(attribute("updated", TIMESTAMP, "When the variation last changed.")),
    ),
    impersonal=("id", "campaign_message_id", "name", "channel", "template_id", "created", "updated"),
    tier=(("", MEDIUM),),
    fan_out=_OF_MESSAGE,
    version_column="updated",
    incremental=False,
    shows_deletions=True,
)

CAMPAIGN_MESSAGE_TAGS = Source(
    name="campaign_message_tags",
    title="Tags of campaign messages",
    description="Which message of a campaign has which tag.",
    doc=DOC + "get_tags_for_campaign_message",
    path="/api/campaign-messages/{id}/tags",
    resource="tag",
    since=_SINCE,
    scopes=("campaigns:read", "tags:read"),
    columns=(
        pair("campaign_message_id", "tag_id"),
        _MESSAGE_ID,
        key(Column("tag_id", STRING, ("id",), "The tag; joins tags.id."), "tags"),
        attribute("name", STRING, "The tag's name."),
    ),
    impersonal=("id", "campaign_message_id", "tag_id", "name"),
    tier=(("", SMALL),),
    fan_out=_OF_MESSAGE,
    incremental=False,
    shows_deletions=True,
)

CAMPAIGN_RECIPIENT_ESTIMATES = Source(
    name="campaign_recipient_estimates",
    title="Recipient estimates of campaigns",
    description="Klaviyo's last estimate of how many people each campaign will be sent to, at the time of each load.",
    doc=DOC + "get_campaign_recipient_estimation",
    path="/api/campaign-recipient-estimations/{id}",
    resource="campaign-recipient-estimation",
    scopes=("campaigns:read",),
    columns=(
        *observation(key(Column("campaign_id", STRING, None, "Joins campaigns.id."), "campaigns")),
        required(attribute("estimated_recipient_count", INTEGER, "The estimate.")),
    ),
    impersonal=("id", "campaign_id", "observed_at", "estimated_recipient_count"),
    tier=(("", MEDIUM),),
    single=True,
    observed_at="observed_at",
    fan_out=FanOut(
        parent="campaigns",
        noun="campaign",
        id_column="campaign_id",
        setting="campaign_ids",
        limits="Read the estimates of these campaigns only.",
        may_lack=True,
        childless=(("status", SENT_OR_CANCELLED),),
    ),
    incremental=False,
)
