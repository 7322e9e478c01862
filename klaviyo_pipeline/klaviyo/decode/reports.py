"""A report's answer to an Arrow batch: groups and statistics become rows, and a series one row for each group and day.

The reports have ``results`` of ``groupings`` and ``statistics``, and ``date_times`` beside a series. Metric aggregates
have ``data`` of ``dimensions`` (values in the order that was asked for) and ``measurements``, and ``dates``. Answers
are small, so they are decoded whole.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from klaviyo_pipeline.klaviyo.catalogue.columns import EXTRA, Column, ColumnType
from klaviyo_pipeline.klaviyo.client.answers import document, part, shown, whole_number
from klaviyo_pipeline.klaviyo.client.envelope import check_document
from klaviyo_pipeline.klaviyo.decode.arrays import (
    ARROW_TYPES,
    constant_array,
    convert,
    date_array,
    json_array,
    string_array,
)
from klaviyo_pipeline.klaviyo.decode.pages import Page, arrow_schema, next_target
from klaviyo_pipeline.klaviyo.errors import UnreadablePageError
from klaviyo_pipeline.times import start_of

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    import pyarrow as pa


@dataclass(frozen=True)
class _Group:
    """One group of an answer: what tells it from others, and its numbers, a list of them in a series."""

    groupings: Mapping[str, Any]
    statistics: Mapping[str, Any]


class ReportDecoder:
    """Decodes the answers of a report.

    Args:
        columns: The columns to make: the id first, then groupings, statistics, and those that are constant.
        resource: The type that the answer must have.
        grain: The columns whose values, joined by colons, are a row's id.
        zone: The account's time zone, whose days a series has.
        counts: Statistics that must be counts: an answer with anything else there is a fault.
        by: The dimensions that were asked for.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        resource: str,
        grain: Sequence[str],
        zone: ZoneInfo,
        *,
        counts: Sequence[str] = (),
        by: Sequence[str] = (),
    ) -> None:
        self._columns = columns
        self._resource = resource
        self._grain = grain
        self._zone = zone
        self._counts = counts
        self._by = by
        self._schema = arrow_schema(columns)
        self._known = {column.path for column in columns if column.path}

    def decode(self, body: bytes, constants: Mapping[str, Any]) -> Page:
        """Decode an answer. ``constants`` are the values of columns that do not stand in it.

        Raises:
            UnreadablePageError: if it is not the report that was asked for, or a series is of another length than its
                dates, or has something else where a count must be, or other dimensions than were asked for.
        """
        found = check_document(document(body), many=False)
        kind = part(found, "data", "type", kind=str)
        if kind != self._resource:
            raise UnreadablePageError(f"an answer of type {shown(repr(kind), 40)} where {self._resource!r} belongs")
        days, groups = _groups(part(found, "data", "attributes", kind=dict), self._zone, self._by)
        rows = [row for group in groups for row in _rows(group, days)]
        for name in self._counts:
            for _day, group in rows:
                whole_number(group.statistics.get(name), f"a {name}")
        batch, unknown, misfits = self._batch(rows, constants)
        links = found.get("links")
        link = links.get("next") if isinstance(links, dict) else None
        if link is not None and not isinstance(link, str):
            raise UnreadablePageError("links.next is no text")
        return Page(
            batch=batch,
            ids=batch.column(0).to_pylist(),
            next_target=next_target(link) if link is not None else None,
            first_time=None,
            last_time=None,
            in_order=True,
            unknown=unknown,
            misfits=misfits,
            has_links=isinstance(links, dict),
        )

    def _batch(
        self, rows: list[tuple[date | None, _Group]], constants: Mapping[str, Any]
    ) -> tuple[pa.RecordBatch, Counter[str], Counter[str]]:
        import pyarrow as pa

        unknown, misfits = Counter[str](), Counter[str]()
        extras = [self._unknown(group, unknown) for _day, group in rows]
        read = [column for column in self._columns if column.path]
        values = [
            [(group.groupings if kind == "groupings" else group.statistics).get(name) for _day, group in rows]
            for kind, name in (column.path for column in read if column.path)
        ]
        converted = convert([(found, column.type) for found, column in zip(values, read, strict=True)])
        arrays: dict[str, pa.Array] = {"date": date_array([day for day, _group in rows])}
        arrays |= {name: constant_array(value, self._type(name), len(rows)) for name, value in constants.items()}
        for column, (made, refused) in zip(read, converted, strict=True):
            arrays[column.name] = made
            for row, text in refused.items():
                misfits[column.name] += 1
                extras[row].setdefault(column.path[0] if column.path else "", {})[column.name] = json.loads(text)
        keys = [[_text(value) for value in arrays[name].to_pylist()] for name in self._grain]
        arrays["id"] = string_array([":".join(row) for row in zip(*keys, strict=True)])
        arrays[EXTRA] = json_array([json.dumps(extra) if extra else None for extra in extras])
        missing = [name for name in self._schema.names if name not in arrays]
        arrays |= {name: pa.nulls(len(rows), ARROW_TYPES[self._type(name)]) for name in missing}
        made_of = [arrays[name] for name in self._schema.names]
        return pa.RecordBatch.from_arrays(made_of, schema=self._schema), unknown, misfits

    def _type(self, name: str) -> ColumnType:
        return next(column.type for column in self._columns if column.name == name)

    def _unknown(self, group: _Group, unknown: Counter[str]) -> dict[str, dict[str, Any]]:
        """What an answer has that no column takes."""
        extra: dict[str, dict[str, Any]] = {}
        for kind, found in (("groupings", group.groupings), ("statistics", group.statistics)):
            for name, value in found.items():
                if (kind, name) not in self._known and value is not None:
                    extra.setdefault(kind, {})[name] = value
                    unknown[f"{kind}.{name}"] += 1
        return extra


def _text(value: Any) -> str:  # noqa: ANN401 - a cell
    return "" if value is None else str(value)


def _groups(attributes: dict[str, Any], zone: ZoneInfo, by: Sequence[str]) -> tuple[list[date] | None, list[_Group]]:
    """An answer's days, None where it has none, and its groups."""
    if "results" in attributes:
        groups = [
            _Group(part(each, "groupings", kind=dict), part(each, "statistics", kind=dict))
            for each in part(attributes, "results", kind=list)
        ]
        times = part(attributes, "date_times", kind=list) if "date_times" in attributes else None
    else:
        groups = [
            _Group(_dimensions(each, by), part(each, "measurements", kind=dict))
            for each in part(attributes, "data", kind=list)
        ]
        times = part(attributes, "dates", kind=list)
    return [day_of(text, zone) for text in times] if times is not None else None, groups


def _dimensions(found: Any, by: Sequence[str]) -> dict[str, Any]:  # noqa: ANN401 - whatever JSON holds
    """The values of a group's dimensions, as the JSON text of an object that goes into one column."""
    if not by:
        return {}
    values = part(found, "dimensions", kind=list)
    if len(values) != len(by):
        raise UnreadablePageError(f"a group has {len(values)} dimensions where {', '.join(by)} were asked for")
    text = json.dumps(dict(zip(by, values, strict=True)), ensure_ascii=False, separators=(",", ":"))
    return {"dimensions": msgspec.Raw(text.encode())}


def _rows(group: _Group, days: list[date] | None) -> list[tuple[date | None, _Group]]:
    if days is None:
        return [(None, group)]
    for name in group.statistics:
        values = part(group.statistics, name, kind=list)
        if len(values) != len(days):
            raise UnreadablePageError(f"{shown(name, 40)} has {len(values)} values for {len(days)} dates")
    return [
        (day, _Group(group.groupings, {name: values[place] for name, values in group.statistics.items()}))
        for place, day in enumerate(days)
    ]


def day_of(text: Any, zone: ZoneInfo) -> date:  # noqa: ANN401 - whatever JSON holds
    """The day in a zone that a series means by a time: the instant at which it begins, or its midnight on the clock.

    Metric aggregates give the instants (seen live). For the reports Klaviyo does not say which of the two it is.

    Raises:
        UnreadablePageError: for what is no time, or neither of the two.
    """
    try:
        time = datetime.fromisoformat(text)
        instant = time.replace(tzinfo=UTC) if time.tzinfo is None else time
        local = instant.astimezone(zone).date()
        if start_of(local, zone) == instant:
            return local
        if time.hour == time.minute == time.second == 0:
            return time.date()
    except (TypeError, ValueError, OverflowError):
        pass
    raise UnreadablePageError(f"a date is {shown(repr(text)[:100], 40)}, which begins no day in {zone.key}")
