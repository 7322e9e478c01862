"""Blocks that several templates share, images, and feeds for content."""

from __future__ import annotations

from klaviyo_pipeline.klaviyo.catalogue.declaring import (
    BOOLEAN,
    INTEGER,
    JSON,
    STRING,
    TIMESTAMP,
    attribute,
    id_,
    required,
)
from klaviyo_pipeline.klaviyo.catalogue.filters import EQUALS, condition
from klaviyo_pipeline.klaviyo.catalogue.model import (
    DOC,
    EXTRA_SMALL,
    GE_GT_LE_LT,
    LARGE,
    LARGE_UNTIL_2025,
    MEDIUM,
    FilterBy,
    Source,
    TimeField,
)

_TIMES = (
    TimeField("updated", FilterBy.UPDATED, GE_GT_LE_LT),
    TimeField("created", FilterBy.CREATED, GE_GT_LE_LT),
)

UNIVERSAL_CONTENT = Source(
    name="universal_content",
    title="Universal content",
    description="Blocks that several templates share.",
    doc=DOC + "get_all_universal_content",
    path="/api/template-universal-content",
    resource="template-universal-content",
    scopes=("templates:read",),
    columns=(
        id_("The block's id."),
        required(attribute("name", STRING, "The block's name.")),
        attribute("definition", JSON, "What it shows; its shape depends on the kind of block."),
        required(attribute("created", TIMESTAMP, "When it was created.")),
        required(attribute("updated", TIMESTAMP, "When it last changed.")),
        attribute("screenshot_status", STRING, "Whether there is a picture: completed, failed, generating and others."),
        attribute("screenshot_url", STRING, "A picture of it."),
    ),
    impersonal=("id", "name", "created", "updated", "screenshot_status"),
    tier=(("", MEDIUM), ("2025-10-15", LARGE_UNTIL_2025), ("2026-01-15", LARGE)),
    page_size=(("", 100),),
    time_fields=_TIMES,
    lookback_days=1,
    version_column="updated",
    shows_deletions=True,
)

IMAGES = Source(
    name="images",
    title="Images",
    description="The account's images, hidden ones too.",
    doc=DOC + "get_images",
    path="/api/images",
    resource="image",
    scopes=("images:read",),
    columns=(
        id_("The image's id."),
        required(attribute("name", STRING, "The image's name.")),
        required(attribute("image_url", STRING, "Where the image is.")),
        required(attribute("format", STRING, "jpeg, png, gif and others.")),
        required(attribute("size", INTEGER, "Size in bytes.")),
        required(attribute("hidden", BOOLEAN, "Whether the image library leaves it out.")),
        required(attribute("updated_at", TIMESTAMP, "When it last changed.")),
    ),
    impersonal=("id", "name", "format", "size", "hidden", "updated_at"),
    tier=(("", MEDIUM),),
    page_size=(("", 100),),
    time_fields=(TimeField("updated_at", FilterBy.UPDATED, GE_GT_LE_LT),),
    # Seen on real accounts: without the filter hidden images are left out.
    streams=(("", tuple((condition(EQUALS, "hidden", hidden),) for hidden in (False, True))),),
    lookback_days=1,
    version_column="updated_at",
    shows_deletions=True,
)

WEB_FEEDS = Source(
    name="web_feeds",
    title="Web feeds",
    description="Feeds from which messages take content. Their addresses may hold credentials.",
    doc=DOC + "get_web_feeds",
    path="/api/web-feeds",
    resource="web-feed",
    scopes=("web-feeds:read",),
    since="2025-04-15",
    columns=(
        id_("The feed's id."),
        required(attribute("name", STRING, "The feed's name.")),
        required(attribute("url", STRING, "The feed's address.")),
        required(attribute("request_method", STRING, "get or post.")),
        required(attribute("content_type", STRING, "json or xml.")),
        attribute("status", STRING, "Whether Klaviyo could read it."),
        required(attribute("created", TIMESTAMP, "When it was created.")),
        required(attribute("updated", TIMESTAMP, "When it last changed.")),
    ),
    impersonal=("id", "name", "request_method", "content_type", "status", "created", "updated"),
    tier=(("", EXTRA_SMALL),),
    page_size=(("", 20),),
    time_fields=_TIMES,
    lookback_days=1,
    version_column="updated",
    shows_deletions=True,
)
