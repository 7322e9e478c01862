"""Profiles: the people in the account."""

from __future__ import annotations

from klaviyo_pipeline.klaviyo.catalogue.child_rows import ChildOf, Place
from klaviyo_pipeline.klaviyo.catalogue.columns import Column, ColumnType
from klaviyo_pipeline.klaviyo.catalogue.declaring import (
    BOOLEAN,
    FLOAT,
    INTEGER,
    JSON,
    STRING,
    TIMESTAMP,
    attribute,
    child_of,
    id_,
    key,
    nested,
    one_of,
    required,
)
from klaviyo_pipeline.klaviyo.catalogue.model import (
    DOC,
    GT_LT,
    MEDIUM,
    PROFILE_TIER,
    FilterBy,
    Include,
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
    includes=(Include("conversations", option="conversations", since="2026-07-15"),),
    options=(
        *PROFILE_OPTIONS,
        Option("conversations", False, "Read in which channels each person has a conversation, for conversations."),
    ),
    staged=(
        Column(
            "conversations",
            JSON,
            (),
            "The person's conversations.",
            via="conversations",
            every=True,
            option="conversations",
        ),
    ),
    lookback_days=1,
    version_column="updated",
    partitioned_by_day=True,
)


def _predicted(name: str, kind: ColumnType, description: str) -> Column:
    return Column(name, kind, ("attributes", "predictive_analytics", name), description)


PROFILE_PREDICTIONS = Source(
    name="profile_predictions",
    title="Predictions about profiles",
    description="What Klaviyo predicts about each person: lifetime value, churn, next order.",
    doc=DOC + "get_profiles",
    path="/api/profiles",
    resource="profile",
    scopes=("profiles:read",),
    columns=(
        key(id_("The profile's id; joins profiles.id."), "profiles"),
        attribute("created", TIMESTAMP, "When the profile was created."),
        attribute("updated", TIMESTAMP, "When the profile last changed."),
        _predicted("historic_clv", FLOAT, "What the person has spent."),
        _predicted("predicted_clv", FLOAT, "What the person is expected to spend in the next year."),
        _predicted("total_clv", FLOAT, "Both together."),
        _predicted("historic_number_of_orders", INTEGER, "How many orders the person has placed."),
        _predicted("predicted_number_of_orders", FLOAT, "How many orders are expected in the next year."),
        _predicted("average_days_between_orders", FLOAT, "The days between two orders, on average."),
        _predicted("average_order_value", FLOAT, "The value of an order, on average."),
        _predicted("churn_probability", FLOAT, "How likely it is that the person orders no more, from 0 to 1."),
        _predicted("expected_date_of_next_order", TIMESTAMP, "When the next order is expected."),
        one_of(
            _predicted("ranked_channel_affinity", JSON, "The channels by how likely the person engages with them."),
            *("email", "push", "sms", "whatsapp"),
            at="$[*]",
        ),
    ),
    impersonal=("created", "updated"),
    tier=(("", MEDIUM),),
    page_size=(("", 100),),
    time_fields=PROFILES.time_fields,
    fields=("created", "updated", "predictive_analytics"),
    added_fields=("predictive_analytics",),
    limit_of="/api/profiles+predictive_analytics",
    lookback_days=1,
    version_column="updated",
    shows_deletions=True,
)

_CONSENTS = {
    "email": ("marketing", "open_tracking", "click_tracking"),
    "sms": ("marketing", "transactional"),
    "mobile_push": ("marketing",),
    "whatsapp": ("marketing", "transactional", "conversational"),
}
_SPOKEN = {"mobile_push": "push"}

CONSENTS = child_of(
    PROFILES,
    ChildOf(
        parent="profiles",
        id_column="profile_id",
        inside="subscriptions",
        places=tuple(
            Place(
                (channel, kind),
                (("channel", channel), ("kind", kind)),
                ((f"can_receive_{_SPOKEN.get(channel, channel)}_{kind}", "can_receive"),),
            )
            for channel, kinds in _CONSENTS.items()
            for kind in kinds
        ),
        option="subscriptions",
        ignores=("suppression", "list_suppressions"),
    ),
    name="consents",
    title="Consents",
    description="What each person has agreed to, by channel and kind.",
    columns=(
        Column(
            "id",
            STRING,
            None,
            "The profile's id, the channel, and the kind, joined by colons.",
            made_of=("profile_id", "channel", "kind"),
        ),
        key(Column("profile_id", STRING, None, "The person; joins profiles.id."), "profiles"),
        one_of(required(Column("channel", STRING, None, "email, sms, mobile_push or whatsapp.")), *_CONSENTS),
        one_of(
            required(Column("kind", STRING, None, "marketing, transactional, conversational, or tracking of emails.")),
            *(kind for kinds in _CONSENTS.values() for kind in kinds),
        ),
        one_of(
            Column("consent", STRING, ("consent",), "SUBSCRIBED, UNSUBSCRIBED or NEVER_SUBSCRIBED."),
            *("SUBSCRIBED", "UNSUBSCRIBED", "NEVER_SUBSCRIBED"),
        ),
        Column("can_receive", BOOLEAN, ("can_receive",), "Whether the person may be sent such messages."),
        Column("consent_timestamp", TIMESTAMP, ("consent_timestamp",), "When consent was given or taken back."),
        Column("last_updated", TIMESTAMP, ("last_updated",), "When Klaviyo last changed it."),
        Column("created_timestamp", TIMESTAMP, ("created_timestamp",), "When it was recorded."),
        Column("valid_until", TIMESTAMP, ("valid_until",), "Until when it holds."),
        Column("method", STRING, ("method",), "How consent was given."),
        Column("method_detail", STRING, ("method_detail",), "More about how, such as the form."),
        Column("custom_method_detail", STRING, ("custom_method_detail",), "What the account's own system says of how."),
        Column("double_optin", BOOLEAN, ("double_optin",), "Whether the person confirmed it."),
        Column("phone_number", STRING, ("phone_number",), "The number that it is about."),
        Column("metadata", JSON, ("metadata",), "More about it."),
    ),
    impersonal=("channel", "kind", "consent", "can_receive", "consent_timestamp", "last_updated", "valid_until"),
)

CONVERSATIONS = child_of(
    PROFILES,
    ChildOf(
        parent="profiles",
        id_column="profile_id",
        inside="conversations",
        option="conversations",
        ignores=("relationships",),
    ),
    name="conversations",
    title="Conversations",
    description="In which channels each person has a conversation; Klaviyo does not give what is said.",
    since="2026-07-15",
    columns=(
        id_("The conversation's id."),
        key(Column("profile_id", STRING, None, "The person; joins profiles.id."), "profiles"),
        one_of(Column("channel", STRING, ("channel",), "The channel."), *("instagram", "sms", "whatsapp")),
    ),
    impersonal=("channel",),
)
