"""How many events Klaviyo itself counts, per metric and day: POST /api/metric-aggregates.

The dates of an answer are the UTC instants at which local days begin. A request spans a year at most, and an
answer of 500 groups is the smallest page. Source: OpenAPI 2026-07-15; the meaning of the dates was seen live.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

from klaviyo_pipeline.klaviyo.catalogue.filters import GREATER_OR_EQUAL, LESS_THAN, condition
from klaviyo_pipeline.klaviyo.catalogue.model import SMALL
from klaviyo_pipeline.klaviyo.client.answers import part, shown, whole_number
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient, Request
from klaviyo_pipeline.klaviyo.errors import UnreadablePageError
from klaviyo_pipeline.times import start_of

ENDPOINT = "/api/metric-aggregates"
_PAGE_SIZE = 500
_MOST_PAGES = 1000
"""One metric's count has one group, so one page; more come only where Klaviyo counts groups that nobody asked for."""
_LONGEST = timedelta(days=360)
"""Below a year with room to spare, since a page is cut at a local day's start."""


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
    cursor: str | None = None
    linked = False
    for _page in range(_MOST_PAGES):
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
        counts, cursor, linked = client.get(
            request,
            lambda document: (_counts(document, zone), _next_cursor(document), isinstance(document.get("links"), dict)),
            many=False,
            linked=linked,
        )
        yield from counts
        if cursor is None:
            return
    raise UnreadablePageError(f"{shown(request.subject)}: {_MOST_PAGES} pages, and each names a next one.")


def _counts(document: dict[str, Any], zone: ZoneInfo) -> list[tuple[date, int]]:
    attributes = part(document, "data", "attributes", kind=dict)
    days = [_day(text, zone) for text in part(attributes, "dates", kind=list)]
    counted: list[tuple[date, int]] = []
    for group in part(attributes, "data", kind=list):
        counts = part(group, "measurements", "count", kind=list)
        if len(counts) != len(days):
            raise UnreadablePageError(f"measurements.count has {len(counts)} values for {len(days)} dates")
        counted += [(day, whole_number(count, "a count")) for day, count in zip(days, counts, strict=True)]
    return counted


def _day(text: Any, zone: ZoneInfo) -> date:  # noqa: ANN401 - whatever JSON holds
    try:
        begins = datetime.fromisoformat(text)
        # A time without an offset is UTC, as all of Klaviyo's are.
        return (begins if begins.tzinfo else begins.replace(tzinfo=UTC)).astimezone(zone).date()
    except (TypeError, ValueError, OverflowError):
        raise UnreadablePageError(f"dates holds {shown(repr(text)[:100], 40)}, which is no date") from None


def _next_cursor(document: dict[str, Any]) -> str | None:
    links = document.get("links")
    if links is None or part(links, kind=dict).get("next") is None:
        return None
    try:
        cursors = parse_qs(urlsplit(part(links, "next", kind=str)).query).get("page[cursor]", [])
    except ValueError:
        raise UnreadablePageError("links.next is no address") from None
    if not cursors:
        raise UnreadablePageError("links.next has no cursor")
    return cursors[0]
