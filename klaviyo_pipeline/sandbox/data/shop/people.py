"""Customers: addresses, places, custom properties, consent, suppressions, and the lists they join."""

from klaviyo_pipeline.sandbox.data.changes import profile_row
from klaviyo_pipeline.sandbox.data.rows import Consent, MailingList, Member, Profile, Suppression
from klaviyo_pipeline.sandbox.data.shop.chance import Chance
from klaviyo_pipeline.sandbox.data.shop.words import FIRST_NAMES, LAST_NAMES, MAIL_DOMAINS, PLACES, STREETS
from klaviyo_pipeline.sandbox.data.times import DAY, HOUR, SECOND, in_seconds

_LIST_NAMES = (
    "Newsletter",
    "SMS subscribers",
    "VIP customers",
    "Competition 2025",
    "Waiting list",
    "Preview",
)
_REASONS = ("UNSUBSCRIBE", "UNSUBSCRIBE", "HARD_BOUNCE", "USER_SUPPRESSED", "SPAM_COMPLAINT", "INVALID_EMAIL")


def make_profiles(chance: Chance, count: int, since: int, until: int) -> list[Profile]:
    """Customers: a third from before the history, the others over its course."""
    return [_profile(chance, number, since, until) for number in range(count)]


def _profile(chance: Chance, number: int, since: int, until: int) -> Profile:
    early = chance.random() < 0.35
    start, end = (since - 300 * DAY, since) if early else (since, until - HOUR)
    created = int(start + chance.random() * (end - start)) // SECOND * SECOND
    updated = int(created + chance.random() ** 3 * (until - created)) // SECOND * SECOND
    first, last, place = chance.one_of(FIRST_NAMES), chance.one_of(LAST_NAMES), chance.early(PLACES)
    ascii_name = first.encode("ascii", "ignore").decode().lower()
    email = f"{ascii_name}.{number:06d}@{chance.one_of(MAIL_DOMAINS)}"
    by_phone_only = chance.random() < 0.03
    phone = f"{place.dial}{5_550_000_00 + number}" if by_phone_only or chance.random() < 0.4 else None
    attributes = {
        "email": None if by_phone_only else email,
        "phone_number": phone,
        "external_id": f"shop-{number:07d}" if chance.random() < 0.6 else None,
        "first_name": first if chance.random() < 0.9 else None,
        "last_name": last if chance.random() < 0.85 else None,
        "organization": f"{last} & Co" if chance.random() < 0.04 else None,
        "locale": place.locale,
        "title": None,
        "image": None,
        "created": in_seconds(created),
        "updated": in_seconds(updated),
        "last_event_date": None,
        "location": _location(chance, place._asdict()),
        "properties": _properties(chance, number),
    }
    row = profile_row(chance.ulid(created), attributes)
    return row._replace(
        consent=_consent(chance, created, has_phone=phone is not None),
        suppressions=_suppressions(chance, created, until),
    )


def _location(chance: Chance, place: dict[str, object]) -> dict[str, object]:
    if chance.random() < 0.1:
        return {}
    as_text = chance.random() < 0.05  # Klaviyo has coordinates as numbers, and sometimes as text
    return {
        "address1": f"{chance.one_of(STREETS)} {int(chance.random() * 200) + 1}",
        "address2": "2nd floor" if chance.random() < 0.1 else None,
        "city": place["city"],
        "country": place["country"],
        "latitude": str(place["latitude"]) if as_text else place["latitude"],
        "longitude": str(place["longitude"]) if as_text else place["longitude"],
        "region": place["region"],
        "zip": place["zip"],
        "timezone": place["timezone"],
        "ip": f"192.0.2.{int(chance.random() * 254) + 1}" if chance.random() < 0.3 else None,
    }


def _properties(chance: Chance, number: int) -> dict[str, object]:
    properties: dict[str, object] = {}
    if chance.random() < 0.7:
        properties["Accepts Marketing"] = chance.random() < 0.6
        properties["Shopify Tags"] = ["wholesale"] if chance.random() < 0.05 else []
    if chance.random() < 0.3:
        properties["loyalty"] = {"tier": chance.one_of(("bronze", "silver", "gold")), "points": number % 900}
    if chance.random() < 0.2:
        properties["shoe_size"] = 36 + number % 11
    if chance.random() < 0.15:
        properties["birthday"] = f"19{70 + number % 30}-{1 + number % 12:02d}-{1 + number % 28:02d}"
    if chance.random() < 0.02:
        properties["shoe_size"] = "42½"  # the same property as text: custom properties have no type
    return properties


def _consent(chance: Chance, created: int, has_phone: bool) -> Consent:
    later = created + int(chance.random() * HOUR)
    email = chance.random() < 0.75
    return Consent(
        email_at=later if email else None,
        email_method=chance.one_of(("SHOPIFY", "FORM", "MANUAL_ADD")) if email else None,
        sms_at=later if has_phone and chance.random() < 0.5 else None,
        push_at=later if chance.random() < 0.1 else None,
        whatsapp_at=later if has_phone and chance.random() < 0.05 else None,
        unsubscribed=email and chance.random() < 0.05,
    )


def _suppressions(chance: Chance, created: int, until: int) -> tuple[Suppression, ...]:
    if chance.random() > 0.06:
        return ()
    return (Suppression(chance.one_of(_REASONS), int(created + chance.random() * (until - created))),)


def make_lists(chance: Chance, count: int, since: int, until: int, tags: tuple[str, ...]) -> list[MailingList]:
    """Lists; the first is the large one, the last stays empty."""
    rows = []
    for number in range(count):
        name = _LIST_NAMES[number] if number < len(_LIST_NAMES) else f"Import {number:03d}"
        created = int(since - chance.random() * 200 * DAY) // SECOND * SECOND
        rows.append(
            MailingList(
                id=chance.short_id(),
                name=name,
                created=created,
                updated=int(created + chance.random() * (until - created)) // SECOND * SECOND,
                opt_in_process="double_opt_in" if number % 2 else "single_opt_in",
                tag_ids=tags[:1] if number % 3 == 0 else (),
            )
        )
    return rows


def join_lists(
    chance: Chance, lists: list[MailingList], profiles: list[Profile], until: int
) -> dict[str, list[Member]]:
    """Who joined which list when: most people the first, fewer each after it, nobody the last."""
    members: dict[str, list[Member]] = {row.id: [] for row in lists}
    for number, row in enumerate(lists[:-1]):
        share = 0.7 / (number + 1) ** 1.5
        for profile in profiles:
            if chance.random() < share:
                earliest = max(profile.created, row.created)
                delay = chance.random() ** 4 * (until - earliest)
                members[row.id].append(Member(int(earliest + delay) // SECOND * SECOND, profile.id))
    return members


def suppress_on_lists(
    chance: Chance, profiles: list[Profile], members: dict[str, list[Member]], until: int
) -> list[Profile]:
    """The profiles, a few of them unsubscribed from one list they are on."""
    gone: dict[str, Suppression] = {}
    for list_id, joined in members.items():
        for member in joined:
            if chance.random() < 0.01:
                at = int(member.joined_at + chance.random() * (until - member.joined_at))
                gone[member.profile_id] = Suppression("UNSUBSCRIBE", at, list_id)
    return [row._replace(suppressions=(*row.suppressions, gone[row.id])) if row.id in gone else row for row in profiles]
