"""The metrics of the shop, each of an integration, as /api/metrics has them."""

from typing import Any

from klaviyo_pipeline.sandbox.data.rows import Metric, Value
from klaviyo_pipeline.sandbox.data.shop.chance import Chance
from klaviyo_pipeline.sandbox.data.times import DAY, SECOND


def _integration(key: str, integration_id: str, name: str, category: Value) -> dict[str, Any]:
    return {"object": "integration", "id": integration_id, "key": key, "name": name, "category": category}


_SHOPIFY = _integration("shopify", "0eMvjm", "Shopify", "eCommerce")
_KLAVIYO = _integration(
    "klaviyo", "0rG4eQ", "Klaviyo", {"object": "category", "id": 1, "name": "Internal"}
)  # the category of some integrations is an object (reported)
_API = _integration("api", "7FtS4J", "API", "API")

_METRICS = (
    ("Placed Order", _SHOPIFY),
    ("Ordered Product", _SHOPIFY),
    ("Fulfilled Order", _SHOPIFY),
    ("Cancelled Order", _SHOPIFY),
    ("Refunded Order", _SHOPIFY),
    ("Checkout Started", _SHOPIFY),
    ("Received Email", _KLAVIYO),
    ("Opened Email", _KLAVIYO),
    ("Clicked Email", _KLAVIYO),
    ("Bounced Email", _KLAVIYO),
    ("Marked Email as Spam", _KLAVIYO),
    ("Unsubscribed from Email Marketing", _KLAVIYO),
    ("Subscribed to List", _KLAVIYO),
    ("Received Text Message", _KLAVIYO),
    ("Clicked Text Message", _KLAVIYO),
    ("Received Push", _KLAVIYO),
    ("Opened Push", _KLAVIYO),
    ("Active on Site", _API),
    ("Viewed Product", _API),
    ("Added to Cart", _API),
    ("Placed Order", _API),  # the name again, by another integration
)


def make_metrics(chance: Chance, since: int) -> list[Metric]:
    """All metrics; the account had them before its history starts."""
    rows = []
    for name, integration in _METRICS:
        created = (since - int(chance.random() * 300 * DAY)) // SECOND * SECOND
        rows.append(Metric(chance.short_id(), name, created, created, integration))
    return rows
