"""What a data source declares: where it is read, its columns, its key, its times, its limits.

Facts (paths, filters and operators, sort values, page sizes, limits, scopes) are those of Klaviyo's OpenAPI documents;
where they changed, the first revision with the new value stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.child_rows import ChildOf
from klaviyo_pipeline.klaviyo.catalogue.columns import Column, Since, since
from klaviyo_pipeline.klaviyo.catalogue.filters import GREATER_OR_EQUAL, GREATER_THAN, LESS_THAN, condition
from klaviyo_pipeline.klaviyo.catalogue.reporting import Report
from klaviyo_pipeline.klaviyo.windows import SECOND, TimeSlice


@dataclass(frozen=True)
class Tier:
    """Klaviyo's rate limit of an endpoint, per account: requests a second (burst), a minute (steady), and a day.

    Only reports have a limit a day.
    """

    burst: int
    steady: int
    daily: int | None = None

    @property
    def windows(self) -> tuple[tuple[float, int], ...]:
        """The length of each window in seconds, and the requests that it allows."""
        day = ((86_400.0, self.daily),) if self.daily is not None else ()
        return ((1.0, self.burst), (60.0, self.steady), *day)

    def share_of_steady(self, requests: int, seconds: float) -> float:
        """The share of the limit a minute that requests have used; less than a minute counts as a whole one."""
        return round(requests / max(seconds / 60, 1) / self.steady, 4)


EXTRA_SMALL = Tier(1, 15)
SMALL, MEDIUM, LARGE, EXTRA_LARGE = Tier(3, 60), Tier(10, 150), Tier(75, 750), Tier(350, 3500)
LARGE_UNTIL_2025 = Tier(75, 700)
PROFILE_TIER = (("", LARGE_UNTIL_2025), ("2026-01-15", LARGE))


class FilterBy(StrEnum):
    """Which of a row's times decides whether it lies in a window."""

    UPDATED = "updated"
    CREATED = "created"


@dataclass(frozen=True)
class TimeField:
    """A time by which a collection can be filtered and sorted.

    Attributes:
        name: The column, and the name in filters.
        filter_by: Which of a row's times it is.
        operators: Those that the filter takes on this field; profiles, for one, refuse greater-or-equal.
        field: The name in filters, if no column has the time: then Klaviyo alone decides which rows lie in a window.
        earliest: Ask for rows from this time on where a window has no start: without any bound on this time, Klaviyo
            gives other rows too.
    """

    name: str
    filter_by: FilterBy
    operators: frozenset[str]
    field: str = ""
    earliest: datetime | None = None

    @property
    def in_filters(self) -> str:
        """The name in filters and sorts."""
        return self.field or self.name

    @property
    def column(self) -> str | None:
        """The column that has the time; None without one."""
        return None if self.field else self.name

    @property
    def can_be_cut(self) -> bool:
        """Whether a window over this field can be divided: that takes an upper bound."""
        return LESS_THAN in self.operators

    def conditions(self, time_slice: TimeSlice) -> list[str]:
        """Filter conditions for a slice, a second wider at the start where the field takes only greater-than."""
        conditions = []
        start = time_slice.start or self.earliest
        if start:
            if GREATER_OR_EQUAL in self.operators:
                conditions.append(condition(GREATER_OR_EQUAL, self.in_filters, start))
            else:
                conditions.append(condition(GREATER_THAN, self.in_filters, start - SECOND))
        if time_slice.end and self.can_be_cut:
            conditions.append(condition(LESS_THAN, self.in_filters, time_slice.end))
        return conditions


@dataclass(frozen=True)
class Include:
    """Related resources that come along with a page; ``option`` names the option that asks for them."""

    name: str
    option: str | None = None
    since: str = ""
    fields: tuple[str, ...] = ()
    """Sparse fieldset: only these attributes of the related resource are kept, so only they are asked for."""
    resource: str = ""


@dataclass(frozen=True)
class Option:
    """A yes/no choice of a data source, in run config and in transfer files.

    Attributes:
        name: The option's name; columns and includes that depend on it name it.
        default: Whether it is on.
        description: A sentence for people.
        added_fields: Attributes that Klaviyo sends only when asked for them (``additional-fields``).
        tier: The lower rate limit of requests with it; None where the limit stays.
        skips: The setting is named ``skip_…`` and turns the option off, like Treasure Data's.
        since: The first revision that knows its fields; older ones are not asked for them.
    """

    name: str
    default: bool
    description: str
    added_fields: tuple[str, ...] = ()
    tier: Tier | None = None
    skips: bool = False
    since: str = ""

    @property
    def setting(self) -> str:
        """The name in run config and in transfer files."""
        return f"skip_{self.name}" if self.skips else self.name

    def value_of(self, setting: bool) -> bool:
        """Whether the option is on when its setting has this value; and the other way round."""
        return setting != self.skips


@dataclass(frozen=True)
class FanOut:
    """How a data source follows from the rows of another one.

    Attributes:
        parent: The other data source.
        noun: One row of the parent, in messages: ``list``.
        id_column: The column that has the parent's id.
        setting: The setting that limits a load to some parents.
        limits: What that setting does, a sentence for people.
        key: The parent's column that names the child, where the children are read from a collection of their own.
        batch: That collection, a data source: read whole, or by ``any(id,[…])``.
        chunk: So many ids a request; None to read it whole.
        carries: Columns whose values come from the parent's row: ours to the parent's.
        count_field: The attribute in which Klaviyo counts a parent's children (``additional-fields``).
        may_lack: Whether a parent may have no children at all, which Klaviyo answers with 404.
        childless: Columns of the parent, and values by which its rows have no children: no request is made for them.
    """

    parent: str
    noun: str
    id_column: str
    setting: str
    limits: str
    key: str | None = None
    batch: str | None = None
    chunk: int | None = None
    carries: tuple[tuple[str, str], ...] = ()
    count_field: str | None = None
    may_lack: bool = False
    childless: tuple[tuple[str, frozenset[Any]], ...] = ()

    @property
    def parent_columns(self) -> tuple[str, ...]:
        """The columns of the parent's rows that are needed."""
        return tuple(
            dict.fromkeys(["id", *(theirs for _ours, theirs in self.carries), *([self.key] if self.key else [])])
        )

    @property
    def deciding_columns(self) -> tuple[str, ...]:
        """The columns of a parent's row that say whether it is worth a request, and its id."""
        return ("id", *(column for column, _values in self.childless))

    def can_have_children(self, parent: Mapping[str, Any]) -> bool:
        """Whether a row of the parent is worth a request."""
        return not any(parent.get(column) in values for column, values in self.childless)

    def carried(self, parent: Mapping[str, Any]) -> dict[str, Any]:
        """The values that a child takes from its parent's row, by column."""
        return {ours: parent.get(theirs) for ours, theirs in self.carries}


@dataclass(frozen=True)
class Choice:
    """How a collection is limited to some of its rows by what they belong to, such as events to some metrics.

    Attributes:
        of: The data source of what they belong to.
        noun: One row of it, in messages: ``metric``.
        setting: The setting that names the chosen ones, by name or id.
        column: The column that has their id, and the field that requests filter by: one stream for each.
        limits: What the setting does, a sentence for people.
    """

    of: str
    noun: str
    setting: str
    column: str
    limits: str


@dataclass(frozen=True)
class Part:
    """One of several collections of one shape that together are a data source.

    Attributes:
        path: The collection.
        columns: Names and values of the columns that say from which collection a row is.
    """

    path: str
    columns: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class PerParent:
    """Rows of a collection that Klaviyo gives for one row of another data source at a time, by a filter that names it.

    Attributes:
        parent: The other data source.
        noun: One row of it, in messages.
        field: The field of the filter that has its id.
        time_field: The time that windows of these rows are taken over.
    """

    parent: str
    noun: str
    field: str
    time_field: TimeField


@dataclass(frozen=True)
class Source:
    """One of Klaviyo's data sources."""

    name: str
    title: str
    description: str
    doc: str
    path: str
    """With ``{id}`` where it is read for each row of a parent."""
    scopes: tuple[str, ...]
    columns: tuple[Column, ...]
    tier: Since[Tier]
    page_size: Since[int | None] = (("", None),)
    """Largest page to ask for; None where the endpoint takes no ``page[size]``."""
    time_fields: tuple[TimeField, ...] = ()
    streams: Since[tuple[tuple[str, ...], ...]] = (("", ((),)),)
    """Sets of fixed conditions that together cover the collection; one cursor each at least."""
    stream_values: tuple[tuple[str, str, str], ...] = ()
    """What such a condition says of each of its rows: condition, column, value. It fills the column in rows whose
    payload has no value for it."""
    parts: tuple[Part, ...] = ()
    """The collections of a data source that has several; ``path`` is the first of them."""
    per_parent: PerParent | None = None
    """Further rows of the collection, with a cursor for each row of another data source."""
    left_out: tuple[Column, ...] = ()
    """Columns that a person does without: not asked for where Klaviyo allows it, and in no table."""
    fields: tuple[str, ...] = ()
    """Sparse fieldset: the only attributes to ask for, where rows have more; empty for all of them."""
    added_fields: tuple[str, ...] = ()
    """Attributes that Klaviyo sends only when asked for them (``additional-fields``)."""
    limit_of: str = ""
    """Which rate limit its requests count against, where that is another one than the path's."""
    single: bool = False
    """Whether an answer for one row of the parent is one resource and not a list."""
    observed_at: str | None = None
    """The column with the time of the read: each read adds rows of its own, and no row is changed or replaced."""
    includes: tuple[Include, ...] = ()
    options: tuple[Option, ...] = ()
    impersonal: tuple[str, ...] = ()
    """The columns that tell nothing about a person. Only these are shown outside the tables (previews, examples in
    checks), so a new column is hidden until somebody decides about it. Hidden are also profile ids, which name a person
    as long as the account has that person, free text that people write, and JSON, which may hold anything."""
    resource: str = ""
    since: str = ""
    """Klaviyo's first revision that has the collection; blank where every living one has it."""
    primary_key: tuple[str, ...] = ("id",)
    version_column: str | None = None
    """A row never goes back to an older value of this."""
    fixed_time: str | None = None
    """A time that Klaviyo never changes for a key: a merge into a large table looks for keys around it only."""
    partitioned_by_day: bool = False
    sorted_by_time: bool = True
    """Whether pages sorted by time are in order. Those of archived campaigns are not."""
    fan_out: FanOut | None = None
    choice: Choice | None = None
    """How a load is limited to some of its rows; None where all are read."""
    child: ChildOf | None = None
    """Where the rows stand, if they come along with another data source's."""
    staged: tuple[Column, ...] = ()
    """JSON columns that are read for the tables of children, and are in no table themselves."""
    lookback_days: int = 0
    """Events come late, some by weeks; other changes may take a while until the API shows them."""
    incremental: bool = True
    """Whether a run without a window continues where the last one ended. Otherwise it reads the whole collection."""
    shows_deletions: bool = False
    """Whether rows that a read of the whole collection does not have are gone from Klaviyo."""
    report: Report | None = None
    """How it is read from a report; None for a collection."""

    @property
    def takes_window(self) -> bool:
        """Whether a load can be limited to a stretch of time."""
        return bool(self.time_fields) or (self.report is not None and not self.report.windows)

    @property
    def one_for_each(self) -> bool:
        """Whether there is one row for each row of the parent."""
        return self.single or (self.fan_out is not None and self.fan_out.key is not None)

    @property
    def option_names(self) -> tuple[str, ...]:
        """Names of the yes/no options that the data source takes."""
        return tuple(option.name for option in self.options)

    @property
    def filter_by(self) -> tuple[FilterBy, ...]:
        """What a window can be taken over, the default first; empty where there is no usable time."""
        return tuple(time_field.filter_by for time_field in self.time_fields)

    def time_field(self, filter_by: FilterBy | None = None) -> TimeField | None:
        """The time that a window is taken over.

        Raises:
            ConfigurationError: if the source does not have it, naming what it has.
        """
        if filter_by is None:
            return self.time_fields[0] if self.time_fields else None
        for candidate in self.time_fields:
            if candidate.filter_by is filter_by:
                return candidate
        allowed = " or ".join(str(each) for each in self.filter_by) or "no filter: Klaviyo has no time filter here"
        raise ConfigurationError(f"filter_by is {filter_by.value!r}, but {self.name} takes {allowed}.")

    def choose(self, **options: bool | None) -> frozenset[str]:
        """The options in force: those given, else their defaults.

        Raises:
            ConfigurationError: for an option that this source does not take.
        """
        for name, value in options.items():
            if value is not None and name not in self.option_names:
                allowed = ", ".join(self.option_names) or "none"
                raise ConfigurationError(f"{self.name} does not take the option {name}; it takes: {allowed}.")
        given = {name: value for name, value in options.items() if value is not None}
        return frozenset(option.name for option in self.options if given.get(option.name, option.default))

    def columns_for(self, options: frozenset[str]) -> tuple[Column, ...]:
        """The columns that an extract with these options has."""
        return tuple(column for column in self.columns if column.option is None or column.option in options)

    def sparse_fields(self, revision: str, options: frozenset[str]) -> tuple[str, ...]:
        """The attributes to ask for; empty for all of them."""
        if self.fields or not self.left_out or self.parts:  # each of several collections has a type of its own
            return self.fields
        paths = [column.path_in(revision) for column in self.columns_for(options) if not column.via]
        names = [path[1] for path in paths if path and path[0] == "attributes"]
        every = {path[1] for column in self.left_out if (path := column.path_in(revision)) and path[0] == "attributes"}
        return tuple(dict.fromkeys(names)) if every.difference(names) else ()

    @property
    def required_columns(self) -> tuple[str, ...]:
        """Columns that every row has, besides the key: those declared, and the time that windows are taken over."""
        window = self.time_fields[0].name if self.time_fields and self.child is None else None
        return tuple(each.name for each in self.columns if each.required or each.name == window)

    def tier_for(self, revision: str, options: frozenset[str]) -> Tier:
        """The rate limit of this source's requests."""
        slower = [option.tier for option in self.options if option.tier and option.name in options]
        return slower[0] if slower else since(self.tier, revision)


GE_GT_LE_LT = frozenset({GREATER_OR_EQUAL, GREATER_THAN, "less-or-equal", LESS_THAN})
GT_LT = frozenset({GREATER_THAN, LESS_THAN})
GT = frozenset({GREATER_THAN})
DOC = "https://developers.klaviyo.com/en/reference/"
"""Where Klaviyo documents its endpoints."""
