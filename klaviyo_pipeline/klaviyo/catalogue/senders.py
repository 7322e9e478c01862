"""The numbers and names that text messages are sent from."""

from __future__ import annotations

from klaviyo_pipeline.klaviyo.catalogue.columns import Column, ColumnType
from klaviyo_pipeline.klaviyo.catalogue.declaring import (
    JSON,
    STRING,
    TIMESTAMP,
    at,
    attribute,
    id_,
    one_of,
    required,
)
from klaviyo_pipeline.klaviyo.catalogue.model import DOC, SMALL, Include, Source

_REGISTRATION = "text-messaging-sender-registration"


def _registered(name: str, kind: ColumnType, description: str) -> Column:
    return Column(f"registration_{name}", kind, ("attributes", name), description, via=_REGISTRATION)


TEXT_MESSAGING_SENDERS = Source(
    name="text_messaging_senders",
    title="Senders of text messages",
    description="The numbers and names that text messages are sent from, with their registration.",
    doc=DOC + "get_text_messaging_senders",
    path="/api/text-messaging-senders",
    resource="text-messaging-sender",
    since="2026-10-15",
    scopes=("sender-config:read",),
    columns=(
        id_("The sender's id."),
        one_of(
            required(attribute("sender_type", STRING, "The kind of sender.")),
            *("alpha", "long_code", "short_code", "toll_free", "vanity_short_code"),
        ),
        at("country", STRING, "The country that it sends to.", "attributes", "sender_details", "country"),
        one_of(
            required(attribute("status", STRING, "Whether it can send.")),
            *("active", "pending_registration", "registering", "registration_failed", "suspended"),
        ),
        required(attribute("created_at", TIMESTAMP, "When the sender was created.")),
        attribute("forwarding_number", STRING, "The number that calls are forwarded to."),
        attribute("sender_identifier", STRING, "The number or name that people see."),
        Column("registration_id", STRING, ("relationships", _REGISTRATION, "data", "id"), "Its registration."),
        _registered("status", STRING, "How far the registration is."),
        _registered("failures", JSON, "Why it failed."),
        _registered("created_at", TIMESTAMP, "When it was created."),
        _registered("updated_at", TIMESTAMP, "When it last changed."),
        _registered("submitted_at", TIMESTAMP, "When it was handed in."),
        _registered("decided_at", TIMESTAMP, "When it was decided."),
    ),
    impersonal=(
        *("id", "sender_type", "country", "status", "created_at", "registration_id", "registration_status"),
        *(f"registration_{each}_at" for each in ("created", "updated", "submitted", "decided")),
    ),
    tier=(("", SMALL),),
    page_size=(("", 20),),
    includes=(Include(_REGISTRATION),),
    incremental=False,
    shows_deletions=True,
)
