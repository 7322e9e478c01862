"""What to request: the streams that together make up an extract, and the first page of each of their slices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline.klaviyo.catalogue import filters
from klaviyo_pipeline.klaviyo.catalogue.columns import Column, since
from klaviyo_pipeline.klaviyo.catalogue.model import Part, Source, TimeField
from klaviyo_pipeline.klaviyo.client.client import Request, target
from klaviyo_pipeline.klaviyo.windows import TimeSlice

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.extract.question import Question

LARGEST_PAGE_BEFORE = 200
"""What to fall back to where a page of a thousand is refused."""


@dataclass(frozen=True)
class Stream:
    """One cursor's worth of a source, before it is cut by time: a path, fixed conditions, and constant columns.

    ``key`` names it in a manifest; ``fills`` are values of columns where the page has none; ``may_vanish`` tells that a
    404 means it was deleted meanwhile. ``question`` is what is asked of a report, by POST.
    """

    key: str
    path: str
    subject: str
    conditions: tuple[str, ...] = ()
    constants: Mapping[str, Any] = field(default_factory=dict)
    fills: Mapping[str, str] = field(default_factory=dict)
    time_field: TimeField | None = None
    single: bool = False
    may_vanish: bool = False
    question: Question | None = None


def streams_of(
    source: Source, revision: str, time_field: TimeField | None, chosen: Sequence[str] | None = None
) -> list[Stream]:
    """The streams of a source that is a collection of its own; for each chosen id one, if only these are read."""
    limits: list[tuple[str, ...]] = [()]
    if source.choice is not None and chosen is not None:
        limits = [(filters.condition(filters.EQUALS, source.choice.column, each),) for each in chosen]
    return [
        Stream(
            key=filters.all_of((*conditions, *limit)) or (part.path if source.parts else "all"),
            path=part.path,
            subject=source.title,
            conditions=(*conditions, *limit),
            constants=dict(part.columns),
            fills={column: value for said, column, value in source.stream_values if said in conditions},
            time_field=time_field,
        )
        for part in source.parts or (Part(source.path),)
        for conditions in since(source.streams, revision)
        for limit in limits
    ]


def streams_of_parents(
    source: Source, ids: Sequence[str], time_field: TimeField | None, *, single: bool, may_vanish: bool
) -> list[Stream]:
    """One stream a parent id: the members of a list, or the metric or profile of an event."""
    assert source.fan_out is not None
    return [
        Stream(
            key=each,
            path=source.path.format(id=filters.path_segment(each)),
            subject=f"{source.title} of {source.fan_out.noun} {each!r}",
            constants={source.fan_out.id_column: each},
            time_field=time_field,
            single=single,
            may_vanish=may_vanish,
        )
        for each in ids
    ]


def streams_per_parent(source: Source, ids: Sequence[str], *, windowed: bool) -> list[Stream]:
    """One stream of a collection for each row of another data source, which a filter names.

    Args:
        source: The data source.
        ids: The ids of those rows.
        windowed: Whether the streams are read over the time that they can be filtered by.
    """
    per = source.per_parent
    assert per is not None
    return [
        Stream(
            key=f"{per.noun} {each}",
            path=source.path,
            subject=f"{source.title} of {per.noun} {each!r}",
            conditions=(filters.condition(filters.EQUALS, per.field, each),),
            time_field=per.time_field if windowed else None,
        )
        for each in ids
    ]


def observed(streams: Iterable[Stream], source: Source, now: datetime) -> list[Stream]:
    """The streams; of a data source whose rows say when they were read, with that time."""
    if source.observed_at is None:
        return list(streams)
    return [replace(each, constants={**each.constants, source.observed_at: now}) for each in streams]


def streams_of_ids(source: Source, ids: Sequence[str], chunk: int) -> list[Stream]:
    """Streams that read a collection's resources by their ids, so many a request."""
    return [
        Stream(
            key=f"ids-{start}",
            path=source.path,
            subject=source.title,
            conditions=(filters.condition(filters.ANY, "id", ids[start : start + chunk]),),
        )
        for start in range(0, len(ids), chunk)
    ]


class PageSizes:
    """The page sizes to ask for; remembers where Klaviyo refused one. Shared by all extracts of a process."""

    def __init__(self) -> None:
        self._refused: dict[tuple[str, str, str], int | None] = {}

    def get(self, account: str, source: Source, revision: str) -> int | None:
        """The page size to ask for; None for none."""
        return self._refused.get((account, source.name, revision), since(source.page_size, revision))

    def refused(self, account: str, source: Source, revision: str, asked: int) -> None:
        """Klaviyo refused this page size: ask for the next smaller one from now on."""
        if self.get(account, source, revision) != asked:
            return  # another slice was refused the same size, and was quicker
        smaller = LARGEST_PAGE_BEFORE if asked > LARGEST_PAGE_BEFORE else None
        self._refused[(account, source.name, revision)] = smaller


class WholeRows:
    """Where Klaviyo refused to leave out attributes. Shared by all extracts of a process."""

    def __init__(self) -> None:
        self._refused: set[tuple[str, str, tuple[Column, ...]]] = set()

    def asked(self, source: Source, revision: str) -> bool:
        """Whether rows are asked for with all attributes."""
        return (source.name, revision, source.left_out) in self._refused

    def refused(self, source: Source, revision: str) -> None:
        """Klaviyo refused the names of the attributes: ask for all of them from now on."""
        self._refused.add((source.name, revision, source.left_out))


def first_request(
    source: Source,
    stream: Stream,
    bounds: TimeSlice,
    options: frozenset[str],
    revision: str,
    page_size: int | None,
    sparse: bool = True,
) -> Request:
    """The request for the first page of a slice; not ``sparse``: with the columns that are left out."""
    conditions = list(stream.conditions)
    sort = None
    if stream.time_field is not None:
        conditions += stream.time_field.conditions(bounds)
        sort = stream.time_field.in_filters
    includes = [
        include
        for include in source.includes
        if include.since <= revision and (include.option is None or include.option in options)
    ]
    chosen = [option for option in source.options if option.name in options and option.since <= revision]
    added = [*source.added_fields, *(name for option in chosen for name in option.added_fields)]
    fields = source.sparse_fields(revision, options) if sparse else source.fields
    parameters = {
        "filter": filters.all_of(conditions),
        "sort": sort,
        "include": ",".join(include.name for include in includes) or None,
        **{f"fields[{each.resource}]": ",".join(each.fields) for each in includes if each.fields},
        f"fields[{source.resource}]": ",".join(fields) or None,
        f"additional-fields[{source.resource}]": ",".join(added) or None,
        "page[size]": str(page_size) if page_size and not stream.single else None,
    }
    return request_for(source, stream, options, revision, target(stream.path, parameters))


def request_for(source: Source, stream: Stream, options: frozenset[str], revision: str, page_target: str) -> Request:
    """A request for one page of a stream."""
    slower = [option.name for option in source.options if option.tier and option.name in options]
    return Request(
        target=page_target,
        endpoint="+".join([source.limit_of or source.path, *slower]),
        tier=source.tier_for(revision, options),
        subject=stream.subject,
        scopes=source.scopes,
    )
