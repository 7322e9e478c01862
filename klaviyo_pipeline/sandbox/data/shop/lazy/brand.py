"""What revision 2026-10-15 added: the brand, translations, what the plan has used, and senders of text messages."""

from klaviyo_pipeline.sandbox.data.kinds import Ids, Record
from klaviyo_pipeline.sandbox.data.shop.lazy.made import Made, Makers
from klaviyo_pipeline.sandbox.data.times import DAY, HOUR, in_seconds

_FONT = {
    "font_family": "Helvetica",
    "font_size": 16,
    "font_weight": 400,
    "font_style": "normal",
    "color": "#222222",
    "letter_spacing": 0,
    "text_decoration": "none",
}
_HEADINGS = ("text", "h1_text", "h2_text", "h3_text", "h4_text", "link_text")


def _id(made: Made, part: str, number: int = 0) -> str:
    return made.chance(f"{part}:{number}").ulid(made.shop.since - 80 * DAY)


def _billing_usage(made: Made) -> list[Record]:
    period = {
        "period_start": in_seconds(made.shop.until - 20 * DAY),
        "period_end": in_seconds(made.shop.until + 10 * DAY),
        "as_of": in_seconds(made.shop.until - HOUR),
    }
    profiles = {"usage_used": float(len(made.shop.profiles)), "usage_max": 25_000, "unit": "profiles"}
    credits = {"usage_used": 12.5, "usage_max": 1_250, "unit": "credits"}
    return [Record(name, {**used, **period}) for name, used in (("profiles", profiles), ("sms_credits", credits))]


def _buttons(made: Made) -> list[Record]:
    looks = {
        "style": {"background_color": "#0055aa", "border_radius": 4, "box_shadow": "none", "is_shadow_active": False},
        "border": {"border_color": "#003366", "border_style": "solid", "border_width": 1, "is_border_active": True},
        "spacing": {f"padding_{side}": 8 for side in ("top", "bottom", "left", "right")},
        "text": _FONT,
        "preview_page_hex": "#ffffff",
    }
    names = ("Primary", "Secondary")
    return [
        Record(_id(made, "brand-button", number), {"name": name, "is_primary": number == 0, **looks})
        for number, name in enumerate(names)
    ]


def _colors(made: Made) -> list[Record]:
    colors = [{"name": "Fjord", "hex": "#0055aa"}, {"name": "Sand", "hex": "#eeddcc"}]
    return [Record(_id(made, "brand-color"), {"name": "House colours", "colors": colors})]


def _logos(made: Made) -> list[Record]:
    images = made.records("image")
    related: dict[str, Ids] = {"image": (images[0].id,) if images else ()}
    attributes = {
        "name": "Wordmark",
        "width": 240,
        "height": 60,
        "alt_text": "Nordhavn",
        "link_url": "https://nordhavn.example",
    }
    return [Record(_id(made, "brand-logo"), attributes, related)]


def _social_groups(made: Made) -> list[Record]:
    links = [{"type": "instagram", "url": "https://social.example/nordhavn", "alt_text": None}]
    return [Record(_id(made, "brand-social-group"), {"name": "Footer", "social_links": links})]


def _email_defaults(made: Made) -> list[Record]:
    attributes = {
        "body": {
            "background_color": "#ffffff",
            "body_background_color": "#f4f4f4",
            **dict.fromkeys(_HEADINGS, _FONT),
        },
        "header": {"background_color": "#ffffff", "links": [], "link_text": _FONT, "logo_max_width": 240},
        "footer": {
            "background_color": "#eeddcc",
            "text": _FONT,
            "link_text": _FONT,
            "social_group_color": "black",
        },
    }
    related = {kind: (made.records(kind)[0].id,) for kind in ("brand-button", "brand-logo", "brand-social-group")}
    return [Record(_id(made, "brand-email-default"), attributes, related)]


def _translations(made: Made) -> list[Record]:
    rows = []
    for number, template in enumerate(made.shop.templates[:3]):
        created = template.created + DAY
        attributes = {
            "source_locale": "en",
            "target_locales": ["da", "de"],
            "fallback_locale": "en",
            "channel": "email",
            "metadata": None,
            "created": created,
            "updated": created + HOUR,
            "values": [{"key": "greeting", "values": {"en": "Hello", "da": "Hej", "de": "Hallo"}}],
        }
        rows.append(Record(_id(made, "translation", number), attributes, {"template": (template.id,)}))
    return rows


def _senders(made: Made) -> list[Record]:
    registration = made.records("text-messaging-sender-registration")[0].id
    attributes = {
        "sender_type": "toll_free",
        "sender_details": {"country": "US"},
        "status": "active",
        "created_at": made.shop.since - 50 * DAY,
        "forwarding_number": None,
        "sender_identifier": "+18005550123",
    }
    related = {"text-messaging-sender-registration": (registration,)}
    return [Record(_id(made, "text-messaging-sender"), attributes, related)]


def _registrations(made: Made) -> list[Record]:
    created = made.shop.since - 50 * DAY
    attributes = {
        "status": "approved",
        "failures": [],
        "created_at": created,
        "updated_at": created + 2 * DAY,
        "submitted_at": in_seconds(created + HOUR),
        "decided_at": in_seconds(created + 2 * DAY),
    }
    return [Record(_id(made, "text-messaging-sender-registration"), attributes)]


MAKERS: Makers = {
    "billing-usage": _billing_usage,
    "brand-button": _buttons,
    "brand-color": _colors,
    "brand-logo": _logos,
    "brand-social-group": _social_groups,
    "brand-email-default": _email_defaults,
    "translation": _translations,
    "text-messaging-sender": _senders,
    "text-messaging-sender-registration": _registrations,
}
