"""Rows by id and in sorted arrays. A read finds its start by bisection and scans from there."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from klaviyo_pipeline.sandbox.data.kinds import NUMBERS, Record
from klaviyo_pipeline.sandbox.data.rows import Event, Member

SMALL_BATCH = 64
"""Up to so many changes are worked into the sorted arrays one by one; more, and they are sorted again."""


class HasId(Protocol):
    """Anything with an id of its own."""

    @property
    def id(self) -> str:
        """The id."""
        ...


R = TypeVar("R", bound=HasId)
T = TypeVar("T")
Key = Any
Place = tuple[Key, str]
"""Where a row stands in an order: its sort value, then its id, so that no two rows stand in one place."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, and the place of the last one where more follow."""

    rows: list[T]
    next_after: Place | None = None


class Table(Generic[R]):
    """The rows of one collection."""

    def __init__(self, rows: Iterable[R], orders: Mapping[str, Callable[[R], Key]]) -> None:
        self.rows: dict[str, R] = {row.id: row for row in rows}
        self._keys = orders
        self._orders: dict[str, list[Place]] = {}
        self._lookups: dict[str, dict[Any, list[str]]] = {}

    def get(self, row_id: str | None) -> R | None:
        """The row, if there is one of this id."""
        return self.rows.get(row_id) if row_id is not None else None

    def __iter__(self) -> Iterator[R]:
        return iter(self.rows.values())

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, row_id: object) -> bool:
        return row_id in self.rows

    def put(self, rows: Iterable[R]) -> None:
        """Add rows, or replace those of the same ids."""
        changed = list(rows)
        self._forget(changed)
        for row in changed:
            for order in self._orders:
                self._take(order, row.id)
            self.rows[row.id] = row
            for order, places in self._orders.items():
                insort(places, (self._keys[order](row), row.id))

    def delete(self, row_id: str) -> bool:
        """Remove a row; False if there was none."""
        row = self.rows.get(row_id)
        if row is None:
            return False
        self._forget([row])
        for order in self._orders:
            self._take(order, row_id)
        del self.rows[row_id]
        return True

    def with_value(self, attribute: str, values: Iterable[Any]) -> list[R]:
        """The rows whose attribute is one of these values, found by a hash."""
        if attribute == "id":
            return [self.rows[value] for value in dict.fromkeys(values) if value in self.rows]
        lookup = self._lookups.get(attribute)
        if lookup is None:
            lookup = self._lookups[attribute] = {}
            for row in self.rows.values():
                lookup.setdefault(getattr(row, attribute), []).append(row.id)
        ids = [row_id for value in dict.fromkeys(values) for row_id in lookup.get(value, ())]
        return [self.rows[row_id] for row_id in ids]

    def select(
        self,
        order: str,
        *,
        descending: bool = False,
        after: Place | None = None,
        size: int,
        bounds: Iterable[tuple[str, int]] = (),
        keep: Callable[[R], bool] | None = None,
        among: list[R] | None = None,
        next_after: Callable[[list[Place]], Place] = lambda places: places[-1],
    ) -> Page[R]:
        """A page of rows in an order, after a place, of those kept (and only among these, if given).

        `bounds` (operator, value) hold for the order's own value and are found by bisection.
        """
        places = self._order(order) if among is None else self._sorted(order, among)
        known = self.rows
        kept = None if keep is None else lambda place: keep(known[place[1]])
        found, more = take(places, cut(places, bounds, after, descending), descending, size, kept)
        return Page([known[row_id] for _, row_id in found], next_after(found) if more else None)

    def _order(self, order: str) -> list[Place]:
        places = self._orders.get(order)
        if places is None:
            places = self._orders[order] = self._sorted(order, self.rows.values())
        return places

    def _sorted(self, order: str, rows: Iterable[R]) -> list[Place]:
        key = self._keys[order]
        return sorted((key(row), row.id) for row in rows)

    def _take(self, order: str, row_id: str) -> None:
        row = self.rows.get(row_id)
        if row is not None:
            places = self._orders[order]
            del places[bisect_left(places, (self._keys[order](row), row_id))]

    def _forget(self, changed: list[R]) -> None:
        self._lookups.clear()
        if len(changed) > SMALL_BATCH:
            self._orders.clear()


class RecordOrders(dict[str, Callable[[Record], Key]]):
    """The orders of records: by id, and by any attribute; a missing value stands first."""

    def __missing__(self, name: str) -> Callable[[Record], Key]:
        empty: Key = 0 if name in NUMBERS else ""
        return lambda row: row.id if name == "id" else (row.attributes.get(name) or empty)


class Events:
    """The events, sorted by time and id; those of one metric or profile likewise, once asked for.

    An `Event` is a tuple that starts with its time and id, so that a bare `(time, id)` bisects it.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        self.sorted: list[Event] = sorted(events)
        self.rows: dict[str, Event] = {event.id: event for event in self.sorted}
        self._groups: dict[int, dict[str | None, list[Event]]] = {}

    def get(self, event_id: str) -> Event | None:
        """The event of this id."""
        return self.rows.get(event_id)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.sorted)

    def __len__(self) -> int:
        return len(self.sorted)

    def of_metric(self, metric_id: str) -> list[Event]:
        """The events of one metric, sorted."""
        return self._group(Event._fields.index("metric_id")).get(metric_id, [])

    def of_profile(self, profile_id: str) -> list[Event]:
        """The events of one profile, sorted."""
        return self._group(Event._fields.index("profile_id")).get(profile_id, [])

    def put(self, events: Iterable[Event]) -> None:
        """Add events, or replace those of the same ids."""
        changed = {event.id: event for event in events}
        old = [self.rows[event_id] for event_id in changed if event_id in self.rows]
        self._remove(old)
        self.rows.update(changed)
        if len(changed) <= SMALL_BATCH:
            for event in changed.values():
                insort(self.sorted, event)
                for field, group in self._groups.items():
                    insort(group.setdefault(event[field], []), event)  # type: ignore[arg-type]
        else:
            self.sorted.extend(changed.values())
            self.sorted.sort()
            self._groups.clear()

    def delete(self, event_id: str) -> bool:
        """Remove an event; False if there was none."""
        event = self.rows.get(event_id)
        if event is None:
            return False
        self._remove([event])
        return True

    def _remove(self, events: list[Event]) -> None:
        for event in events:
            del self.rows[event.id]
        if len(events) <= SMALL_BATCH:
            for event in events:
                del self.sorted[bisect_left(self.sorted, event[:2])]
                for field, group in self._groups.items():
                    places = group[event[field]]  # type: ignore[index]
                    del places[bisect_left(places, event[:2])]
        else:
            gone = {event.id for event in events}
            self.sorted = [event for event in self.sorted if event.id not in gone]
            self._groups.clear()

    def _group(self, field: int) -> dict[str | None, list[Event]]:
        group = self._groups.get(field)
        if group is None:
            group = self._groups[field] = {}
            for event in self.sorted:
                group.setdefault(event[field], []).append(event)  # type: ignore[arg-type]
        return group


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a sorted array."""

    low: int
    high: int


def cut(rows: list[Any], bounds: Iterable[tuple[str, int]], after: Place | None, descending: bool) -> Span:
    """The stretch whose first field lies within all bounds (operator, value) and beyond the cursor."""
    low, high = 0, len(rows)
    for operator, value in bounds:
        if operator == "greater-or-equal":
            low = max(low, bisect_left(rows, (value,)))
        elif operator == "greater-than":
            low = max(low, bisect_left(rows, (value + 1,)))
        elif operator == "less-than":
            high = min(high, bisect_left(rows, (value,)))
        else:
            high = min(high, bisect_left(rows, (value + 1,)))
    if after is not None:
        if descending:
            high = min(high, bisect_left(rows, after))
        else:
            low = max(low, bisect_left(rows, (after[0], after[1] + "\0")))
    return Span(low, max(low, high))


def take(
    rows: list[T], span: Span, descending: bool, size: int, keep: Callable[[T], bool] | None
) -> tuple[list[T], bool]:
    """Up to `size` rows of a stretch from its one end or the other, and whether more follow."""
    if keep is None:
        if descending:
            found = rows[max(span.low, span.high - size) : span.high][::-1]
        else:
            found = rows[span.low : min(span.high, span.low + size)]
        return found, span.high - span.low > size
    found = []
    indexes = range(span.low, span.high)
    for index in reversed(indexes) if descending else indexes:
        if keep(rows[index]):
            if len(found) == size:
                return found, True
            found.append(rows[index])
    return found, False


class Members:
    """Who is on one list since when."""

    def __init__(self, members: Iterable[Member] = ()) -> None:
        self.sorted: list[Member] = sorted(members)
        self.joined: dict[str, int] = {member.profile_id: member.joined_at for member in self.sorted}

    def __len__(self) -> int:
        return len(self.sorted)

    def add(self, members: Iterable[Member]) -> None:
        """Let profiles join; who is on the list already joins anew."""
        for member in members:
            self.remove(member.profile_id)
            insort(self.sorted, member)
            self.joined[member.profile_id] = member.joined_at

    def remove(self, profile_id: str) -> bool:
        """Let a profile leave; False if it was no member."""
        joined_at = self.joined.pop(profile_id, None)
        if joined_at is None:
            return False
        del self.sorted[bisect_left(self.sorted, (joined_at, profile_id))]
        return True
