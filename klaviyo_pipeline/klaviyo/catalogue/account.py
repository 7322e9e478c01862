"""The account itself, and what it adds to links."""

from __future__ import annotations

from klaviyo_pipeline.klaviyo.catalogue.declaring import (
    BOOLEAN,
    FLOAT,
    INTEGER,
    JSON,
    STRING,
    TIMESTAMP,
    at,
    attribute,
    id_,
    nested,
    observation,
    required,
)
from klaviyo_pipeline.klaviyo.catalogue.model import DOC, EXTRA_SMALL, MEDIUM, Source

_CONTACT = ("attributes", "contact_information")
_ADDRESS = (*_CONTACT, "street_address")
_UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_id", "utm_term")

ACCOUNTS = Source(
    name="accounts",
    title="Accounts",
    description="The account that the key belongs to: one row, with its time zone and currency.",
    doc=DOC + "get_accounts",
    path="/api/accounts",
    resource="account",
    scopes=("accounts:read",),
    columns=(
        id_("The account's id."),
        required(attribute("test_account", BOOLEAN, "Whether it is a test account.")),
        at("sender_name", STRING, "The default sender's name.", *_CONTACT, "default_sender_name"),
        at("sender_email", STRING, "The default sender's address.", *_CONTACT, "default_sender_email"),
        at("website_url", STRING, "The organization's website.", *_CONTACT, "website_url"),
        at("organization_name", STRING, "The organization's name.", *_CONTACT, "organization_name"),
        at("address1", STRING, "First line of the address.", *_ADDRESS, "address1"),
        at("address2", STRING, "Second line of the address.", *_ADDRESS, "address2"),
        at("city", STRING, "City.", *_ADDRESS, "city"),
        at("region", STRING, "Region within the country, such as a state.", *_ADDRESS, "region"),
        at("country", STRING, "Country.", *_ADDRESS, "country"),
        at("zip", STRING, "Postal code.", *_ADDRESS, "zip"),
        attribute("industry", STRING, "The kind of business."),
        required(attribute("timezone", STRING, "The account's IANA time zone: Klaviyo's reports count days in it.")),
        required(attribute("preferred_currency", STRING, "ISO 4217 code of the currency.")),
        required(attribute("public_api_key", STRING, "The account's public key, which is its id as well.")),
        required(attribute("locale", STRING, "Language and country, such as en-US.")),
    ),
    impersonal=("id", "test_account", "industry", "timezone", "preferred_currency", "locale"),
    tier=(("", EXTRA_SMALL),),
    incremental=False,
    shows_deletions=True,
)

TRACKING_SETTINGS = Source(
    name="tracking_settings",
    title="Tracking settings",
    description="The UTM parameters that the account adds to links: one row.",
    doc=DOC + "get_tracking_settings",
    path="/api/tracking-settings",
    resource="tracking-setting",
    scopes=("tracking-settings:read",),
    columns=(
        id_("The account's id."),
        required(attribute("auto_add_parameters", BOOLEAN, "Whether links get the parameters automatically.")),
        *(
            nested(name, kind, JSON, f"The {name} in links of a {kind}: a type, static or dynamic, and a value.")
            for name in _UTM
            for kind in ("flow", "campaign")
        ),
        attribute("custom_parameters", JSON, "Parameters of the account's own."),
    ),
    impersonal=("id", "auto_add_parameters"),
    tier=(("", MEDIUM),),
    page_size=(("", 1),),
    incremental=False,
    shows_deletions=True,
)

BILLING_USAGE = Source(
    name="billing_usage",
    title="Billing usage",
    description="How much of its plan the account has used, at the time of each load.",
    doc=DOC + "list_billing_usage",
    path="/api/billing-usage",
    resource="billing-usage",
    since="2026-10-15",
    scopes=("usage:read",),
    columns=(
        *observation(required(at("usage_id", STRING, "What is used, in this period.", "id"))),
        required(attribute("usage_used", FLOAT, "How much is used.")),
        attribute("usage_max", INTEGER, "How much the plan allows."),
        required(attribute("unit", STRING, "What both are counted in.")),
        required(attribute("period_start", TIMESTAMP, "When the billing period begins.")),
        required(attribute("period_end", TIMESTAMP, "When the billing period ends.")),
        required(attribute("as_of", TIMESTAMP, "When Klaviyo counted.")),
    ),
    impersonal=(
        *("id", "usage_id", "observed_at", "usage_used", "usage_max"),
        *("unit", "period_start", "period_end", "as_of"),
    ),
    tier=(("", MEDIUM),),
    observed_at="observed_at",
    incremental=False,
)
