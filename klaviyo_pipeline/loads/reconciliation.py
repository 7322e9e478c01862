"""Compares our counts with Klaviyo's own.

Klaviyo counts events per metric and day (``metric-aggregates``) and the members of a list (``profile_count``). The
comparison covers only days that have landed by the ledger, so that every difference is a missing or surplus row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from klaviyo_pipeline import clock
from klaviyo_pipeline.errors import no_secrets
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.endpoints.metric_aggregates import events_by_day
from klaviyo_pipeline.klaviyo.errors import NoCountError, RequestRefusedError
from klaviyo_pipeline.klaviyo.windows import Window
from klaviyo_pipeline.loads.chosen import resolve
from klaviyo_pipeline.loads.completeness import DAY, covers, landed_days
from klaviyo_pipeline.loads.metric_names import names_at_klaviyo
from klaviyo_pipeline.times import start_of
from klaviyo_pipeline.warehouse.local_days import local_day
from klaviyo_pipeline.warehouse.tables import existing_columns, full_name

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
    from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
    from klaviyo_pipeline.loads.destination import Place

DEFAULT_DAYS = 90


@dataclass(frozen=True)
class Difference:
    """A metric's events of a day: our count and Klaviyo's."""

    metric_id: str
    metric_name: str
    day: date
    ours: int
    klaviyos: int

    def __str__(self) -> str:
        return f"{self.day} {self.metric_name} ({self.metric_id}): {self.ours:,} here, {self.klaviyos:,} at Klaviyo"


@dataclass(frozen=True)
class Reconciliation:
    """The result of a comparison of events.

    Attributes:
        days: The compared days, which have landed.
        until: The end of the comparison on the last day: the last whole hour that has landed.
        metrics: The number of compared metrics.
        events: Our number of events on these days and of these metrics.
        differences: The metrics and days that differ.
        not_counted: Metrics that Klaviyo does not count, by name, with the reason.
        without_metric: Our events without a metric, which Klaviyo does not count.
    """

    days: tuple[date, ...]
    until: datetime | None
    metrics: int
    events: int
    differences: tuple[Difference, ...]
    not_counted: Mapping[str, str]
    without_metric: int

    @property
    def is_even(self) -> bool:
        """Whether all counts agree."""
        return not self.differences

    @property
    def differing_days(self) -> tuple[date, ...]:
        """The days to read again."""
        return tuple(sorted({each.day for each in self.differences}))

    @property
    def surplus_days(self) -> tuple[date, ...]:
        """Of these, the days with rows that Klaviyo does not count. A merge does not remove them."""
        return tuple(sorted({each.day for each in self.differences if each.ours > each.klaviyos}))


@no_secrets()
def reconcile_events(
    client: KlaviyoClient,
    place: Place,
    area: StagingArea,
    first: date | None = None,
    last: date | None = None,
    *,
    ledger_name: str = "events",
    chosen: Sequence[str] | None = None,
    now: datetime | None = None,
) -> Reconciliation:
    """Compare our events with Klaviyo's counts, per metric and day of the storage time zone.

    Takes one request for each metric and year; Klaviyo allows sixty a minute. Compares today up to the last whole hour
    that has landed, because Klaviyo counts by the hour.

    Args:
        client: The account.
        place: The table of events.
        area: Where fetched pages wait.
        first: The first day; by default 90 days back.
        last: The last day; by default today.
        ledger_name: The name of the load in the ledger.
        chosen: Names or ids of the metrics that the load is limited to: only these are compared. None for all.
        now: The present.

    Raises:
        KlaviyoError, WarehouseError: if Klaviyo or the database cannot be read.
        ConfigurationError: if a chosen metric does not exist.
    """
    now, zone = now or clock.now(), place.zone
    days, until = _days_to_compare(place, first, last, ledger_name, chosen, now)
    if not days or until is None:
        return Reconciliation((), None, 0, 0, (), {}, 0)
    begin = start_of(days[0], zone)
    ours = _count_events(place, begin, until)
    names = names_at_klaviyo(client, area, now)
    compared = set(days)
    metrics = set(names) | {metric for metric, _day in ours if metric}
    if chosen is not None:
        assert SOURCES["events"].choice is not None
        metrics = set(resolve(SOURCES["events"].choice, chosen, names))
    differences, not_counted = list[Difference](), dict[str, str]()
    for metric_id in sorted(metrics):
        name = names.get(metric_id, metric_id)
        try:
            theirs = events_by_day(client, metric_id, begin, until, zone)
        except RequestRefusedError as error:
            not_counted[name] = str(error)
        else:
            differences += _differences(metric_id, name, days, ours, theirs)
    return Reconciliation(
        days=tuple(days),
        until=until,
        metrics=len(metrics) - len(not_counted),
        events=sum(count for (metric, day), count in ours.items() if metric in metrics and day in compared),
        differences=tuple(sorted(differences, key=lambda each: (each.day, each.metric_name, each.metric_id))),
        not_counted=not_counted,
        without_metric=sum(count for (metric, day), count in ours.items() if not metric and day in compared),
    )


def _differences(
    metric_id: str,
    name: str,
    days: Iterable[date],
    ours: Mapping[tuple[str | None, date], int],
    theirs: Mapping[date, int],
) -> Iterator[Difference]:
    """The days on which a metric has other numbers of events here and at Klaviyo."""
    for day in days:
        here, there = ours.get((metric_id, day), 0), theirs[day]
        if here != there:
            yield Difference(metric_id, name, day, here, there)


def _days_to_compare(
    place: Place, first: date | None, last: date | None, ledger_name: str, chosen: Sequence[str] | None, now: datetime
) -> tuple[list[date], datetime | None]:
    """The days that have landed, and where the last of them ends: today ends at the last whole hour that has landed."""
    zone = place.zone
    today = now.astimezone(zone).date()
    first = first or today - timedelta(days=DEFAULT_DAYS - 1)
    landed = landed_days(
        place.database,
        SOURCES["events"],
        place.plain_name,
        zone,
        first,
        last,
        ledger_name=ledger_name,
        chosen=chosen,
        now=now,
    )
    days, until = list(landed.complete), start_of(landed.complete[-1] + DAY, zone) if landed.complete else None
    if today in landed.partial:
        begins = start_of(today, zone)
        first_hour = (begins, begins + timedelta(hours=1))
        if ends := [min(high, now) for low, high in landed.spans if covers((low, high), *first_hour)]:
            days.append(today)
            until = max(ends).astimezone(zone).replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    return days, until


def following_events(place: Place) -> tuple[str, ...]:
    """The data sources that depend on events and have a table. A repair reads them again with their events."""
    names = [name for name, source in SOURCES.items() if source.fan_out and source.fan_out.parent == "events"]
    with place.database.reading() as connection:
        return tuple(name for name in names if existing_columns(connection, place.schema, name))


@dataclass(frozen=True)
class MemberDifference:
    """A list's members: our count and Klaviyo's; None for a list that Klaviyo has deleted."""

    list_id: str
    ours: int
    klaviyos: int | None

    def __str__(self) -> str:
        theirs = "the list is gone" if self.klaviyos is None else f"{self.klaviyos:,}"
        return f"list {self.list_id}: {self.ours:,} here, {theirs} at Klaviyo"


@no_secrets()
def reconcile_members(
    client: KlaviyoClient,
    place: Place,
    area: StagingArea,
    list_ids: Sequence[str] | None = None,
    *,
    most: int | None = None,
    now: datetime | None = None,
) -> tuple[MemberDifference, ...]:
    """Lists with another number of members than at Klaviyo, because Klaviyo does not report who left.

    Takes one request for each list; Klaviyo allows fifteen a minute. Leaves out lists for which Klaviyo has no count.

    Args:
        client: The account.
        place: The table of list members.
        area: Where fetched pages wait.
        list_ids: The lists to compare; by default those with members in the table, and all of Klaviyo's lists after
            a read of all lists.
        most: Compare at most this number of lists, and others each day.
        now: The present (aware); decides which lists are compared where ``most`` is given.

    Raises:
        KlaviyoError, WarehouseError: if Klaviyo or the database cannot be read.
    """
    from klaviyo_pipeline.klaviyo.endpoints.parents import count_of_children
    from klaviyo_pipeline.klaviyo.extract.extract import read_ids
    from klaviyo_pipeline.loads.whole_reads import living_children
    from klaviyo_pipeline.warehouse import ledger

    source = SOURCES["list_profiles"]
    ours = living_children(place.database, source, place.schema, place.table)
    now = now or clock.now()
    if list_ids is None:
        known = set(ours)
        if ledger.coverage(place.database, source.name, place.plain_name):
            known |= set(read_ids(client, SOURCES["lists"], area, Window(None, None, now)))
        list_ids = sorted(known)
    if most is not None and len(list_ids) > most:
        begin = now.toordinal() * most % len(list_ids)
        list_ids = [*list_ids, *list_ids][begin : begin + most]
    counted = []
    for each in list_ids:
        with suppress(NoCountError):  # nothing to compare with
            counted.append(MemberDifference(each, ours.get(each, 0), count_of_children(client, source, each)))
    return tuple(each for each in counted if each.ours != (each.klaviyos or 0))


def _count_events(place: Place, begin: datetime, until: datetime) -> dict[tuple[str | None, date], int]:
    day = local_day(place.zone, "datetime", begin, until)
    with place.database.reading() as connection:
        table = full_name(connection, place.schema, place.table)
        rows = connection.execute(
            f"SELECT metric_id, CAST({day} AS VARCHAR) AS day, count(*) FROM {table} "
            "WHERE datetime >= ? AND datetime < ? GROUP BY ALL",
            [begin, until],
        ).fetchall()
    return {(metric, date.fromisoformat(day)): count for metric, day, count in rows}
