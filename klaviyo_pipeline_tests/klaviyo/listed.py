"""A collection of events that a test lists row by row: in any order, in pages of any size, filtered or not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from klaviyo_pipeline.sandbox.api.messages import Request, Response

_CONDITION = re.compile(r"(greater-or-equal|greater-than|less-or-equal|less-than)\(datetime,([^)]*)\)")


@dataclass
class Listed:
    """Answers requests for events with these rows, in this order.

    Args:
        rows: Ids and times, in the order in which the server gives them.
        page_rows: Rows a page.
        filters: Whether the server obeys the time filter; if not, every request gets all rows.
    """

    rows: Sequence[tuple[str, datetime]]
    page_rows: int = 2
    filters: bool = True

    def __call__(self, _operation: str, request: Request) -> Response:
        """The page that a request asks for; the cursor is the number of its first row."""
        expression = request.parameters.get("filter", "")
        conditions = _CONDITION.findall(expression) if self.filters else []
        chosen = [row for row in self.rows if all(_holds(row[1], *each) for each in conditions)]
        first = int(request.parameters.get("page[cursor]", "0"))
        following = first + self.page_rows
        link = request.url(**{"page[cursor]": str(following)}) if following < len(chosen) else None
        document = {
            "data": [_event(*row) for row in chosen[first:following]],
            "links": {"self": request.url(), "next": link, "prev": None},
        }
        return Response(200, Response.json(document).body)


def _holds(time: datetime, operator: str, bound: str) -> bool:
    at = datetime.fromisoformat(bound)
    return {
        "greater-or-equal": time >= at,
        "greater-than": time > at,
        "less-or-equal": time <= at,
        "less-than": time < at,
    }[operator]


def _event(identifier: str, time: datetime) -> dict[str, Any]:
    attributes = {
        "datetime": time.isoformat(),
        "timestamp": int(time.timestamp()),
        "uuid": identifier,
        "event_properties": {},
    }
    return {"type": "event", "id": identifier, "attributes": attributes, "relationships": {}, "links": {}}
