"""Flows."""

from __future__ import annotations

from klaviyo_pipeline.klaviyo.catalogue.declaring import (
    BOOLEAN,
    STRING,
    TIMESTAMP,
    attribute,
    id_,
    ids,
)
from klaviyo_pipeline.klaviyo.catalogue.filters import EQUALS, condition
from klaviyo_pipeline.klaviyo.catalogue.model import (
    DOC,
    GE_GT_LE_LT,
    SMALL,
    FilterBy,
    Include,
    Source,
    TimeField,
)

FLOWS = Source(
    name="flows",
    title="Flows",
    description="The account's flows, archived ones too, with their tags.",
    doc=DOC + "get_flows",
    path="/api/flows",
    resource="flow",
    scopes=("flows:read",),
    columns=(
        id_("The flow's id."),
        attribute("name", STRING, "The flow's name."),
        attribute("status", STRING, "draft, manual or live."),
        attribute("archived", BOOLEAN, "Whether it is archived."),
        attribute("created", TIMESTAMP, "When the flow was created."),
        attribute("updated", TIMESTAMP, "When the flow last changed."),
        attribute("trigger_type", STRING, "What starts it: Added to List, Date Based, Metric and others."),
        ids("tags", "tags", "Its tags: type and id of each."),
    ),
    impersonal=("id", "name", "status", "archived", "created", "updated", "trigger_type"),
    tier=(("", SMALL),),
    page_size=(("", 50),),
    time_fields=(
        TimeField("updated", FilterBy.UPDATED, GE_GT_LE_LT),
        TimeField("created", FilterBy.CREATED, GE_GT_LE_LT),
    ),
    streams=(("", tuple((condition(EQUALS, "archived", archived),) for archived in (False, True))),),
    includes=(Include("tags"),),  # without it the relationship has no data
    lookback_days=1,
    version_column="updated",
    shows_deletions=True,
)
