"""Webhooks. Keys of accounts without Klaviyo's advanced data platform may not read them."""

from __future__ import annotations

from klaviyo_pipeline.klaviyo.catalogue.declaring import BOOLEAN, STRING, TIMESTAMP, attribute, id_, ids, required
from klaviyo_pipeline.klaviyo.catalogue.model import DOC, EXTRA_SMALL, Include, Source

WEBHOOKS = Source(
    name="webhooks",
    title="Webhooks",
    description="The account's webhooks: addresses to which Klaviyo posts events.",
    doc=DOC + "get_webhooks",
    path="/api/webhooks",
    resource="webhook",
    scopes=("webhooks:read",),
    columns=(
        id_("The webhook's id."),
        required(attribute("name", STRING, "The webhook's name.")),
        attribute("description", STRING, "What it is for."),
        required(attribute("endpoint_url", STRING, "The address to which Klaviyo posts; it may contain a secret.")),
        required(attribute("enabled", BOOLEAN, "Whether it is on.")),
        attribute("created_at", TIMESTAMP, "When it was created."),
        attribute("updated_at", TIMESTAMP, "When it last changed."),
        ids("topics", "webhook-topics", "Its topics: type and id of each."),
    ),
    impersonal=("id", "name", "enabled", "created_at", "updated_at"),
    tier=(("", EXTRA_SMALL),),
    includes=(Include("webhook-topics"),),  # without it the relationship has no data
    version_column="updated_at",
    incremental=False,
    shows_deletions=True,
)

WEBHOOK_TOPICS = Source(
    name="webhook_topics",
    title="Webhook topics",
    description="The topics of webhooks.",
    doc=DOC + "get_webhook_topics",
    path="/api/webhook-topics",
    resource="webhook-topic",
    scopes=("webhooks:read",),
    columns=(id_("The topic, such as event:klaviyo.sent_sms."),),
    impersonal=("id",),
    tier=(("", EXTRA_SMALL),),
    incremental=False,
    shows_deletions=True,
)
