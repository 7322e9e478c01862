"""How many events Klaviyo itself counts, per metric and day: POST /api/metric-aggregates.

The dates of an answer are the UTC instants at which local days begin, as seen live. A request spans a year at most
(OpenAPI 2026-07-15).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from klaviyo_pipeline.klaviyo.catalogue.reports import METRIC_AGGREGATES_DAILY
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.extract.page_reader import PageReader
from klaviyo_pipeline.klaviyo.extract.question import Question, counts_of
from klaviyo_pipeline.klaviyo.extract.requests import Stream
from klaviyo_pipeline.klaviyo.windows import TimeSlice
from klaviyo_pipeline.times import start_of

_LONGEST = timedelta(days=360)
"""Below a year with room to spare, since a piece is cut at a local day's start."""


def events_by_day(
    client: KlaviyoClient, metric_id: str, start: datetime, end: datetime, zone: ZoneInfo
) -> Counter[date]:
    """Klaviyo's count of a metric's events in ``[start, end)``, by day of ``zone``.

    Raises:
        RequestRefusedError: for a metric that Klaviyo does not count, such as one that was deleted.
        KlaviyoError: as for any other request.
    """
    source, counted = METRIC_AGGREGATES_DAILY, Counter[date]()
    reader = PageReader(client, source, source.columns, frozenset())
    for low, high in _pieces(start, end, zone):
        stream = Stream(
            key=metric_id,
            path=source.path,
            subject=f"Klaviyo's count of events of metric {metric_id!r}",
            constants={"metric_id": metric_id},
            question=Question(
                source.resource,
                counts_of(metric_id, ("count",), low, high, zone),
                ("date", "metric_id"),
                zone,
                cursor_in_body=True,
                counts=("count",),
            ),
        )
        for answer in reader.pages(stream, lambda _again: TimeSlice(None, None)):
            batch = answer.value.batch
            for day, count in zip(batch["date"].to_pylist(), batch["count"].to_pylist(), strict=True):
                counted[day] += int(count)
    return counted


def _pieces(start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    """A stretch of time in parts that a request may span, cut where days begin."""
    while start < end:
        cut = min(end, start_of((start + _LONGEST).astimezone(zone).date(), zone))
        yield start, cut
        start = cut
