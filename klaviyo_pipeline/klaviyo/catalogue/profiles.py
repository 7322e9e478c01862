"""Profiles: the people in the account."""

from __future__ import annotations

from klaviyo_pipeline.klaviyo.catalogue.declaring import FLOAT, JSON, STRING, TIMESTAMP, attribute, id_, nested, one_of
from klaviyo_pipeline.klaviyo.catalogue.model import (
    DOC,
    GT_LT,
    MEDIUM,
    PROFILE_TIER,
    FilterBy,
    Option,
    Source,
    TimeField,
)

PROFILE_ATTRIBUTES = (
    attribute("email", STRING, "Email address."),
    attribute("phone_number", STRING, "Phone number in E.164 form."),
    attribute("external_id", STRING, "The id that the account's own system uses for this person."),
    attribute("first_name", STRING, "First name."),
    attribute("last_name", STRING, "Last name."),
    attribute("organization", STRING, "Company or organization."),
    attribute("locale", STRING, "IETF BCP 47 language tag."),
    attribute("title", STRING, "Job title."),
    attribute("image", STRING, "URL of a picture."),
    attribute("created", TIMESTAMP, "When the profile was created."),
    attribute("updated", TIMESTAMP, "When the profile last changed; a suppression alone does not count."),
    attribute("last_event_date", TIMESTAMP, "When the person's latest event happened."),
    nested("location", "address1", STRING, "First line of the address."),
    nested("location", "address2", STRING, "Second line of the address."),
    nested("location", "city", STRING, "City."),
    nested("location", "region", STRING, "Region within the country, such as a state."),
    nested("location", "zip", STRING, "Postal code."),
    nested("location", "country", STRING, "Country."),
    nested("location", "latitude", FLOAT, "Latitude in degrees; Klaviyo gives a number or text."),
    nested("location", "longitude", FLOAT, "Longitude in degrees; Klaviyo gives a number or text."),
    nested("location", "timezone", STRING, "IANA time zone."),
    nested("location", "ip", STRING, "IP address last seen."),
    attribute("properties", JSON, "Custom properties."),
    attribute("subscriptions", JSON, "Consent and suppressions by channel.", option="subscriptions"),
    one_of(
        attribute(
            "predictive_analytics",
            JSON,
            "Klaviyo's predictions: lifetime value, churn, next order.",
            option="predictive_analytics",
        ),
        *("email", "push", "sms", "whatsapp"),
        at="$.ranked_channel_affinity[*]",
    ),
)
PROFILE_COLUMNS = (id_("The profile's id."), *PROFILE_ATTRIBUTES)

PROFILE_OPTIONS = (
    Option("subscriptions", False, "Read consent and suppressions by channel.", added_fields=("subscriptions",)),
    Option(
        "predictive_analytics",
        False,
        "Read Klaviyo's predictions. Klaviyo allows far fewer requests with them.",
        added_fields=("predictive_analytics",),
        tier=MEDIUM,
    ),
)

IMPERSONAL_PROFILE = ("created", "updated", "last_event_date")

PROFILES = Source(
    name="profiles",
    title="Profiles",
    description="The people in the account, with locations and custom properties.",
    doc=DOC + "get_profiles",
    path="/api/profiles",
    resource="profile",
    scopes=("profiles:read",),
    columns=PROFILE_COLUMNS,
    impersonal=IMPERSONAL_PROFILE,
    tier=PROFILE_TIER,
    page_size=(("", 100),),
    time_fields=(
        TimeField("updated", FilterBy.UPDATED, GT_LT),
        TimeField("created", FilterBy.CREATED, GT_LT),
    ),
    options=PROFILE_OPTIONS,
    lookback_days=1,
    version_column="updated",
    partitioned_by_day=True,
)
