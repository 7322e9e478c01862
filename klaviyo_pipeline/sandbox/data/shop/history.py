"""What happened: visits, orders and refunds, campaign mails with opens and clicks in bursts, flows' mails."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec

from klaviyo_pipeline.sandbox.data.changes import event_document
from klaviyo_pipeline.sandbox.data.rows import Attribution, Campaign, Event, Flow, Metric, Profile
from klaviyo_pipeline.sandbox.data.shop.chance import Chance
from klaviyo_pipeline.sandbox.data.shop.payloads import (
    Sending,
    browsing,
    mail,
    order,
    order_followup,
    ordered_product,
    text_or_push,
)
from klaviyo_pipeline.sandbox.data.times import DAY, HOUR, MINUTE, SECOND

_SHARES = {"campaigns": 0.36, "flows": 0.12, "orders": 0.24}
"""Of all events; the rest is browsing."""
_FUTURE, _NO_PROFILE, _NO_METRIC = 0.0005, 0.001, 0.001
_RECEIVED = {"email": "Received Email", "sms": "Received Text Message", "mobile_push": "Received Push"}
_CLICKED = {"sms": "Clicked Text Message", "mobile_push": "Opened Push"}


class History:
    """Writes the events of a shop."""

    def __init__(
        self,
        chance: Chance,
        metrics: list[Metric],
        profiles: list[Profile],
        campaigns: list[Campaign],
        flows: list[Flow],
        since: int,
        until: int,
    ) -> None:
        self._chance = chance
        self._metrics: dict[str, str] = {}
        for metric in metrics:
            self._metrics.setdefault(metric.name, metric.id)
        self._api_order = metrics[-1].id
        self._profiles = profiles
        self._campaigns = [row for row in campaigns if row.status == "Sent"]
        self._flows = flows
        self._since, self._until = since, until
        self._clicks: list[tuple[Event, Sending]] = []
        self._orders = 1000

    def write(self, count: int) -> list[Event]:
        """So many events, in no order."""
        budgets = {part: int(count * share) for part, share in _SHARES.items()}
        events: list[Event] = []
        if not self._profiles:
            return events
        if self._campaigns:
            events += _first(self._campaign_events(budgets["campaigns"]), budgets["campaigns"])
        events += _first(self._flow_events(), budgets["flows"])
        events += _first(self._order_events(), budgets["orders"])
        events += _first(self._browsing(), count - len(events))
        return self._oddities(events)

    # ---- mail

    def _campaign_events(self, budget: int) -> Iterator[Event]:
        """Each campaign's receivers within minutes, opens and clicks thinning out over two days."""
        share = budget / len(self._campaigns) / 1.62
        for campaign in self._campaigns:
            sending = Sending.of_campaign(campaign)
            sent = campaign.send_time or self._since
            for _ in range(int(share * (0.4 + 1.2 * self._chance.random())) + 1):
                yield from self._mail(campaign.channel, sending, sent)
        while True:
            campaign = self._chance.one_of(self._campaigns)
            sent = campaign.send_time or self._since
            yield from self._mail(campaign.channel, Sending.of_campaign(campaign), sent)

    def _flow_events(self) -> Iterator[Event]:
        while True:
            flow = self._chance.early(self._flows)
            sending = Sending.of_flow(flow, self._chance.one_of(flow.message_ids))
            yield from self._mail("email", sending, self._moment())

    def _mail(self, channel: str, sending: Sending, sent: int) -> Iterator[Event]:
        chance = self._chance
        profile = chance.one_of(self._profiles)
        at = sent + int(chance.random() ** 2 * 20 * MINUTE)
        payload = mail if channel == "email" else text_or_push
        if channel == "email" and chance.random() < 0.01:
            yield self._event("Bounced Email", at, profile, mail(chance, sending, profile, "Bounced"))
            return
        yield self._event(_RECEIVED[channel], at, profile, payload(chance, sending, profile, "Received"))
        opened = at + MINUTE + int(chance.random() ** 4 * 2 * DAY)
        if channel == "email" and chance.random() < 0.42 and opened < self._until:
            yield self._event("Opened Email", opened, profile, mail(chance, sending, profile, "Opened"))
            if chance.random() < 0.005:
                yield self._event(
                    "Marked Email as Spam",
                    opened + 9 * SECOND,
                    profile,
                    mail(chance, sending, profile, "Spam"),
                )
        clicked = opened + 5 * SECOND + int(chance.random() * 10 * MINUTE)
        if chance.random() < 0.12 and clicked < self._until:
            name = "Clicked Email" if channel == "email" else _CLICKED[channel]
            click = self._event(name, clicked, profile, payload(chance, sending, profile, "Clicked"))
            self._clicks.append((click, sending))
            yield click

    # ---- orders

    def _order_events(self) -> Iterator[Event]:
        """Orders with their items, fulfilment, some cancelled or refunded; a third owed to a click."""
        chance = self._chance
        while True:
            self._orders += 1
            attribution, also = None, tuple[Attribution, ...]()
            if self._clicks and chance.random() < 0.33:
                click, sending = chance.one_of(self._clicks)
                profile_id, at = click.profile_id, click.timestamp * SECOND + int(chance.random() * 2 * HOUR)
                attribution = sending.attribution(f"{self._orders:x}{click.id}", click.id)
                also = self._other_clicks(click, self._orders % 3)
            else:
                profile_id, at = chance.early(self._profiles).id, self._moment()
            bought = order(chance, self._orders)
            yield self._event("Checkout Started", at - 4 * MINUTE, profile_id, bought)
            placed = self._event("Placed Order", at, profile_id, bought, attribution)._replace(also=also)
            if chance.random() < 0.05:
                placed = placed._replace(metric_id=self._api_order)
            yield placed
            for item in bought["Items"]:
                yield self._event("Ordered Product", at, profile_id, ordered_product(bought, item))
            fate = chance.random()
            if fate < 0.8:
                name, later = "Fulfilled Order", DAY + int(chance.random() * 2 * DAY)
            elif fate < 0.9:
                name, later = "Cancelled Order", int(chance.random() * 5 * HOUR)
            else:
                name, later = "Refunded Order", 4 * DAY + int(chance.random() * 6 * DAY)
            if at + later < self._until:
                yield self._event(name, at + later, profile_id, order_followup(name, bought))

    def _other_clicks(self, but: Event, wanted: int) -> tuple[Attribution, ...]:
        """That an order is owed to the latest clicks as well, other than one."""
        others = [(click, sending) for click, sending in self._clicks[-3:] if click is not but][:wanted]
        return tuple(sending.attribution(f"{self._orders:x}a{click.id}", click.id) for click, sending in others)

    def _browsing(self) -> Iterator[Event]:
        chance = self._chance
        while True:
            profile = chance.early(self._profiles)
            at = self._moment()
            yield self._event("Active on Site", at, profile, browsing(chance, "Active on Site"))
            for step in range(int(chance.random() * 4)):
                name = "Viewed Product" if chance.random() < 0.75 else "Added to Cart"
                yield self._event(name, at + (step + 1) * 40 * SECOND, profile, browsing(chance, name))

    # ---- all

    def _moment(self) -> int:
        """Sometime in the history, by day rather than by night."""
        chance = self._chance
        day = self._since + int(chance.random() * (self._until - self._since)) // DAY * DAY
        hour = (chance.random() + chance.random()) * 12 * HOUR
        return int(min(day + hour, self._until - SECOND))

    def _event(
        self,
        metric: str,
        at: int,
        profile: Profile | str | None,
        properties: dict[str, Any],
        attribution: Attribution | None = None,
    ) -> Event:
        timestamp = max(self._since, min(at, self._until - SECOND)) // SECOND
        chance = self._chance
        event_id = chance.event_id()
        profile_id = profile.id if isinstance(profile, Profile) else profile
        document = event_document(timestamp, properties, chance.event_uuid(timestamp))
        return Event(timestamp, event_id, self._metrics[metric], profile_id, document, attribution)

    def _oddities(self, events: list[Event]) -> list[Event]:
        """The same events, with a few dated ahead, of nobody, or of a metric that is no more."""
        if not events:
            return events
        chance = self._chance
        for _ in range(max(1, int(len(events) * _NO_PROFILE))):
            place = int(chance.random() * len(events))
            events[place] = events[place]._replace(profile_id=None)
        for _ in range(max(1, int(len(events) * _NO_METRIC))):
            place = int(chance.random() * len(events))
            events[place] = events[place]._replace(metric_id=None)
        for _ in range(max(1, int(len(events) * _FUTURE))):
            place = int(chance.random() * len(events))
            event = events[place]
            ahead = (self._until + int((1 + chance.random() * 96) * HOUR)) // SECOND
            moved = event.document.replace(str(event.timestamp).encode(), str(ahead).encode(), 1)
            events[place] = event._replace(timestamp=ahead, document=_dated(moved, ahead))
        return events


def _dated(document: bytes, timestamp: int) -> bytes:
    attributes = msgspec.json.decode(document)
    return event_document(timestamp, attributes["event_properties"], attributes["uuid"])


def _first(events: Iterable[Event], count: int) -> list[Event]:
    return list(islice(events, count))
