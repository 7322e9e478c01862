"""Reviews of products."""

from __future__ import annotations

from klaviyo_pipeline.klaviyo.catalogue.declaring import (
    BOOLEAN,
    INTEGER,
    JSON,
    STRING,
    TIMESTAMP,
    at,
    attribute,
    id_,
    related,
    required,
)
from klaviyo_pipeline.klaviyo.catalogue.model import DOC, MEDIUM, Source

REVIEWS = Source(
    name="reviews",
    title="Reviews",
    description="Reviews, ratings and questions that people wrote about products.",
    doc=DOC + "get_reviews",
    path="/api/reviews",
    resource="review",
    scopes=("reviews:read",),
    columns=(
        id_("The review's id."),
        related("item_id", "item", "The catalog item; joins catalog_items.id.", "catalog_items"),
        required(attribute("review_type", STRING, "review, rating, question or store.")),
        attribute("rating", INTEGER, "One to five stars."),
        attribute("title", STRING, "The review's title."),
        attribute("content", STRING, "What the person wrote."),
        attribute("smart_quote", STRING, "A sentence of it that Klaviyo picked."),
        attribute("author", STRING, "The displayed name of the person."),
        attribute("email", STRING, "The person's email address."),
        required(attribute("verified", BOOLEAN, "Whether the person bought the product.")),
        attribute("status", JSON, "Whether it is published, or the reason why not."),
        attribute("images", JSON, "Addresses of pictures."),
        *(
            at(f"product_{name}", STRING, f"The product's {words}.", "attributes", "product", name)
            for name, words in (
                ("url", "page in the shop"),
                ("name", "name"),
                ("image_url", "picture"),
                ("external_id", "id in the account's own system"),
            )
        ),
        at("public_reply_content", STRING, "The shop's answer.", "attributes", "public_reply", "content"),
        at("public_reply_author", STRING, "Who answered.", "attributes", "public_reply", "author"),
        at("public_reply_updated", TIMESTAMP, "When the answer last changed.", "attributes", "public_reply", "updated"),
        required(attribute("created", TIMESTAMP, "When it was written.")),
        required(attribute("updated", TIMESTAMP, "When it last changed.")),
    ),
    impersonal=(
        *("id", "item_id", "review_type", "rating", "verified", "created", "updated"),
        *("product_name", "product_external_id"),
    ),
    tier=(("", MEDIUM),),
    page_size=(("", 100),),
    version_column="updated",
    incremental=False,
    shows_deletions=True,
)
