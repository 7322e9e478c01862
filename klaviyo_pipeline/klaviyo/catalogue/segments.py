"""Segments, and who is in them."""

from __future__ import annotations

from dataclasses import replace

from klaviyo_pipeline.klaviyo.catalogue.columns import Column
from klaviyo_pipeline.klaviyo.catalogue.declaring import (
    BOOLEAN,
    FLOW_TRIGGERS,
    JSON,
    STAGED_FLOW_TRIGGERS,
    STRING,
    TIMESTAMP,
    attribute,
    counts_of,
    flow_triggers_of,
    id_,
    ids,
    key,
    pair,
    required,
    tags_of,
)
from klaviyo_pipeline.klaviyo.catalogue.model import (
    DOC,
    GE_GT_LE_LT,
    GT,
    PROFILE_TIER,
    FanOut,
    FilterBy,
    Include,
    Source,
    TimeField,
)

SEGMENTS = Source(
    name="segments",
    title="Segments",
    description="The account's segments, with their definitions.",
    doc=DOC + "get_segments",
    path="/api/segments",
    resource="segment",
    scopes=("segments:read",),
    columns=(
        id_("The segment's id."),
        attribute("name", STRING, "The segment's name."),
        attribute("definition", JSON, "The conditions that make a profile a member."),
        attribute("created", TIMESTAMP, "When the segment was created."),
        attribute("updated", TIMESTAMP, "When the segment last changed; people joining or leaving do not count."),
        required(attribute("is_active", BOOLEAN, "Whether Klaviyo keeps its members up to date.")),
        required(attribute("is_processing", BOOLEAN, "Whether Klaviyo still computes its members.")),
        required(attribute("is_starred", BOOLEAN, "Whether somebody starred it.")),
        ids("tags", "tags", "Its tags: type and id of each."),
    ),
    impersonal=("id", "name", "created", "updated", "is_active", "is_processing", "is_starred"),
    tier=PROFILE_TIER,
    page_size=(("", None), ("2026-04-15", 10)),
    time_fields=(TimeField("updated", FilterBy.UPDATED, GT), TimeField("created", FilterBy.CREATED, GT)),
    # Without the first the relationship has no data.
    includes=(Include("tags"), Include("flow-triggers", option="flow_triggers")),
    options=(FLOW_TRIGGERS,),
    staged=(STAGED_FLOW_TRIGGERS,),
    lookback_days=1,
    version_column="updated",
    shows_deletions=True,
)

SEGMENT_PROFILES = Source(
    name="segment_profiles",
    title="Profiles in segments",
    description="Who is in which segment, and since when.",
    doc=DOC + "get_profiles_for_segment",
    path="/api/segments/{id}/profiles",
    resource="profile",
    scopes=("segments:read", "profiles:read"),
    columns=(
        pair("segment_id", "profile_id"),
        key(Column("segment_id", STRING, None, "The segment; joins segments.id."), "segments"),
        key(replace(id_("The member; joins profiles.id."), name="profile_id"), "profiles"),
        required(attribute("joined_group_at", TIMESTAMP, "When the person joined the segment.")),
    ),
    impersonal=("segment_id", "joined_group_at"),
    tier=PROFILE_TIER,
    page_size=(("", 100),),
    time_fields=(TimeField("joined_group_at", FilterBy.CREATED, GE_GT_LE_LT),),
    fields=("joined_group_at",),
    fan_out=FanOut(
        parent="segments",
        noun="segment",
        id_column="segment_id",
        setting="segment_ids",
        limits="Read only these segments.",
        count_field="profile_count",
    ),
    incremental=False,
    shows_deletions=True,
)

SEGMENT_COUNTS = counts_of(SEGMENTS, "Counts of segments", SEGMENTS.scopes)

SEGMENT_FLOW_TRIGGERS = flow_triggers_of(SEGMENTS)

SEGMENT_TAGS = tags_of(SEGMENTS, "Tags of segments")
