"""Translations of messages and templates."""

from __future__ import annotations

from klaviyo_pipeline.klaviyo.catalogue.declaring import (
    JSON,
    STRING,
    TIMESTAMP,
    attribute,
    id_,
    key,
    one_of,
    related,
    required,
)
from klaviyo_pipeline.klaviyo.catalogue.model import DOC, MEDIUM, FanOut, Include, Source

_SINCE, _SCOPES, _TIER = "2026-10-15", ("translations:read",), (("", MEDIUM),)

TRANSLATIONS = Source(
    name="translations",
    title="Translations",
    description="What is translated, from which language into which.",
    doc=DOC + "get_translations",
    path="/api/translations",
    resource="translation",
    since=_SINCE,
    scopes=_SCOPES,
    columns=(
        id_("The translation's id."),
        required(attribute("source_locale", STRING, "The language of the original.")),
        required(attribute("target_locales", JSON, "The languages of the translations.")),
        attribute("fallback_locale", STRING, "The language for people of other languages."),
        one_of(
            required(attribute("channel", STRING, "The channel.")), *("email", "mobile_push", "sms", "web", "whatsapp")
        ),
        attribute("metadata", JSON, "More about it."),
        attribute("created", TIMESTAMP, "When the translation was created."),
        attribute("updated", TIMESTAMP, "When the translation last changed."),
        related(
            "campaign_variation_id",
            "campaign-variation",
            "The campaign's variation; joins campaign_variations.id.",
            "campaign_variations",
        ),
        related("flow_message_id", "flow-message", "The flow's message; joins flow_messages.id.", "flow_messages"),
        related("template_id", "template", "The template; joins templates.id.", "templates"),
        related(
            "universal_content_id",
            "template-universal-content",
            "The universal content; joins universal_content.id.",
            "universal_content",
        ),
    ),
    impersonal=(
        *("id", "source_locale", "target_locales", "fallback_locale", "channel", "created", "updated"),
        *("campaign_variation_id", "flow_message_id", "template_id", "universal_content_id"),
    ),
    tier=_TIER,
    page_size=(("", 100),),
    includes=tuple(  # without it the relationship has no data
        Include(each) for each in ("campaign-variation", "flow-message", "template", "template-universal-content")
    ),
    incremental=False,
    shows_deletions=True,
)

TRANSLATION_VALUES = Source(
    name="translation_values",
    title="Values of translations",
    description="The translated texts of each translation.",
    doc=DOC + "get_translation",
    path="/api/translations/{id}",
    resource="translation",
    since=_SINCE,
    scopes=_SCOPES,
    columns=(
        key(id_("The translation's id; joins translations.id."), "translations"),
        attribute("updated", TIMESTAMP, "When the translation last changed."),
        attribute("values", JSON, "The texts."),
    ),
    impersonal=("id", "updated"),
    tier=_TIER,
    fields=("updated", "values"),
    added_fields=("values",),
    single=True,
    fan_out=FanOut(
        parent="translations",
        noun="translation",
        id_column="id",
        setting="translation_ids",
        limits="Read these translations only.",
    ),
    incremental=False,
    shows_deletions=True,
)
