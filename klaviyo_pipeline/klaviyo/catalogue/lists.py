"""Lists, and who is in them."""

from __future__ import annotations

from dataclasses import replace

from klaviyo_pipeline.klaviyo.catalogue.columns import Column
from klaviyo_pipeline.klaviyo.catalogue.declaring import (
    FLOW_TRIGGERS,
    STAGED_FLOW_TRIGGERS,
    STAGED_TAGS,
    STRING,
    TAGS,
    TIMESTAMP,
    attribute,
    counts_of,
    flow_triggers_of,
    id_,
    key,
    one_of,
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
from klaviyo_pipeline.klaviyo.catalogue.profiles import IMPERSONAL_PROFILE, PROFILE_ATTRIBUTES, PROFILE_OPTIONS

LIST_COLUMNS = (
    id_("The list's id."),
    attribute("name", STRING, "The list's name."),
    attribute("created", TIMESTAMP, "When the list was created."),
    attribute("updated", TIMESTAMP, "When the list last changed; people joining or leaving do not count."),
    one_of(attribute("opt_in_process", STRING, "double_opt_in or single_opt_in."), "double_opt_in", "single_opt_in"),
)

LIST_PROFILE_COLUMNS = (
    pair("list_id", "profile_id"),
    key(Column("list_id", STRING, None, "The list; joins lists.id."), "lists"),
    key(replace(id_("The member; joins profiles.id."), name="profile_id"), "profiles"),
    required(attribute("joined_group_at", TIMESTAMP, "When the person joined the list; joining again moves it.")),
    *PROFILE_ATTRIBUTES,
)

LISTS = Source(
    name="lists",
    title="Lists",
    description="The account's lists.",
    doc=DOC + "get_lists",
    path="/api/lists",
    resource="list",
    scopes=("lists:read",),
    columns=LIST_COLUMNS,
    impersonal=("id", "name", "created", "updated", "opt_in_process"),
    tier=PROFILE_TIER,
    page_size=(("", None), ("2026-04-15", 10)),
    time_fields=(
        TimeField("updated", FilterBy.UPDATED, GT),
        TimeField("created", FilterBy.CREATED, GT),
    ),
    includes=(Include("tags", option="tags"), Include("flow-triggers", option="flow_triggers")),
    options=(TAGS, FLOW_TRIGGERS),
    staged=(STAGED_TAGS, STAGED_FLOW_TRIGGERS),
    lookback_days=1,
    version_column="updated",
    shows_deletions=True,
)

LIST_PROFILES = Source(
    name="list_profiles",
    title="Profiles in lists",
    description="Who is in which list, and since when.",
    doc=DOC + "get_profiles_for_list",
    path="/api/lists/{id}/profiles",
    resource="profile",
    scopes=("lists:read", "profiles:read"),
    columns=LIST_PROFILE_COLUMNS,
    impersonal=("list_id", "joined_group_at", *IMPERSONAL_PROFILE),
    tier=PROFILE_TIER,
    page_size=(("", 100),),
    time_fields=(TimeField("joined_group_at", FilterBy.CREATED, GE_GT_LE_LT),),
    options=PROFILE_OPTIONS,
    fan_out=FanOut(
        parent="lists",
        noun="list",
        id_column="list_id",
        setting="list_ids",
        limits="Read only these lists.",
        count_field="profile_count",
    ),
    version_column="updated",
    incremental=False,
    shows_deletions=True,
)

LIST_COUNTS = counts_of(LISTS, "Counts of lists", LISTS.scopes)

LIST_FLOW_TRIGGERS = flow_triggers_of(LISTS)

LIST_TAGS = tags_of(LISTS, "Tags of lists", option="tags")
