"""Puts the shop together."""

import gc

import msgspec

from klaviyo_pipeline.sandbox.data.rows import Event, Metric, Orders, Profile, Shop
from klaviyo_pipeline.sandbox.data.shop import mail, people
from klaviyo_pipeline.sandbox.data.shop.chance import Chance
from klaviyo_pipeline.sandbox.data.shop.history import History
from klaviyo_pipeline.sandbox.data.shop.metrics import make_metrics
from klaviyo_pipeline.sandbox.data.times import DAY, SECOND, in_seconds, micros
from klaviyo_pipeline.sandbox.options import SandboxOptions

_ACCOUNT = {
    "id": "NrdHvn",
    "attributes": {
        "test_account": True,
        "contact_information": {
            "default_sender_name": "Nordhavn Supply",
            "default_sender_email": "hello@shop.example.com",
            "website_url": "https://shop.example.com",
            "organization_name": "Nordhavn Supply",
            "street_address": {
                "address1": "Harbour Lane 1",
                "address2": None,
                "city": "Copenhagen",
                "region": None,
                "country": "Denmark",
                "zip": "2150",
            },
        },
        "industry": "Ecommerce",
        "timezone": "Europe/Copenhagen",
        "preferred_currency": "EUR",
        "public_api_key": "NrdHvn",
        "locale": "en-US",
    },
}


def generate_shop(options: SandboxOptions) -> Shop:
    """The shop that the options determine."""
    collecting = gc.isenabled()
    gc.disable()  # millions of objects that all stay: nothing to collect
    try:
        return _generate(options)
    finally:
        if collecting:
            gc.enable()


def _generate(options: SandboxOptions) -> Shop:
    seed = options.seed
    until = micros(options.until_moment()) // SECOND * SECOND
    since = until - options.days * DAY
    tags = mail.make_tags()
    metrics = make_metrics(Chance(seed, "metrics"), since)
    profiles = people.make_profiles(Chance(seed, "profiles"), options.profiles, since, until)
    lists = people.make_lists(Chance(seed, "lists"), options.lists, since, until, tuple(tag.id for tag in tags))
    members = people.join_lists(Chance(seed, "members"), lists, profiles, until)
    profiles = people.suppress_on_lists(Chance(seed, "suppressions"), profiles, members, until)
    templates = mail.make_templates(Chance(seed, "templates"), options.templates, since, until)
    campaigns = mail.make_campaigns(Chance(seed, "campaigns"), options.campaigns, since, until, lists, templates, tags)
    flows = mail.make_flows(Chance(seed, "flows"), metrics, lists, since)
    history = History(Chance(seed, "events"), metrics, profiles, campaigns, flows, since, until)
    events = history.write(options.events)
    return Shop(
        account=_ACCOUNT,
        metrics=metrics,
        profiles=_with_history(profiles, events, metrics, until),
        lists=lists,
        members=members,
        templates=templates,
        campaigns=campaigns,
        flows=flows,
        tags=tags,
        events=events,
        seed=seed,
        since=since,
        until=until,
    )


def _with_history(profiles: list[Profile], events: list[Event], metrics: list[Metric], until: int) -> list[Profile]:
    """The profiles, told when they were last seen and what they ordered."""
    placed = {metric.id for metric in metrics if metric.name == "Placed Order"}
    last_seen: dict[str, int] = {}
    orders: dict[str, Orders] = {}
    for event in events:
        person = event.profile_id
        if person is None or event.timestamp * SECOND > until:
            continue
        last_seen[person] = max(last_seen.get(person, 0), event.timestamp)
        if event.metric_id in placed:
            value = msgspec.json.decode(event.document)["event_properties"]["$value"]
            at = event.timestamp * SECOND
            old = orders.get(person, Orders(first_at=at, last_at=at))
            orders[person] = Orders(
                old.number + 1, old.value + value, min(old.first_at or at, at), max(old.last_at or at, at)
            )
    return [
        row._replace(
            document=row.document.replace(
                b'"last_event_date":null',
                b'"last_event_date":"%b"' % (in_seconds(last_seen[row.id] * SECOND) or "").encode(),
                1,
            ),
            orders=orders.get(row.id, Orders()),
        )
        if row.id in last_seen
        else row
        for row in profiles
    ]
