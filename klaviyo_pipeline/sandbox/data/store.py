"""The sandbox's state: the generated shop, searchable, and changeable while the server runs."""

import itertools
import threading
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any

from klaviyo_pipeline.sandbox.data import changes
from klaviyo_pipeline.sandbox.data.kinds import BY_PATH, Record
from klaviyo_pipeline.sandbox.data.rows import (
    Campaign,
    MailingList,
    Message,
    Metric,
    Profile,
    Shop,
    Suppression,
    Template,
)
from klaviyo_pipeline.sandbox.data.shop.lazy import Lazy
from klaviyo_pipeline.sandbox.data.tables import Events, Members, RecordOrders, Table
from klaviyo_pipeline.sandbox.data.times import SECOND, parse_time

Change = Mapping[str, Any]
_SUPPRESSED = "subscriptions.email.marketing"


def _columns(*names: str) -> dict[str, Callable[[Any], Any]]:
    return {name: attrgetter(name) for name in names}


def latest_suppression(profile: Profile, of_list: bool) -> int:
    """When the profile was last suppressed (0: never)."""
    return max((found.timestamp for found in suppressions(profile, of_list)), default=0)


def suppressions(profile: Profile, of_list: bool) -> list[Suppression]:
    """The profile's suppressions by lists, or by the account."""
    return [found for found in profile.suppressions if (found.list_id is not None) == of_list]


class Store:
    """All collections. Take `lock` around a read that must not see a change halfway."""

    def __init__(self, shop: Shop) -> None:
        self.lock = threading.RLock()
        self._numbers = itertools.count(1)
        self.account = shop.account
        self.metrics: Table[Metric] = Table(shop.metrics, _columns("id"))
        self.profiles: Table[Profile] = Table(
            shop.profiles,
            {
                **_columns("id", "created", "updated"),
                "email": lambda row: row.email or "",
                f"{_SUPPRESSED}.suppression.timestamp": lambda row: latest_suppression(row, of_list=False),
                f"{_SUPPRESSED}.list_suppressions.timestamp": lambda row: latest_suppression(row, of_list=True),
            },
        )
        named = _columns("id", "name", "created", "updated")
        self.lists: Table[MailingList] = Table(shop.lists, named)
        self.templates: Table[Template] = Table(shop.templates, named)
        self.campaigns: Table[Campaign] = Table(
            shop.campaigns,
            {
                **_columns("id", "name", "created_at", "updated_at"),
                "scheduled_at": lambda row: row.scheduled_at or 0,
            },
        )
        self.until = shop.until
        self._lazy = Lazy(shop)
        self._records: dict[str, Table[Record]] = {}
        self.events = Events(shop.events)
        self._segment_members: dict[str, Members] | None = None
        self.members: dict[str, Members] = {row.id: Members(shop.members.get(row.id, ())) for row in shop.lists}

    def has_records(self, resource: str) -> bool:
        """Whether the sandbox has records of a type."""
        return resource in self._lazy

    def records(self, resource: str) -> Table[Record]:
        """The records of a type, generated when first asked for."""
        table = self._records.get(resource)
        if table is None:
            with self.lock:
                table = Table(self._lazy.records(resource), RecordOrders())
                self._records[resource] = table
        return table

    def members_of(self, collection: str) -> dict[str, Members]:
        """The members of all lists or segments."""
        if collection == "lists":
            return self.members
        with self.lock:
            if self._segment_members is None:
                joined = self._lazy.segment_members()
                self._segment_members = {row_id: Members(found) for row_id, found in joined.items()}
        return self._segment_members

    def groups_of(self, profile_id: str, collection: str) -> tuple[str, ...]:
        """The lists or segments that a profile is in."""
        return tuple(
            group_id for group_id, members in self.members_of(collection).items() if profile_id in members.joined
        )

    def campaign_message(self, message_id: str) -> tuple[Campaign, Message] | None:
        """A message with its campaign."""
        for campaign in self.campaigns:
            for message in campaign.messages:
                if message.id == message_id:
                    return campaign, message
        return None

    def put(self, collection: str, rows: list[Change]) -> list[str]:
        """Add rows or merge changes into those of the same `id`, and return the ids.

        A row is flat: `{"id": ..., "<attribute>": value}`. Times are ISO 8601; events also take `metric_id`,
        `profile_id`, `timestamp`. A row without an id is new.

        Raises:
            ValueError: for an unknown collection or attribute.
        """
        with self.lock:
            rows = [row if row.get("id") else {**row, "id": self._new_id(collection)} for row in rows]
            if collection == "events":
                self.events.put([changes.event(self.events.get(row["id"]), row) for row in rows])
            elif collection == "profiles":
                self.profiles.put([changes.profile(self.profiles.get(row["id"]), row) for row in rows])
            elif collection in BY_PATH:
                kind = BY_PATH[collection]
                records = self.records(kind.type)
                records.put([changes.record(kind, records.get(row["id"]), row) for row in rows])
                if collection == "segments":
                    for row in rows:
                        self.members_of("segments").setdefault(row["id"], Members())
            else:
                table = self._table(collection)
                table.put([changes.plain(collection, table.get(row["id"]), row) for row in rows])
            if collection == "lists":
                for row in rows:
                    self.members.setdefault(row["id"], Members())
            return [row["id"] for row in rows]

    def _new_id(self, collection: str) -> str:
        number = next(self._numbers)
        if collection == "events":
            return f"new{number:08d}"
        return f"01NEW{number:021d}" if collection in ("profiles", "campaigns") else f"NEW{number:03d}"

    def delete(self, collection: str, row_id: str) -> bool:
        """Remove a row; a profile leaves its lists, while its events stay, as Klaviyo's do."""
        with self.lock:
            if collection == "events":
                return self.events.delete(row_id)
            if collection in BY_PATH:
                if collection == "segments":
                    self.members_of("segments").pop(row_id, None)
                return self.records(BY_PATH[collection].type).delete(row_id)
            if collection == "profiles":
                for group in ("lists", "segments"):
                    for members in self.members_of(group).values():
                        members.remove(row_id)
            if collection == "lists":
                self.members.pop(row_id, None)
            return self._table(collection).delete(row_id)

    def add_members(self, group_id: str, joined: Mapping[str, str], collection: str = "lists") -> None:
        """Let profiles join a list or segment: ISO 8601 time by profile id."""
        with self.lock:
            self.members_of(collection)[group_id].add(
                changes.Member(parse_time(at) // SECOND * SECOND, profile_id) for profile_id, at in joined.items()
            )

    def remove_member(self, group_id: str, profile_id: str, collection: str = "lists") -> bool:
        """Let a profile leave a list or segment."""
        with self.lock:
            return self.members_of(collection)[group_id].remove(profile_id)

    def _table(self, collection: str) -> Table[Any]:
        tables: dict[str, Table[Any]] = {
            "metrics": self.metrics,
            "profiles": self.profiles,
            "lists": self.lists,
            "templates": self.templates,
            "campaigns": self.campaigns,
        }
        if collection not in tables:
            raise no_collection(collection, ("events", *tables, *BY_PATH))
        return tables[collection]


def no_collection(name: str, names: Iterable[str]) -> ValueError:
    """The error about a collection that the sandbox does not have."""
    return ValueError(f"'{name}' is not a collection of the sandbox; there are {', '.join(sorted(names))}")
