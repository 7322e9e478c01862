"""What an account sets: custom and mapped metrics, the properties of metrics, tracking parameters."""

import msgspec

from klaviyo_pipeline.sandbox.data.kinds import Ids, Record
from klaviyo_pipeline.sandbox.data.shop.lazy.made import Made, Makers
from klaviyo_pipeline.sandbox.data.times import DAY

_ROLES = (
    ("revenue", "Placed Order"),
    ("ordered_product", "Ordered Product"),
    ("refunded_sales", "Refunded Order"),
    ("cancelled_sales", "Cancelled Order"),
    ("started_checkout", "Checkout Started"),
    ("added_to_cart", "Added to Cart"),
    ("viewed_product", "Viewed Product"),
)
_EVENTS_READ = 20
"""So many events of a metric tell of its properties."""


def _custom_metrics(made: Made) -> list[Record]:
    chance = made.chance("custom-metrics")
    orders = [metric.id for metric in made.shop.metrics if metric.name == "Placed Order"]
    groups = [{"metric_id": metric, "metric_filters": [], "value_property": "$value"} for metric in orders]
    created = made.shop.since - 30 * DAY
    definition = {"aggregation_method": "value", "metric_groups": groups}
    attributes = {"name": "Orders of all shops", "created": created, "updated": created + DAY, "definition": definition}
    return [Record(chance.short_id(), attributes, {"metrics": tuple(orders)})]


def _mapped_metrics(made: Made) -> list[Record]:
    updated = made.shop.since - 40 * DAY
    rows = []
    for number, (role, name) in enumerate(_ROLES):
        related: dict[str, Ids] = {"metric": (made.metric_id(name),)}
        rows.append(Record(role, {"updated": updated + number * DAY}, related))
    return rows


def _metric_properties(made: Made) -> list[Record]:
    """The properties that a metric's first events have, with samples."""
    samples: dict[str, dict[str, list[str | float]]] = {}
    seen: dict[str, int] = {}
    for event in made.shop.events:
        if event.metric_id is None or seen.get(event.metric_id, 0) >= _EVENTS_READ:
            continue
        seen[event.metric_id] = seen.get(event.metric_id, 0) + 1
        for name, value in msgspec.json.decode(event.document)["event_properties"].items():
            values = samples.setdefault(event.metric_id, {}).setdefault(name, [])
            if isinstance(value, str | int | float) and value not in values and len(values) < 3:
                values.append(value)
    chance = made.chance("metric-properties")
    rows = []
    for metric in made.shop.metrics:
        for name, values in sorted(samples.get(metric.id, {}).items()):
            attributes = {
                "label": name.strip("$").replace("_", " "),
                "property": name,
                "inferred_type": _inferred(values),
                "sample_values": [str(value) for value in values],
            }
            rows.append(Record(f"{chance.getrandbits(128):032x}", attributes, {"metric": (metric.id,)}))
    return rows


def _inferred(values: list[str | float]) -> str:
    if any(isinstance(value, bool) for value in values):
        return "boolean"
    return "numeric" if any(isinstance(value, int | float) for value in values) else "text"


def _tracking_settings(made: Made) -> list[Record]:
    static, dynamic = {"type": "static", "value": "Klaviyo"}, {"type": "dynamic", "value": "campaign_name"}
    attributes = {
        "auto_add_parameters": True,
        "utm_source": {"flow": static, "campaign": static},
        "utm_medium": {
            "flow": {"type": "dynamic", "value": "message_type"},
            "campaign": {"type": "dynamic", "value": "message_type"},
        },
        "utm_campaign": {"flow": {"type": "dynamic", "value": "flow_name"}, "campaign": dynamic},
        "utm_id": {"flow": None, "campaign": None},
        "utm_term": {"flow": None, "campaign": None},
        "custom_parameters": [],
    }
    return [Record(made.shop.account["id"], attributes)]


MAKERS: Makers = {
    "custom-metric": _custom_metrics,
    "mapped-metric": _mapped_metrics,
    "metric-property": _metric_properties,
    "tracking-setting": _tracking_settings,
}
