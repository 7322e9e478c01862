"""The POST reports on campaigns, flows, forms and segments, computed from the shop.

Source: OpenAPI 2026-07-15. Time frames are of the account's zone and include both ends. That `date_times` are
the UTC instants of local starts, as metric aggregates have them, and the wording of errors is inferred.
"""

import hashlib
import uuid
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from klaviyo_pipeline.sandbox.api import report_numbers as numbers
from klaviyo_pipeline.sandbox.api.contracts import Filterable
from klaviyo_pipeline.sandbox.api.documents import Call
from klaviyo_pipeline.sandbox.api.errors import invalid, refused
from klaviyo_pipeline.sandbox.api.fieldsets import project
from klaviyo_pipeline.sandbox.api.filters import Condition, parse_filter
from klaviyo_pipeline.sandbox.data.times import next_start

_MESSAGE_GROUPS = ("send_channel", "tag_id", "tag_name", "text_message_format", "variation", "variation_name")
_LONGEST = {"hourly": timedelta(days=7), "daily": timedelta(days=60), "monthly": timedelta(weeks=52)}
_INTERVALS = {"hourly": "hour", "daily": "day", "weekly": "week", "monthly": "month"}
_YEAR = timedelta(days=366)
_SCALAR = Filterable("str", ("equals", "any", "contains-any"))


@dataclass(frozen=True, slots=True)
class Subject:
    """What a report is on: how it may be grouped, and how that is by default."""

    default: tuple[str, ...]
    mandatory: tuple[str, ...]
    groups: tuple[str, ...]
    statistics: Callable[[numbers.Numbers], dict[str, float]]
    converts: bool = False


SUBJECTS = {
    "campaign": Subject(
        ("campaign_id", "campaign_message_id", "send_channel"),
        ("campaign_id", "campaign_message_id"),
        ("campaign_id", "campaign_message_id", "campaign_message_name", "group", "group_name", *_MESSAGE_GROUPS),
        numbers.message_statistics,
        converts=True,
    ),
    "flow": Subject(
        ("flow_id", "flow_message_id", "send_channel"),
        ("flow_id", "flow_message_id"),
        ("flow_id", "flow_name", "flow_message_id", "flow_message_name", *_MESSAGE_GROUPS),
        numbers.message_statistics,
        converts=True,
    ),
    "form": Subject(("form_id",), ("form_id",), ("form_id", "form_version_id"), numbers.form_statistics),
    "segment": Subject(("segment_id",), ("segment_id",), (), numbers.segment_statistics),
}


def answer(call: Call) -> bytes:
    """A report's document.

    Raises:
        ApiError: 400 for a body that Klaviyo refuses.
    """
    resource = call.request.path.strip("/").split("/")[-1].removesuffix("s")
    given = _attributes(call.request.body, resource)
    name, kind, _ = resource.split("-")
    subject = SUBJECTS[name]
    zone = ZoneInfo(call.store.account["attributes"]["timezone"])
    statistics = _statistics(given, subject)
    groups = _groups(given, subject)
    start, end = _timeframe(given.get("timeframe"), datetime.fromtimestamp(call.now, zone), zone)
    interval = given.get("interval") if kind == "series" else None
    if kind == "series" and interval not in tuple(_INTERVALS):
        raise refused("interval", "interval must be one of hourly, daily, weekly, monthly.")
    if interval in _LONGEST and end - start > _LONGEST[interval]:
        raise refused("timeframe", f"A {interval} report may be no longer than {_LONGEST[interval].days} days.")
    starts = _starts(start, end, interval)
    results = _results(call, name, given, groups, (starts, end))
    attributes: dict[str, Any] = {"results": []}
    for key in sorted(results, key=str):
        cells = [subject.statistics(cell) for cell in results[key]]
        shown: dict[str, Any] = {each: [cell[each] for cell in cells] for each in statistics}
        if kind == "values":
            shown = {each: values[0] for each, values in shown.items()}
        groupings = {each: value for each, value in zip(groups, key, strict=True) if value is not None}
        attributes["results"].append({"groupings": groupings, "statistics": shown})
    if kind == "series":
        attributes["date_times"] = [moment.astimezone(UTC).isoformat() for moment in starts]
    return _document(call, resource, attributes)


def _results(
    call: Call,
    name: str,
    given: Mapping[str, Any],
    groups: tuple[str, ...],
    span: tuple[list[datetime], datetime],
) -> dict[tuple[Any, ...], list[numbers.Numbers]]:
    starts, end = span
    conditions = _conditions(given.get("filter"), SUBJECTS[name])
    edges = [moment.timestamp() for moment in starts]
    results: dict[tuple[Any, ...], list[numbers.Numbers]] = {}
    for groupings, at, counted in _counted(call, name, given):
        if not all(groupings.get(found.field) in _wanted(found) for found in conditions):
            continue
        cells = results.setdefault(numbers.keyed(groupings, groups), [])
        cells.extend(numbers.Numbers() for _ in starts[len(cells) :])
        if at >= end.timestamp():
            continue
        place = bisect_right(edges, at) - 1
        if name == "segment":
            for cell in cells[max(0, place) :]:
                cell.counts["total_members"] += 1
        if place >= 0:
            cells[place].add(counted)
    if name == "segment":
        return results
    return {key: cells for key, cells in results.items() if any(cell.counts for cell in cells)}


def _counted(call: Call, name: str, given: Mapping[str, Any]) -> numbers.Counted:
    if name == "form":
        return numbers.of_forms(call.store)
    if name == "segment":
        return numbers.of_segments(call.store)
    return numbers.of_messages(call.store, _conversion(call, given), flows=name == "flow")


def _conversion(call: Call, given: Mapping[str, Any]) -> set[str]:
    """The metrics whose events are conversions; a custom metric stands for its members."""
    metric_id = given.get("conversion_metric_id")
    if metric_id is None:
        raise refused("conversion_metric_id", "conversion_metric_id is required.")
    custom = call.store.records("custom-metric").get(metric_id)
    if custom is not None:
        return set(custom.related["metrics"])
    metric = call.store.metrics.get(metric_id)
    if metric is None:
        raise refused("conversion_metric_id", f"Metric with id {metric_id} does not exist.")
    if metric.integration["key"] == "klaviyo":
        detail = "Passed in conversion metric does not support querying for values data"  # recorded
        raise refused("conversion_metric_id", detail)
    return {metric_id}


def _attributes(body: bytes, resource: str) -> Mapping[str, Any]:
    try:
        data = msgspec.json.decode(body, type=dict[str, dict[str, Any]])["data"]
        given: Mapping[str, Any] = data["attributes"]
        if data["type"] != resource or not isinstance(given, dict):
            raise invalid(f"'type' must be '{resource}'.", pointer="/data/type")
    except (msgspec.DecodeError, KeyError, TypeError):
        raise refused("", "The request needs data with a type and attributes.") from None
    taken = ("statistics", "timeframe", "interval", "conversion_metric_id", "group_by", "filter")
    unknown = sorted(set(given) - set(taken))
    if unknown:
        raise refused(unknown[0], f"'{unknown[0]}' is not a valid field for the resource '{resource}'.")
    return given


def _statistics(given: Mapping[str, Any], subject: Subject) -> tuple[str, ...]:
    known = subject.statistics(numbers.Numbers())
    asked = given.get("statistics")
    if not isinstance(asked, list) or not asked or any(name not in known for name in asked):
        raise refused("statistics", f"statistics must be some of {', '.join(known)}.")
    return tuple(asked)


def _groups(given: Mapping[str, Any], subject: Subject) -> tuple[str, ...]:
    asked = given.get("group_by")
    if not asked:
        return subject.default
    if any(name not in subject.groups for name in asked):
        raise refused("group_by", f"group_by must be some of {', '.join(subject.groups)}.")
    if any(name not in asked for name in subject.mandatory):
        raise refused("group_by", f"group_by must have {' and '.join(subject.mandatory)}.")
    return tuple(asked)


def _conditions(text: str | None, subject: Subject) -> tuple[Condition, ...]:
    if not text:
        return ()
    return parse_filter(text, dict.fromkeys((*subject.groups, *subject.default), _SCALAR))


def _wanted(condition: Condition) -> tuple[Any, ...]:
    return condition.value if isinstance(condition.value, tuple) else (condition.value,)


def _timeframe(given: object, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The start and the exclusive end, in the account's zone; the offsets of what is given are ignored."""
    if isinstance(given, dict) and "key" in given:
        return _named(given["key"], now.replace(hour=0, minute=0, second=0, microsecond=0))
    try:
        start, end = (
            datetime.fromisoformat(given[name]).replace(tzinfo=zone)  # type: ignore[index]
            for name in ("start", "end")
        )
    except (KeyError, TypeError, ValueError):
        raise refused("timeframe", "A timeframe has a key, or a start and an end.") from None
    if not start <= end <= start + _YEAR:
        raise refused("timeframe", "A timeframe ends after its start, and is no longer than one year.")
    return start, end + timedelta(seconds=1)


def _named(key: str, today: datetime) -> tuple[datetime, datetime]:
    tomorrow = today + timedelta(days=1)
    week, month = today - timedelta(days=today.weekday()), today.replace(day=1)
    year = month.replace(month=1)
    named = {
        "today": (today, tomorrow),
        "yesterday": (today - timedelta(days=1), today),
        "this_week": (week, tomorrow),
        "last_week": (week - timedelta(weeks=1), week),
        "this_month": (month, tomorrow),
        "last_month": (_months_before(month, 1), month),
        "last_3_months": (_months_before(month, 3), month),
        "last_12_months": (_months_before(month, 12), month),
        "this_year": (year, tomorrow),
        "last_year": (year.replace(year=year.year - 1), year),
    }
    named |= {f"last_{days}_days": (today - timedelta(days=days), today) for days in (7, 30, 90, 365)}
    if key not in named:
        raise refused("timeframe", f"'{key}' is not a valid choice for 'key'.")
    return named[key]


def _months_before(month: datetime, count: int) -> datetime:
    number = month.year * 12 + month.month - 1 - count
    return month.replace(year=number // 12, month=number % 12 + 1)


def _starts(start: datetime, end: datetime, interval: str | None) -> list[datetime]:
    """The local starts of the intervals; values have one, the start."""
    if interval is None:
        return [start]
    found = []
    while start < end:
        found.append(start)
        start = next_start(start, _INTERVALS[interval])
    return found


def _document(call: Call, resource: str, attributes: dict[str, Any]) -> bytes:
    names = call.query.fields.get(resource)
    digest = hashlib.sha256(call.request.body).digest()[:16]
    data = {
        "type": resource,
        "id": str(uuid.UUID(bytes=digest, version=4)),
        "attributes": attributes if names is None else project(attributes, names),
        "links": {"self": f"{call.request.base}/api/{resource}s/"},
    }
    links = {"self": call.request.url(), "next": None, "prev": None}
    return msgspec.json.encode({"data": data, "links": links})
