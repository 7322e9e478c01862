"""What is asked of a report: the body of the POST for each of its pages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from klaviyo_pipeline.klaviyo.catalogue.filters import GREATER_OR_EQUAL, LESS_THAN, condition
from klaviyo_pipeline.klaviyo.client.client import Request
from klaviyo_pipeline.klaviyo.errors import UnreadablePageError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from klaviyo_pipeline.klaviyo.catalogue.columns import Column
    from klaviyo_pipeline.klaviyo.decode.reports import ReportDecoder

_PAGE_SIZE = 500
"""The smallest page of metric aggregates that Klaviyo takes (seen live), and its default."""


@dataclass(frozen=True)
class Question:
    """What is asked of a report.

    Attributes:
        resource: The type of the request's data and of the answer's.
        attributes: The attributes of the request's data.
        grain: The columns that make a row's id.
        zone: The account's time zone.
        cursor_in_body: Whether the cursor of a next page belongs into the body.
        counts: Statistics that must be counts: an answer with anything else there is a fault.
        by: The dimensions that the rows are divided by.
    """

    resource: str
    attributes: Mapping[str, Any]
    grain: tuple[str, ...]
    zone: ZoneInfo
    cursor_in_body: bool = False
    counts: tuple[str, ...] = ()
    by: tuple[str, ...] = ()

    def put(self, request: Request) -> Request:
        """The POST for a page: the first, or the one that a next link leads to.

        Raises:
            UnreadablePageError: if the link has no cursor.
        """
        attributes, target = dict(self.attributes), request.target
        path, _, query = target.partition("?")
        if self.cursor_in_body and query:
            attributes["page_cursor"] = _cursor(target)
            target = path
        body = json.dumps({"data": {"type": self.resource, "attributes": attributes}}).encode()
        return replace(request, target=target, body=body)

    def decoder(self, columns: Sequence[Column]) -> ReportDecoder:
        """Decodes the answers."""
        from klaviyo_pipeline.klaviyo.decode.reports import ReportDecoder

        return ReportDecoder(columns, self.resource, self.grain, self.zone, counts=self.counts, by=self.by)


def counts_of(
    metric_id: str,
    measurements: Sequence[str],
    low: datetime,
    high: datetime,
    zone: ZoneInfo,
    by: Sequence[str] = (),
) -> dict[str, Any]:
    """What is asked of metric aggregates: measurements of a metric by day of a zone, of events in ``[low, high)``.

    With ``by``, they are divided by these dimensions.
    """
    return {
        "metric_id": metric_id,
        "measurements": list(measurements),
        "interval": "day",
        "timezone": zone.key,
        "page_size": _PAGE_SIZE,
        "filter": [condition(GREATER_OR_EQUAL, "datetime", low), condition(LESS_THAN, "datetime", high)],
        **({"by": list(by)} if by else {}),
    }


def _cursor(target: str) -> str:
    try:
        cursors = parse_qs(urlsplit(target).query).get("page[cursor]", [])
    except ValueError:
        raise UnreadablePageError("links.next is no address") from None
    if not cursors:
        raise UnreadablePageError("links.next has no cursor")
    return cursors[0]
