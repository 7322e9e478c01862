"""Images, universal content, web feeds, webhooks and the estimates of campaigns' audiences."""

from klaviyo_pipeline.sandbox.data.kinds import Record
from klaviyo_pipeline.sandbox.data.shop.lazy.made import Made, Makers
from klaviyo_pipeline.sandbox.data.shop.words import PRODUCTS
from klaviyo_pipeline.sandbox.data.times import DAY, MINUTE

_TOPICS = ("event:klaviyo.opened_email", "event:klaviyo.sent_sms", "event:klaviyo.subscribed_to_list")
_BLOCKS = ("Footer address", "Spring banner", "Legal note")


def _images(made: Made) -> list[Record]:
    chance = made.chance("images")
    rows = []
    for number, product in enumerate(PRODUCTS):
        attributes = {
            "name": product.slug,
            "image_url": f"https://cdn.shop.example.com/uploads/{product.slug}.jpg",
            "format": "png" if number % 4 == 3 else "jpeg",
            "size": 20_000 + int(chance.random() * 400_000),
            "hidden": number % 10 == 9,
            "updated_at": made.moment(chance),
        }
        rows.append(Record(str(131_000_100 + number), attributes))
    return rows


def _universal_content(made: Made) -> list[Record]:
    chance = made.chance("universal-content")
    rows = []
    for number, name in enumerate(_BLOCKS):
        created = made.shop.since - (50 - number) * DAY
        data = {"content": f"<p>{name}</p>", "display_options": {"show_on": "all", "visible_check": None,
                "content_repeat": None}, "styles": None}  # fmt: skip
        attributes = {
            "name": name,
            "definition": {"content_type": "block", "type": "html", "data": data},
            "created": created,
            "updated": made.moment(chance, created),
            "screenshot_status": "completed",
            "screenshot_url": f"https://cdn.shop.example.com/blocks/{number}.png",
        }
        rows.append(Record(f"01H5N0RDHAVN{number:014d}", attributes))
    return rows


def _web_feeds(made: Made) -> list[Record]:
    rows = []
    for number, name in enumerate(("bestsellers", "back_in_stock")):
        created = made.shop.since - (30 - number) * DAY
        attributes = {
            "name": name,
            "url": f"https://shop.example.com/feeds/{name}.json",
            "request_method": "get",
            "content_type": "json",
            "created": created,
            "updated": created + number * DAY,
            "status": "ok",
        }
        rows.append(Record(f"{made.chance(name).getrandbits(128):032x}", attributes))
    return rows


def _webhook_topics(_: Made) -> list[Record]:
    return [Record(topic, {}) for topic in _TOPICS]


def _webhooks(made: Made) -> list[Record]:
    created = made.shop.since - 20 * DAY
    attributes = {
        "name": "Warehouse",
        "description": None,
        "endpoint_url": "https://hooks.shop.example.com/klaviyo",
        "enabled": True,
        "created_at": created,
        "updated_at": created + 5 * MINUTE,
    }
    return [Record(made.chance("webhooks").short_id(), attributes, {"webhook-topics": _TOPICS[:2]})]


def _estimations(made: Made) -> list[Record]:
    """Of campaigns that are not sent yet: as many as the lists have members."""
    waiting = [row for row in made.shop.campaigns if row.status in ("Draft", "Scheduled")]
    return [
        Record(
            row.id, {"estimated_recipient_count": sum(len(made.shop.members.get(name, ())) for name in row.included)}
        )
        for row in waiting
    ]


MAKERS: Makers = {
    "image": _images,
    "template-universal-content": _universal_content,
    "web-feed": _web_feeds,
    "webhook-topic": _webhook_topics,
    "webhook": _webhooks,
    "campaign-recipient-estimation": _estimations,
}
