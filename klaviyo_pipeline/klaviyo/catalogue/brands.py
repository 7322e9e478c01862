"""The account's brand: buttons, colours, logos, social links, and the defaults of its emails."""

from __future__ import annotations

from klaviyo_pipeline.klaviyo.catalogue.columns import Column
from klaviyo_pipeline.klaviyo.catalogue.declaring import BOOLEAN, INTEGER, JSON, STRING, attribute, id_, related
from klaviyo_pipeline.klaviyo.catalogue.model import DOC, MEDIUM, Include, Source

_NAME = attribute("name", STRING, "Its name.")


def _brand(
    name: str, resource: str, title: str, description: str, *columns: Column, includes: tuple[str, ...] = ()
) -> Source:
    path = name.replace("_", "-")
    return Source(
        name=name,
        title=title,
        description=description,
        doc=f"{DOC}get_{name}",
        path=f"/api/{path}",
        resource=resource,
        since="2026-10-15",
        scopes=("brands:read",),
        columns=(id_("Its id."), *columns),
        impersonal=tuple(each.name for each in (id_(""), *columns)),
        tier=(("", MEDIUM),),
        includes=tuple(Include(each) for each in includes),  # without it the relationship has no data
        incremental=False,
        shows_deletions=True,
    )


BRAND_BUTTONS = _brand(
    "brand_buttons",
    "brand-button",
    "Brand buttons",
    "How the brand's buttons look.",
    _NAME,
    attribute("is_primary", BOOLEAN, "Whether it is the account's primary button."),
    attribute("style", JSON, "Background, radius and shadow."),
    attribute("border", JSON, "Its border."),
    attribute("spacing", JSON, "Its padding."),
    attribute("text", JSON, "Its font."),
    attribute("preview_page_hex", STRING, "The background of its preview."),
)

BRAND_COLORS = _brand(
    "brand_colors",
    "brand-color",
    "Brand colors",
    "The brand's groups of colours.",
    _NAME,
    attribute("colors", JSON, "The colours, in order."),
)

BRAND_LOGOS = _brand(
    "brand_logos",
    "brand-logo",
    "Brand logos",
    "The brand's logos.",
    _NAME,
    attribute("width", INTEGER, "Width in pixels."),
    attribute("height", INTEGER, "Height in pixels."),
    attribute("alt_text", STRING, "What screen readers say."),
    attribute("link_url", STRING, "Where a click in an email leads."),
    related("image_id", "image", "Its image; joins images.id.", "images"),
    includes=("image",),
)

BRAND_SOCIAL_GROUPS = _brand(
    "brand_social_groups",
    "brand-social-group",
    "Brand social groups",
    "The brand's groups of links to social networks.",
    _NAME,
    attribute("social_links", JSON, "The links, in order."),
)

BRAND_EMAIL_DEFAULTS = _brand(
    "brand_email_defaults",
    "brand-email-default",
    "Brand email defaults",
    "How the brand's emails look unless somebody decides otherwise.",
    attribute("body", JSON, "Colours and fonts of the body."),
    attribute("header", JSON, "Colours, links and logo of the header."),
    attribute("footer", JSON, "Colours and fonts of the footer."),
    related("brand_button_id", "brand-button", "The button; joins brand_buttons.id.", "brand_buttons"),
    related("brand_logo_id", "brand-logo", "The logo; joins brand_logos.id.", "brand_logos"),
    related(
        "brand_social_group_id", "brand-social-group", "The links; joins brand_social_groups.id.", "brand_social_groups"
    ),
    includes=("brand-button", "brand-logo", "brand-social-group"),
)
