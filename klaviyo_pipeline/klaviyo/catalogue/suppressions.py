"""Suppressions: whom Klaviyo sends no email, for the whole account or for a list."""

from __future__ import annotations

from klaviyo_pipeline.klaviyo.catalogue.child_rows import ChildOf, Place
from klaviyo_pipeline.klaviyo.catalogue.columns import Column
from klaviyo_pipeline.klaviyo.catalogue.declaring import (
    JSON,
    STRING,
    TIMESTAMP,
    attribute,
    child_of,
    id_,
    key,
    one_of,
    required,
)
from klaviyo_pipeline.klaviyo.catalogue.filters import GREATER_OR_EQUAL
from klaviyo_pipeline.klaviyo.catalogue.model import DOC, PROFILE_TIER, FilterBy, PerParent, Source, TimeField
from klaviyo_pipeline.klaviyo.windows import HISTORY_START

_EMAIL = "subscriptions.email.marketing"


def _suppressed(which: str) -> TimeField:
    """The time of suppressions. Klaviyo documents one condition on it a request, so a window's end is not asked for."""
    return TimeField(
        "suppressed_at",
        FilterBy.CREATED,
        frozenset({GREATER_OR_EQUAL}),
        field=f"{_EMAIL}.{which}.timestamp",
        earliest=HISTORY_START,
    )


SUPPRESSED_PROFILES = Source(
    name="suppressed_profiles",
    title="Suppressed profiles",
    description="The profiles that are suppressed, for the account or for a list, with their subscriptions.",
    doc=DOC + "get_profiles",
    path="/api/profiles",
    resource="profile",
    scopes=("profiles:read", "lists:read"),
    columns=(id_("The profile's id."), attribute("subscriptions", JSON, "Consent and suppressions by channel.")),
    tier=PROFILE_TIER,
    page_size=(("", 100),),
    time_fields=(_suppressed("suppression"),),
    # A filter by suppressions of lists must name the list, and cannot be mixed with one by those of the account.
    per_parent=PerParent("lists", "list", f"{_EMAIL}.list_suppressions.list_id", _suppressed("list_suppressions")),
    fields=("subscriptions",),
    added_fields=("subscriptions",),
    lookback_days=1,
    shows_deletions=True,
)

SUPPRESSIONS = child_of(
    SUPPRESSED_PROFILES,
    ChildOf(
        parent="suppressed_profiles",
        id_column="profile_id",
        inside="subscriptions",
        places=(
            Place(("email", "marketing", "suppression"), (("channel", "email"), ("scope", "global"))),
            Place(("email", "marketing", "list_suppressions"), (("channel", "email"),)),
        ),
    ),
    name="suppressions",
    title="Suppressions",
    description="Who is sent no email, for the whole account or for a list, since when and why. Klaviyo has "
    "suppressions of email only. A read of the whole finds who is no longer suppressed.",
    columns=(
        Column(
            "id",
            STRING,
            None,
            "The profile's id, the channel, the scope, and the reason, joined by colons.",
            made_of=("profile_id", "channel", "scope", "reason"),
        ),
        key(Column("profile_id", STRING, None, "The person; joins profiles.id."), "profiles"),
        one_of(required(Column("channel", STRING, None, "Klaviyo has suppressions of email only.")), "email"),
        required(Column("scope", STRING, ("list_id",), "global, or the id of the list that it is about.")),
        Column(
            "list_id",
            STRING,
            ("list_id",),
            "The list that it is about; joins lists.id. Empty for the whole account.",
            references="lists",
        ),
        one_of(
            required(Column("reason", STRING, ("reason",), "Why.")),
            *("HARD_BOUNCE", "INVALID_EMAIL", "SPAM_COMPLAINT", "UNSUBSCRIBE", "USER_SUPPRESSED"),
        ),
        Column("suppressed_at", TIMESTAMP, ("timestamp",), "When it began."),
    ),
    impersonal=("channel", "scope", "list_id", "reason", "suppressed_at"),
)
