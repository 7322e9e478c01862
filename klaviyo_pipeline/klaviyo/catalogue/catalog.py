"""The catalog: items, their variants, and categories."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from klaviyo_pipeline.klaviyo.catalogue.child_rows import ChildOf
from klaviyo_pipeline.klaviyo.catalogue.columns import Column
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
    pair,
    related,
)
from klaviyo_pipeline.klaviyo.catalogue.model import DOC, EXTRA_LARGE, FanOut, Include, Option, Source

_EXTERNAL_ID = attribute("external_id", STRING, "Its id in the account's own system.")
_PRODUCT = (
    attribute("title", STRING, "The title."),
    attribute("description", STRING, "The description."),
    attribute("price", FLOAT, "The price, in the account's currency."),
    attribute("url", STRING, "The page in the shop."),
    attribute("image_full_url", STRING, "A picture."),
    attribute("image_thumbnail_url", STRING, "A small picture."),
    attribute("images", JSON, "More pictures."),
    attribute("custom_metadata", JSON, "Data of the account's own."),
    attribute("published", BOOLEAN, "Whether it is shown."),
    attribute("created", TIMESTAMP, "When it was created."),
    attribute("updated", TIMESTAMP, "When it last changed."),
)
_IMPERSONAL = ("id", "external_id", "item_id", "title", "name", "sku", "price", "published", "created", "updated")
_CATALOG: dict[str, Any] = {
    "scopes": ("catalogs:read",),
    "impersonal": _IMPERSONAL,
    "tier": (("", EXTRA_LARGE),),
    "page_size": (("", None), ("2026-04-15", 100)),
    "incremental": False,
    "shows_deletions": True,
}

CATALOG_ITEMS = Source(
    name="catalog_items",
    title="Catalog items",
    description="The products in the account's catalog.",
    doc=DOC + "get_catalog_items",
    path="/api/catalog-items",
    resource="catalog-item",
    columns=(id_("The item's id: integration, catalog and external id."), _EXTERNAL_ID, *_PRODUCT),
    includes=(Include("variants", option="variants", fields=("external_id",), resource="catalog-variant"),),
    options=(Option("variants", False, "Read which variants each item has, for a table of them."),),
    staged=(
        Column(
            "variants",
            JSON,
            ("relationships", "variants", "data"),
            "Its variants: type and id of each.",
            option="variants",
        ),
    ),
    version_column="updated",
    **_CATALOG,
)

CATALOG_ITEM_VARIANTS = child_of(
    CATALOG_ITEMS,
    ChildOf(parent="catalog_items", id_column="item_id", inside="variants", option="variants", ignores=("type",)),
    name="catalog_item_variants",
    title="Variants of catalog items",
    description="Which item has which variant. The lists of variants do not say it.",
    columns=(
        pair("item_id", "variant_id"),
        key(Column("item_id", STRING, None, "The item; joins catalog_items.id."), "catalog_items"),
        key(Column("variant_id", STRING, ("id",), "The variant; joins catalog_variants.id."), "catalog_variants"),
    ),
    impersonal=("id", "item_id", "variant_id"),
)

CATALOG_VARIANTS = Source(
    name="catalog_variants",
    title="Catalog variants",
    description="The variants of the catalog's items, such as sizes, with their stock.",
    doc=DOC + "get_catalog_variants",
    path="/api/catalog-variants",
    resource="catalog-variant",
    columns=(
        id_("The variant's id: integration, catalog and external id."),
        related("item_id", "item", "The item, where Klaviyo names it; catalog_item_variants does.", "catalog_items"),
        _EXTERNAL_ID,
        attribute("sku", STRING, "The stock keeping unit."),
        attribute("inventory_policy", INTEGER, "What happens without stock: 0 unknown, 1 hidden, 2 shown."),
        attribute("inventory_quantity", FLOAT, "How many are in stock."),
        *_PRODUCT,
    ),
    version_column="updated",
    **_CATALOG,
)

CATALOG_CATEGORIES = Source(
    name="catalog_categories",
    title="Catalog categories",
    description="The categories of the catalog.",
    doc=DOC + "get_catalog_categories",
    path="/api/catalog-categories",
    resource="catalog-category",
    columns=(
        id_("The category's id: integration, catalog and external id."),
        _EXTERNAL_ID,
        attribute("name", STRING, "The category's name."),
        attribute("updated", TIMESTAMP, "When it last changed."),
    ),
    version_column="updated",
    **_CATALOG,
)

CATALOG_CATEGORY_ITEMS = Source(
    name="catalog_category_items",
    title="Items in catalog categories",
    description="Which items are in which category.",
    doc=DOC + "get_item_ids_for_catalog_category",
    path="/api/catalog-categories/{id}/relationships/items",
    resource="catalog-item",
    columns=(
        pair("category_id", "item_id"),
        key(Column("category_id", STRING, None, "The category; joins catalog_categories.id."), "catalog_categories"),
        key(replace(id_("The item; joins catalog_items.id."), name="item_id"), "catalog_items"),
    ),
    fan_out=FanOut(
        parent="catalog_categories",
        noun="category",
        id_column="category_id",
        setting="category_ids",
        limits="Read these categories only.",
    ),
    **{**_CATALOG, "impersonal": ("id", "category_id", "item_id")},
)
