"""Tags, and the groups they belong to."""

from __future__ import annotations

from klaviyo_pipeline.klaviyo.catalogue.declaring import BOOLEAN, STRING, attribute, id_, related, required
from klaviyo_pipeline.klaviyo.catalogue.model import DOC, SMALL, Include, Source

TAGS = Source(
    name="tags",
    title="Tags",
    description="The tags that campaigns, flows, lists and segments can have.",
    doc=DOC + "get_tags",
    path="/api/tags",
    resource="tag",
    scopes=("tags:read",),
    columns=(
        id_("The tag's id."),
        required(attribute("name", STRING, "The tag's name.")),
        related("tag_group_id", "tag-group", "The group it belongs to; joins tag_groups.id.", "tag_groups"),
    ),
    impersonal=("id", "name", "tag_group_id"),
    tier=(("", SMALL),),
    page_size=(("", None), ("2026-04-15", 50)),
    includes=(Include("tag-group"),),  # without it the relationship has no data
    incremental=False,
    shows_deletions=True,
)

TAG_GROUPS = Source(
    name="tag_groups",
    title="Tag groups",
    description="The groups of tags; one of them is the default.",
    doc=DOC + "get_tag_groups",
    path="/api/tag-groups",
    resource="tag-group",
    scopes=("tags:read",),
    columns=(
        id_("The group's id."),
        required(attribute("name", STRING, "The group's name.")),
        required(attribute("exclusive", BOOLEAN, "Whether a resource can have only one tag of the group.")),
        required(attribute("default", BOOLEAN, "Whether new tags are in this group by default.")),
    ),
    impersonal=("id", "name", "exclusive", "default"),
    tier=(("", SMALL),),
    page_size=(("", None), ("2026-04-15", 25)),
    incremental=False,
    shows_deletions=True,
)
