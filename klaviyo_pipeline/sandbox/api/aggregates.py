"""POST /api/metric-aggregates: counts, sums and unique people of one metric's events, by interval.

Source: OpenAPI 2026-07-15. That the dates are the UTC instants of local starts, that page_size is at least
500 and that a sort is refused was seen live. Error wordings are inferred.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from klaviyo_pipeline.sandbox.api.contracts import Filterable
from klaviyo_pipeline.sandbox.api.errors import invalid, refused
from klaviyo_pipeline.sandbox.api.filters import Condition, parse_filter
from klaviyo_pipeline.sandbox.data.rows import Event, Value
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.data.tables import cut
from klaviyo_pipeline.sandbox.data.times import SECOND, moment, next_start

_DATETIME = {"datetime": Filterable("time", ("greater-or-equal", "less-than"))}
_MEASUREMENTS = ("count", "sum_value", "unique")
_INTERVALS = ("hour", "day", "week", "month")
_DIMENSIONS = (
    "$attributed_channel", "$attributed_flow", "$attributed_message", "$attributed_variation", "$campaign_channel",
    "$flow", "$flow_channel", "$message", "$message_send_cohort", "$usage_amount", "$value_currency", "$variation",
    "$variation_send_cohort", "Bot Click", "Bounce Type", "Campaign Name", "Client Canonical", "Client Name",
    "Client Type", "Email Domain", "Failure Source", "Failure Type", "From Number", "From Phone Region",
    "Inbox Provider", "List", "Message Format", "Message Name", "Message Type", "Method", "Segment Count", "Subject",
    "To Number", "To Phone Region", "URL", "form_id",
)  # fmt: skip
_TAKEN = (
    "metric_id", "page_cursor", "measurements", "interval", "page_size", "by", "return_fields", "filter", "timezone",
    "sort",
)  # fmt: skip
_UNSUPPORTED_ZONES = frozenset(["Factory", "Europe/Kyiv", "Pacific/Kanton"])
"""Klaviyo's reference names these as not supported."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked."""

    metric_id: str
    measurements: tuple[str, ...]
    interval: str
    timezone: ZoneInfo
    by: tuple[str, ...]
    since: int
    until: int


def parse_body(body: bytes) -> Question:
    """Read and check the request's body.

    Raises:
        ApiError: 400.
    """
    try:
        data = msgspec.json.decode(body, type=dict[str, dict[str, Any]])["data"]
        given = data["attributes"]
        metric_id, measurements, filters = given["metric_id"], given["measurements"], given["filter"]
    except (msgspec.DecodeError, KeyError, TypeError):
        raise refused("", "The request needs metric_id, measurements and filter.") from None
    if data.get("type") != "metric-aggregate":
        raise invalid("'type' must be 'metric-aggregate'.", pointer="/data/type")
    unknown = sorted(set(given) - set(_TAKEN))
    if unknown:
        raise refused(unknown[0], f"'{unknown[0]}' is not a valid field for the resource 'metric-aggregate'.")
    for name in given.get("return_fields") or ():
        if name not in (*_MEASUREMENTS, *_DIMENSIONS, "dates", "data"):
            raise refused("return_fields", f"'{name}' is not a valid choice for 'return_fields'.")
    if not measurements or any(name not in _MEASUREMENTS for name in measurements):
        raise refused("measurements", f"Measurements must be some of {', '.join(_MEASUREMENTS)}.")
    interval = given.get("interval") or "day"
    if interval not in _INTERVALS:
        raise refused("interval", f"'{interval}' is not a valid choice for 'interval'.")
    if given.get("sort"):
        raise refused("sort", "Sorting is not supported for this request.")
    if (given.get("page_size") or 500) < 500:
        raise refused("page_size", "page_size must be at least 500.")
    by = tuple(given.get("by") or ())
    for name in by:
        if name not in _DIMENSIONS:
            raise refused("by", f"'{name}' is not a valid choice for 'by'.")
    since, until = _range(filters)
    return Question(metric_id, tuple(measurements), interval, _zone(given.get("timezone") or "UTC"), by, since, until)


def aggregate(store: Store, question: Question) -> dict[str, Any]:
    """The answer's attributes.

    Raises:
        ApiError: 400 for a metric that there is none of.
    """
    if question.metric_id not in store.metrics:
        raise refused("metric_id", f"Metric with id {question.metric_id} does not exist.")
    starts = list(_starts(question))
    rows = store.events.of_metric(question.metric_id)
    bounds = [
        ("greater-or-equal", -(-question.since // SECOND)),
        ("less-than", -(-question.until // SECOND)),
    ]
    span = cut(rows, bounds, None, descending=False)
    groups: dict[tuple[str, ...], list[_Cell]] = {}
    place = 0
    for event in rows[span.low : span.high]:
        while place + 1 < len(starts) and starts[place + 1].timestamp() <= event.timestamp:
            place += 1
        properties = msgspec.json.decode(event.document)["event_properties"]
        dimensions = tuple(_dimension(event, properties, name) for name in question.by)
        cells = groups.get(dimensions)
        if cells is None:
            cells = groups[dimensions] = [_Cell() for _ in starts]
        cells[place].add(event, properties)
    if not groups and not question.by:
        groups[()] = [_Cell() for _ in starts]
    return {
        "dates": [start.astimezone(UTC).isoformat() for start in starts],
        "data": [
            {
                "dimensions": list(dimensions),
                "measurements": {name: [cell.measure(name) for cell in cells] for name in question.measurements},
            }
            for dimensions, cells in sorted(groups.items())
        ],
    }


def answer_id(body: bytes) -> str:
    """An id for the answer: a number, the same for the same question."""
    return str(int.from_bytes(hashlib.sha256(body).digest()[:7], "big"))


class _Cell:
    """The events of one group in one interval."""

    def __init__(self) -> None:
        self._count = 0
        self._value = 0.0
        self._people: set[str | None] = set()

    def add(self, event: Event, properties: dict[str, Any]) -> None:
        self._count += 1
        self._value += properties.get("$value") or 0
        self._people.add(event.profile_id)

    def measure(self, name: str) -> float:
        if name == "count":
            return float(self._count)
        return round(self._value, 2) if name == "sum_value" else float(len(self._people))


def _dimension(event: Event, properties: dict[str, Any], name: str) -> str:
    attribution = event.attribution
    if name == "$attributed_flow":
        return (attribution.flow_id if attribution else None) or ""
    if name == "$attributed_message":
        found = attribution and (attribution.campaign_message_id or attribution.flow_message_id)
        return found or ""
    if name == "$attributed_channel":
        return "email" if attribution else ""
    return str(properties.get(name, ""))


def _range(filters: Value) -> tuple[int, int]:
    conditions: list[Condition] = []
    for text in [filters] if isinstance(filters, str) else filters:
        conditions += parse_filter(text, _DATETIME)
    found = {condition.operator: condition.value for condition in conditions}
    since, until = found.get("greater-or-equal"), found.get("less-than")
    if not isinstance(since, int) or not isinstance(until, int):
        raise refused("filter", "A filter must give datetime greater-or-equal and less-than.")
    if until <= since:
        raise refused("filter", "The end of the range must be after its start.")
    if moment(until) > moment(since) + timedelta(days=366):
        raise refused("filter", "The range may be no longer than one year.")
    return since, until


def _starts(question: Question) -> Iterator[datetime]:
    """The local starts of the intervals that the range touches."""
    local = moment(question.since).astimezone(question.timezone)
    start = local.replace(minute=0, second=0, microsecond=0)
    if question.interval != "hour":
        start = start.replace(hour=0)
    if question.interval == "week":
        start -= timedelta(days=start.weekday())
    if question.interval == "month":
        start = start.replace(day=1)
    end = moment(question.until)
    while start < end:
        yield start
        start = next_start(start, question.interval)


def _zone(name: str) -> ZoneInfo:
    try:
        if name in _UNSUPPORTED_ZONES:
            raise ValueError(name)
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise refused("timezone", f"'{name}' is not a valid time zone.") from None
