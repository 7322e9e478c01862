"""Sign-up forms, their versions and definitions."""

from __future__ import annotations

from dataclasses import replace

from klaviyo_pipeline.klaviyo.catalogue.columns import Column
from klaviyo_pipeline.klaviyo.catalogue.declaring import (
    BOOLEAN,
    STRING,
    TIMESTAMP,
    at,
    attribute,
    definition_of,
    id_,
    key,
    required,
)
from klaviyo_pipeline.klaviyo.catalogue.model import DOC, GE_GT_LE_LT, SMALL, FanOut, FilterBy, Source, TimeField

_TIMES = (
    TimeField("updated_at", FilterBy.UPDATED, GE_GT_LE_LT),
    TimeField("created_at", FilterBy.CREATED, GE_GT_LE_LT),
)

FORMS = Source(
    name="forms",
    title="Forms",
    description="The account's sign-up forms.",
    doc=DOC + "get_forms",
    path="/api/forms",
    resource="form",
    scopes=("forms:read",),
    columns=(
        id_("The form's id."),
        required(attribute("name", STRING, "The form's name.")),
        required(attribute("status", STRING, "draft or live.")),
        required(attribute("ab_test", BOOLEAN, "Whether versions of it are tested against each other.")),
        required(attribute("created_at", TIMESTAMP, "When the form was created.")),
        required(attribute("updated_at", TIMESTAMP, "When the form last changed.")),
    ),
    impersonal=("id", "name", "status", "ab_test", "created_at", "updated_at"),
    tier=(("", SMALL),),
    page_size=(("", 100),),
    time_fields=_TIMES,
    lookback_days=1,
    version_column="updated_at",
    shows_deletions=True,
)

FORM_DEFINITIONS = replace(
    definition_of(FORMS, "updated_at", "Versions, steps, triggers and styles of each form."), since="2025-10-15"
)

FORM_VERSIONS = Source(
    name="form_versions",
    title="Form versions",
    description="The versions of each form.",
    doc=DOC + "get_versions_for_form",
    path="/api/forms/{id}/form-versions",
    resource="form-version",
    scopes=("forms:read",),
    columns=(
        id_("The version's id."),
        key(Column("form_id", STRING, None, "The form; joins forms.id."), "forms"),
        required(attribute("form_type", STRING, "popup, flyout, embed, full_screen or banner.")),
        attribute("variation_name", STRING, "The variation's name."),
        at("ab_test_variation_name", STRING, "Its name in the test.", "attributes", "ab_test", "variation_name"),
        required(attribute("status", STRING, "draft or live.")),
        required(attribute("created_at", TIMESTAMP, "When the version was created.")),
        required(attribute("updated_at", TIMESTAMP, "When the version last changed.")),
    ),
    impersonal=("id", "form_id", "form_type", "variation_name", "status", "created_at", "updated_at"),
    tier=(("", SMALL),),
    page_size=(("", 100),),
    time_fields=_TIMES,
    fan_out=FanOut(
        parent="forms",
        noun="form",
        id_column="form_id",
        setting="form_ids",
        limits="Read the versions of these forms only.",
    ),
    version_column="updated_at",
    incremental=False,
    shows_deletions=True,
)
