"""What the shop sends: templates with their HTML, campaigns of three channels, and flows."""

from klaviyo_pipeline.sandbox.data.rows import Campaign, Flow, MailingList, Message, Metric, Tag, Template
from klaviyo_pipeline.sandbox.data.shop.chance import Chance
from klaviyo_pipeline.sandbox.data.shop.words import CAMPAIGN_SUBJECTS, PRODUCTS, SEASONS, Product
from klaviyo_pipeline.sandbox.data.times import DAY, HOUR, MINUTE, SECOND

_EDITORS = ("USER_DRAGGABLE", "USER_DRAGGABLE", "CODE", "SYSTEM_DRAGGABLE")
_CHANNELS = ("email", "email", "email", "sms", "mobile_push")
_STRATEGIES = ("static", "immediate", "throttled", "smart_send_time")
_FLOWS = (
    ("Welcome series", "Added to List", None),
    ("Abandoned checkout", "Metric", "Checkout Started"),
    ("Thank you", "Metric", "Placed Order"),
    ("Browse abandonment", "Metric", "Viewed Product"),
    ("Birthday", "Date Based", None),
)


def make_tags() -> list[Tag]:
    """Labels; Klaviyo's tags have UUIDs."""
    names = ("evergreen", "seasonal", "test")
    return [Tag(f"5c3f0{number}aa-7d1e-4b8a-9a64-0c2f6d1e4b7{number}", name) for number, name in enumerate(names)]


def make_templates(chance: Chance, count: int, since: int, until: int) -> list[Template]:
    """Templates, the HTML of each some kilobytes."""
    rows = []
    for number in range(count):
        created = int(since - 100 * DAY + chance.random() * (until - since + 99 * DAY)) // SECOND * SECOND
        subject = CAMPAIGN_SUBJECTS[number % len(CAMPAIGN_SUBJECTS)].format(season=chance.one_of(SEASONS))
        products = [chance.one_of(PRODUCTS) for _ in range(3 + number % 4)]
        editor = _EDITORS[number % len(_EDITORS)]
        rows.append(
            Template(
                id=chance.short_id(),
                name=f"{subject} #{number + 1}",
                editor_type=editor,
                html=_html(subject, products),
                text=_text(subject, products) if editor == "CODE" else None,
                created=created,
                updated=int(created + chance.random() ** 2 * (until - created)) // SECOND * SECOND,
            )
        )
    return rows


def _html(title: str, products: list[Product]) -> str:
    cells = "".join(
        '<tr><td style="padding:16px;border-bottom:1px solid #eee" class="kl-product">'
        f'<a href="https://shop.example.com/products/{product.slug}?utm_source=klaviyo&amp;utm_medium=email">'
        f'<img src="https://cdn.shop.example.com/{product.slug}.jpg" alt="{product.name}" width="268" '
        'style="display:block;border:0;max-width:100%">'
        f'</a><h3 style="font:600 18px/24px Arial,sans-serif;margin:12px 0 4px">{product.name}</h3>'
        f'<p style="font:400 14px/20px Arial,sans-serif;color:#555;margin:0">€{product.price:.2f}</p>'
        "</td></tr>\n"
        for product in products
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{title}</title>\n'
        "<style>@media only screen and (max-width:480px){.kl-column{width:100%!important}}"
        "a{color:#0b5fff}img{-ms-interpolation-mode:bicubic}</style></head>\n"
        '<body style="margin:0;background:#f7f7f7">'
        "{% if person.first_name %}<p>Hi {{ person.first_name|title }},</p>{% endif %}\n"
        '<table role="presentation" width="600" align="center" cellpadding="0" cellspacing="0" '
        'class="kl-column" style="background:#fff">\n'
        '<tr><td style="padding:32px 16px">'
        f'<h1 style="font:700 28px/36px Georgia,serif">{title}</h1></td></tr>\n'
        f"{cells}"
        '<tr><td style="padding:24px 16px;font:400 12px/18px Arial,sans-serif;color:#777">'
        "{{ organization.name }} · {{ organization.full_address }} · {% unsubscribe 'Unsubscribe' %}"
        "</td></tr></table></body></html>\n"
    )


def _text(title: str, products: list[Product]) -> str:
    lines = [f"- {product.name}: https://shop.example.com/products/{product.slug}" for product in products]
    return "\n".join((title, "", *lines, "", "Unsubscribe: {% unsubscribe_link %}"))


def make_campaigns(
    chance: Chance,
    count: int,
    since: int,
    until: int,
    lists: list[MailingList],
    templates: list[Template],
    tags: list[Tag],
) -> list[Campaign]:
    """Campaigns: most sent over the history, some drafts, scheduled, cancelled; every sixth archived."""
    return [_campaign(chance, number, count, since, until, lists, templates, tags) for number in range(count)]


def _campaign(
    chance: Chance,
    number: int,
    count: int,
    since: int,
    until: int,
    lists: list[MailingList],
    templates: list[Template],
    tags: list[Tag],
) -> Campaign:
    channel = _CHANNELS[number % len(_CHANNELS)]
    status = "Sent"
    if number % 10 == 7:
        status = chance.one_of(("Draft", "Scheduled", "Cancelled"))
    due = since + int((number + chance.random()) / max(1, count) * (until - since)) // HOUR * HOUR
    if status == "Scheduled":
        due = until + (number % 7 + 1) * DAY
    created = min(due - int((1 + chance.random() * 96) * HOUR), until - HOUR) + int(chance.random() * SECOND)
    scheduled = created + int(chance.random() * HOUR) if status in ("Sent", "Scheduled") else None
    sent = max(due, created + 2 * HOUR) if status == "Sent" else None
    updated = (sent + 30 * MINUTE if sent else created + MINUTE) + int(chance.random() * SECOND)
    subject = chance.one_of(CAMPAIGN_SUBJECTS).format(season=chance.one_of(SEASONS))
    campaign_id = chance.ulid(created)
    message = Message(
        id=chance.ulid(created),
        campaign_id=campaign_id,
        label=f"{subject} ({channel})",
        content=_content(channel, subject),
        template_id=chance.one_of(templates).id if templates and channel == "email" else None,
        created=created + 7_000,
        updated=min(updated, until),
        audience_id=chance.ulid(created),
        variation_id=chance.ulid(created),
    )
    return Campaign(
        id=campaign_id,
        name=f"{subject} {number + 1}",
        channel=channel,
        status=status,
        archived=number % 6 == 5,
        created_at=created,
        updated_at=min(updated, until),
        scheduled_at=scheduled,
        send_time=due if status == "Scheduled" else sent,
        included=(lists[number % max(1, len(lists) - 1)].id,) if lists else (),
        excluded=(lists[-1].id,) if lists and number % 4 == 0 else (),
        send_strategy=_STRATEGIES[number % len(_STRATEGIES)],
        builder="canvas" if number % 3 == 0 else "wizard",
        tag_ids=(tags[number % len(tags)].id,) if number % 2 else (),
        messages=(message,),
    )


def _content(channel: str, subject: str) -> dict[str, object]:
    if channel == "email":
        return {
            "subject": subject,
            "preview_text": "Only at Nordhavn Supply",
            "from_email": "hello@shop.example.com",
            "from_label": "Nordhavn Supply",
            "reply_to_email": None,
            "cc_email": None,
            "bcc_email": None,
        }
    if channel == "sms":
        return {"body": f"Nordhavn: {subject}. Shop: https://nrdhvn.example/s", "media_url": None}
    return {"title": "Nordhavn Supply", "body": subject, "dynamic_image": None}


def make_flows(chance: Chance, metrics: list[Metric], lists: list[MailingList], since: int) -> list[Flow]:
    """The automations whose mails the history has."""
    rows = []
    for name, trigger, metric_name in _FLOWS:
        metric = next((found for found in metrics if found.name == metric_name), None)
        rows.append(
            Flow(
                id=chance.short_id(),
                name=name,
                status="live",
                trigger_type=trigger,
                created=since - 90 * DAY,
                updated=since - 10 * DAY,
                metric_id=metric.id if metric else None,
                list_id=lists[0].id if lists and trigger == "Added to List" else None,
                message_ids=(chance.short_id(), chance.short_id()),
            )
        )
    return rows
