"""How many events Klaviyo itself counts, per metric and day: POST /api/metric-aggregates.

The dates of an answer are the UTC instants at which local days begin. A request spans a year at most, and an
answer of 500 groups is the smallest page. Source: OpenAPI 2026-07-15; the meaning of the dates was seen live.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

from klaviyo_pipeline.klaviyo.client import KlaviyoClient, Request
from klaviyo_pipeline.klaviyo.errors import UnreadablePageError
from klaviyo_pipeline.klaviyo.filters import GREATER_OR_EQUAL, LESS_THAN, condition
from klaviyo_pipeline.klaviyo.sources import SMALL

ENDPOINT = "/api/metric-aggregates"
_PAGE_SIZE = 500
_LONGEST = timedelta(days=360)
"""Below a year with room to spare, since a page is cut at a local day's start."""


def start_of(day: date, zone: ZoneInfo) -> datetime:
    """The instant in UTC at which a local day begins; where clocks skip midnight, the first instant after it."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def events_by_day(
    client: KlaviyoClient, metric_id: str, start: datetime, end: datetime, zone: ZoneInfo
) -> Counter[date]:
    """Klaviyo's count of a metric's events in ``[start, end)``, by day of ``zone``.

    Raises:
        RequestRefusedError: for a metric that Klaviyo does not count, such as one that was deleted.
        KlaviyoError: as for any other request.
    """
    counted: Counter[date] = Counter()
    for low, high in _pieces(start, end, zone):
        for day, count in _read(client, metric_id, low, high, zone):
            counted[day] += count
    return counted


def _pieces(start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    """A stretch of time in parts that a request may span, cut where days begin."""
    while start < end:
        cut = min(end, start_of((start + _LONGEST).astimezone(zone).date(), zone))
        yield start, cut
        start = cut


def _read(
    client: KlaviyoClient, metric_id: str, start: datetime, end: datetime, zone: ZoneInfo
) -> Iterator[tuple[date, int]]:
    cursor, linked = None, False
    while True:
        attributes = {
            "metric_id": metric_id,
            "measurements": ["count"],
            "interval": "day",
            "timezone": zone.key,
            "page_size": _PAGE_SIZE,
            "filter": [condition(GREATER_OR_EQUAL, "datetime", start), condition(LESS_THAN, "datetime", end)],
            **({"page_cursor": cursor} if cursor else {}),
        }
        request = Request(
            target=ENDPOINT,
            endpoint=ENDPOINT,
            tier=SMALL,
            subject=f"Klaviyo's count of events of metric {metric_id!r}",
            scopes=("metrics:read",),
            body=json.dumps({"data": {"type": "metric-aggregate", "attributes": attributes}}).encode(),
        )
        document = client.get_json(request, many=False, linked=linked)
        try:
            found = document["data"]["attributes"]
            days = [datetime.fromisoformat(text).astimezone(zone).date() for text in found["dates"]]
            for group in found["data"]:
                counts = group["measurements"]["count"]
                yield from ((day, int(count)) for day, count in zip(days, counts, strict=True))
        except (KeyError, TypeError, ValueError) as error:
            raise UnreadablePageError(f"{request.subject}: the answer has another form ({error}).") from None
        links = document.get("links")
        linked = isinstance(links, dict)
        following = links.get("next") if isinstance(links, dict) else None
        cursor = parse_qs(urlsplit(following).query).get("page[cursor]", [None])[0] if following else None
        if cursor is None:
            return
