"""Email templates."""

from __future__ import annotations

from klaviyo_pipeline.klaviyo.catalogue.declaring import JSON, STRING, TIMESTAMP, attribute, id_, required
from klaviyo_pipeline.klaviyo.catalogue.model import (
    DOC,
    GE_GT_LE_LT,
    LARGE,
    LARGE_UNTIL_2025,
    MEDIUM,
    FilterBy,
    Option,
    Source,
    TimeField,
)

TEMPLATE_COLUMNS = (
    id_("The template's id."),
    required(attribute("name", STRING, "The template's name.")),
    required(attribute("editor_type", STRING, "How it was made: CODE, USER_DRAGGABLE, SYSTEM_DRAGGABLE and others.")),
    required(attribute("html", STRING, "The template's HTML.")),
    attribute("text", STRING, "The template's plain text."),
    attribute("amp", STRING, "The template's AMP version."),
    attribute("created", TIMESTAMP, "When the template was created."),
    attribute("updated", TIMESTAMP, "When the template last changed."),
    attribute("screenshot_url", STRING, "A picture of the template (from revision 2026-10-15 on)."),
    attribute("definition", JSON, "The blocks of a drag-and-drop template.", option="definition"),
)

TEMPLATES = Source(
    name="templates",
    title="Email templates",
    description="Email templates with their HTML.",
    doc=DOC + "get_templates",
    path="/api/templates",
    resource="template",
    scopes=("templates:read",),
    columns=TEMPLATE_COLUMNS,
    impersonal=("id", "name", "editor_type", "created", "updated"),
    tier=(("", MEDIUM), ("2025-10-15", LARGE_UNTIL_2025), ("2026-01-15", LARGE)),
    page_size=(("", None), ("2026-04-15", 10)),
    time_fields=(
        TimeField("updated", FilterBy.UPDATED, GE_GT_LE_LT),
        TimeField("created", FilterBy.CREATED, GE_GT_LE_LT),
    ),
    options=(
        Option(
            "definition",
            False,
            "Read the blocks of drag-and-drop templates (from revision 2026-04-15 on).",
            added_fields=("definition",),
            since="2026-04-15",
        ),
    ),
    lookback_days=1,
    version_column="updated",
    shows_deletions=True,
)
