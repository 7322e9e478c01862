"""What the shop sells: catalog items, their variants and categories; reviews of them; coupons with codes."""

from typing import Any

from klaviyo_pipeline.sandbox.data.kinds import Ids, Record
from klaviyo_pipeline.sandbox.data.shop.lazy.made import Made, Makers
from klaviyo_pipeline.sandbox.data.shop.words import PRODUCTS, Product
from klaviyo_pipeline.sandbox.data.times import DAY, SECOND

_SIZES = ("S", "M", "L")
_CATEGORIES = ("New in", "Outdoor", "Sale", "Gifts")
_COUPONS = (("WELCOME10", "10 % off the first order"), ("WINBACK15", "15 % off for old friends"), ("SPRING", None))
_PREFIX = "$custom:::$default:::"
_OPINIONS = ((5, "Great quality", "Fits well, and arrived within two days."), (4, "Good", "Good, a little small."),
             (2, "Not for me", "The colour is not the one on the page."))  # fmt: skip


def _shown(product: Product) -> dict[str, Any]:
    return {
        "title": product.name,
        "description": f"{product.name} of Nordhavn Supply",
        "price": product.price,
        "url": f"https://shop.example.com/products/{product.slug}",
        "image_full_url": f"https://cdn.shop.example.com/{product.slug}.jpg",
        "image_thumbnail_url": f"https://cdn.shop.example.com/{product.slug}_small.jpg",
        "images": [f"https://cdn.shop.example.com/{product.slug}.jpg"],
        "custom_metadata": {},
    }


def _items(made: Made) -> list[Record]:
    chance = made.chance("catalog-items")
    rows = []
    for number, product in enumerate(PRODUCTS):
        created = made.shop.since - (100 - number) * DAY
        attributes = {
            "external_id": product.slug,
            **_shown(product),
            "published": number % 9 != 8,
            "created": created,
            "updated": made.moment(chance, created),
        }
        rows.append(Record(_PREFIX + product.slug, attributes))
    return rows


def _variants(made: Made) -> list[Record]:
    chance = made.chance("catalog-variants")
    rows = []
    for item, product in zip(made.records("catalog-item"), PRODUCTS, strict=True):
        for size in _SIZES:
            external_id = f"{product.slug}-{size.lower()}"
            attributes = {
                "external_id": external_id,
                **_shown(product),
                "title": f"{product.name} {size}",
                "sku": external_id.upper(),
                "inventory_policy": 1,
                "inventory_quantity": float(int(chance.random() * 80)),
                "published": item.attributes["published"],
                "created": item.attributes["created"],
                "updated": item.attributes["updated"],
            }
            rows.append(Record(_PREFIX + external_id, attributes, {"item": (item.id,)}))
    return rows


def _categories(made: Made) -> list[Record]:
    chance = made.chance("catalog-categories")
    rows = []
    for number, name in enumerate(_CATEGORIES):
        external_id = name.lower().replace(" ", "-")
        created = made.shop.since - (90 - number) * DAY
        attributes = {"external_id": external_id, "name": name, "created": created,
                      "updated": made.moment(chance, created)}  # fmt: skip
        items = tuple(item.id for place, item in enumerate(made.records("catalog-item")) if place % 3 == number % 3)
        rows.append(Record(_PREFIX + external_id, attributes, {"items": items}))
    return rows


def _reviews(made: Made) -> list[Record]:
    chance = made.chance("reviews")
    buyers = [row for row in made.shop.profiles if row.orders.number]
    rows = []
    for number, buyer in enumerate(buyers[:60]):
        item = chance.one_of(made.records("catalog-item"))
        rating, title, content = chance.one_of(_OPINIONS)
        created = min((buyer.orders.last_at or 0) + DAY, made.shop.until) // SECOND * SECOND
        shown = item.attributes
        attributes: dict[str, Any] = {
            "email": buyer.email,
            "status": {"value": "published" if number % 7 else "pending"},
            "verified": number % 4 != 3,
            "review_type": "review",
            "created": created,
            "updated": min(created + DAY, made.shop.until),
            "images": [],
            "product": {"url": shown["url"], "name": shown["title"], "image_url": shown["image_full_url"],
                        "external_id": shown["external_id"]},
            "rating": rating,
            "author": "A customer",
            "content": content,
            "title": title,
            "smart_quote": None,
            "public_reply": None,
        }  # fmt: skip
        rows.append(Record(str(880_100 + number), attributes, {"item": (item.id,)}))
    return rows


def _coupons(_: Made) -> list[Record]:
    return [
        Record(name, {"external_id": name, "description": about, "monitor_configuration": {"low_balance_threshold": 50},
                      "assigner_configuration": None})
        for name, about in _COUPONS
    ]  # fmt: skip


def _codes(made: Made) -> list[Record]:
    chance = made.chance("coupon-codes")
    assigned = [row.id for row in made.shop.profiles[:40]]
    rows = []
    for place, coupon in enumerate(made.records("coupon")):
        for number in range(60):
            status = ("UNASSIGNED", "ASSIGNED_TO_PROFILE", "USED", "VERSION_NOT_ACTIVE")[number % 4]
            code = f"{coupon.id}-{chance.getrandbits(32):08X}"
            profile: Ids = (assigned[number % len(assigned)],) if assigned and number % 4 in (1, 2) else ()
            attributes = {
                "unique_code": code,
                "expires_at": made.shop.until + (30 + place) * DAY,
                "status": status,
            }
            rows.append(Record(f"{code}-{coupon.id}", attributes, {"coupon": (coupon.id,), "profile": profile}))
    return rows


MAKERS: Makers = {
    "catalog-item": _items,
    "catalog-variant": _variants,
    "catalog-category": _categories,
    "review": _reviews,
    "coupon": _coupons,
    "coupon-code": _codes,
}
