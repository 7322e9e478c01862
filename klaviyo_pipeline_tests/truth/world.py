"""A sandbox, a database, and loads between them, without Dagster."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

from klaviyo_pipeline.klaviyo.catalogue.model import FilterBy, Source
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.client.settings import ClientSettings
from klaviyo_pipeline.klaviyo.endpoints.account import Account
from klaviyo_pipeline.loads.destination import Destination
from klaviyo_pipeline.loads.load import Load, run
from klaviyo_pipeline.loads.parts import STAGE_BYTES
from klaviyo_pipeline.loads.request import LoadRequest
from klaviyo_pipeline.orchestration.assets.spec import partition_key_of
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
from klaviyo_pipeline.sandbox.data.rows import Shop
from klaviyo_pipeline.sandbox.data.shop import generate_shop
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.data.times import moment
from klaviyo_pipeline.sandbox.faults.plan import FaultPlan, NoFaults
from klaviyo_pipeline.sandbox.options import SandboxOptions
from klaviyo_pipeline.sandbox.server import RunningSandbox
from klaviyo_pipeline.warehouse.landing import LandingResult
from klaviyo_pipeline.warehouse.parent_rows import ParentRows
from klaviyo_pipeline.warehouse.reading import Selection
from klaviyo_pipeline.warehouse.write_modes import WriteMode
from klaviyo_pipeline_tests import instances

SHOP_ENDS = datetime(2026, 11, 20, tzinfo=UTC)
FIRST_NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
"""When the first run begins; some of the shop's events are dated after it."""
DAYS = [SHOP_ENDS - timedelta(days=number) for number in range(7, -1, -1)]
COLLECTIONS = ("events", "profiles", "lists", "list_profiles", "templates", "campaigns", "metrics")
ACCOUNT = Account("XXYYZZ", "UTC", "USD")
Row = tuple[Any, ...]


def tiny_shop(seed: int) -> Shop:
    """Everything a shop has, in dozens."""
    return generate_shop(
        SandboxOptions(seed, profiles=25, events=45, days=6, until=SHOP_ENDS, lists=3, templates=6, campaigns=9)
    )


@dataclass
class World:
    """One shop behind a sandbox, one new database. The clock moves a minute with every load."""

    sandbox: RunningSandbox
    folder: Path
    revision: str = "2026-07-15"
    connections: int = 3
    retry_limit: int = 7
    api_key: str = "pk_sandbox"
    now: datetime = FIRST_NOW
    stage_bytes: int = STAGE_BYTES
    is_elsewhere: bool = False
    """Whether the destination is that of KLAVIYO_DESTINATION; otherwise it is a file in the folder."""
    runs: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def store(self) -> Store:
        """What is true."""
        return self.sandbox.app.store

    @cached_property
    def duckdb(self) -> KlaviyoDuckDBResource:
        """The destination."""
        return KlaviyoDuckDBResource(
            database="" if self.is_elsewhere else str(self.folder / "warehouse.duckdb"),
            timezone="UTC",
            schema_name="main",
            connection_config={"threads": 1},
        )

    def faults(self, plan: FaultPlan | None = None) -> None:
        """From now on this goes wrong; without a plan nothing."""
        self.sandbox.app.plan_faults(plan or NoFaults())

    def client(self) -> KlaviyoClient:
        """A client as the asset makes it."""
        settings = ClientSettings(max_connections=self.connections, retry_limit=self.retry_limit)
        return KlaviyoClient(self.api_key, settings, revision=self.revision, base_url=self.sandbox.url)

    def load(
        self,
        name: str,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        mode: str | None = None,
        whole: bool = False,
        filter_by: str | None = None,
        days: tuple[datetime, datetime] | None = None,
        options: dict[str, bool] | None = None,
    ) -> LandingResult | None:
        """Fetch and land as the asset does: the whole collection, a window, day partitions, or what is new."""
        source = SOURCES[name]
        request = LoadRequest(
            source=source,
            options=source.choose(**(options or {})),
            start_time=start.isoformat() if start else None,
            end_time=end.isoformat() if end else None,
            filter_by=FilterBy(filter_by) if filter_by else None,
            incremental=not whole,
            write_mode=WriteMode(mode or "merge"),
            partition_key=partition_key_of(source),
            accept_shrink=True,
        )
        load = Load(
            request=request,
            place=self.duckdb.place(Destination(), name),
            run_id=f"run-{next(self.runs)}",
            partition=days,
            parents=self._parents(source),
            stage_bytes=self.stage_bytes,
            now=self.now,
        )
        landed = run(load, self.client(), self.duckdb.staging_area(), ask_account=lambda _client: ACCOUNT)
        self.now += timedelta(minutes=1)
        return landed

    def _parents(self, source: Source) -> ParentRows | None:
        if source.fan_out is None or source.fan_out.key is None:
            return None
        columns, database = source.fan_out.parent_columns, self.duckdb.warehouse()
        return ParentRows(database, Selection(database, "main", "events", columns), columns, source.fan_out.key)

    def sql(self, query: str) -> list[Row]:
        """Rows of a query."""
        if not self.is_elsewhere:
            return instances.rows(self.folder / "warehouse.duckdb", query)
        with self.duckdb.warehouse().reading() as con:
            return con.execute(query).fetchall()

    def table(self, name: str) -> list[Row]:
        """A table's living rows, as `truth` has them, sorted; a row that is there twice is here twice."""
        there = self.columns(name)
        if not there:
            return []
        living = " WHERE _deleted_at IS NULL" if "_deleted_at" in there else ""
        columns = ", ".join(_COMPARED[name])
        return sorted((_plain(row) for row in self.sql(f"SELECT {columns} FROM {name}{living}")), key=repr)

    def columns(self, name: str) -> list[str]:
        """A table's columns; none if there is no such table."""
        if not self.duckdb.warehouse().exists():
            return []
        try:
            return [column for (column,) in self.sql(f"SELECT column_name FROM (DESCRIBE {name}) ORDER BY 1")]
        except duckdb.CatalogException:
            return []

    def table_hash(self, name: str, *, system_columns: bool = True) -> str:
        """A hash of all rows of a table, by default with when and by which run each was loaded."""
        names = [column for column in self.columns(name) if system_columns or not column.startswith("_")]
        chosen = ", ".join(f'"{column}"' for column in names)
        rows = self.sql(f"SELECT {chosen} FROM {name} ORDER BY ALL")
        return hashlib.sha256(repr((names, rows)).encode()).hexdigest()

    def truth(self, name: str, start: datetime | None = None, end: datetime | None = None) -> list[Row]:
        """What the table should have of a window by the source's first time, read past the API; sorted."""
        rows = [row for at, row in _true_rows(self.store, name, self.revision) if _lies_in(at, start, end)]
        return sorted((_plain(row) for row in rows), key=repr)

    def ledger(self) -> list[Row]:
        """The landings so far."""
        name = "klaviyo_pipeline.ledger"
        return self.sql(f"SELECT * FROM {name} ORDER BY ALL") if self.columns(name) else []


_COMPARED: dict[str, tuple[str, ...]] = {
    "events": ("id", "timestamp", "metric_id", "profile_id", "uuid", "event_properties"),
    "profiles": ("id", "email", "created", "updated", "properties"),
    "lists": ("id", "name", "created", "updated"),
    "list_profiles": ("list_id", "profile_id", "joined_group_at", "email", "updated", "properties"),
    "templates": ("id", "name", "html", "created", "updated"),
    "campaigns": ("id", "name", "archived", "created_at", "updated_at"),
    "metrics": ("id", "name", "created", "updated"),
    "event_metrics": ("event_id", "metric_id", "name"),
    "event_profiles": ("event_id", "profile_id", "email"),
}


def _true_rows(store: Store, name: str, revision: str) -> Iterable[tuple[datetime | None, Row]]:
    # Before 2026-07-15 Klaviyo leaves out events whose metric is gone.
    events = [event for event in store.events if revision >= "2026-07-15" or event.metric_id in store.metrics]
    if name == "events":
        for event in events:
            document = json.loads(event.document)
            yield (
                datetime.fromtimestamp(event.timestamp, UTC),
                (
                    event.id,
                    event.timestamp,
                    event.metric_id if event.metric_id in store.metrics else None,
                    event.profile_id if event.profile_id in store.profiles else None,
                    document["uuid"],
                    _canonical(document["event_properties"]),
                ),
            )
    elif name == "profiles":
        for row in store.profiles:
            properties = _canonical(json.loads(row.document)["properties"])
            yield _second(row.updated), (row.id, row.email, _second(row.created), _second(row.updated), properties)
    elif name == "list_profiles":
        for list_id, members in store.members.items():
            for member in members.sorted:
                person = store.profiles.rows[member.profile_id]
                properties = _canonical(json.loads(person.document)["properties"])
                at = _second(member.joined_at)
                yield at, (list_id, person.id, at, person.email, _second(person.updated), properties)
    elif name == "campaigns":
        for row in store.campaigns:
            yield (
                moment(row.updated_at),
                (row.id, row.name, row.archived, moment(row.created_at), moment(row.updated_at)),
            )
    elif name == "event_metrics":
        for event in events:
            metric = store.metrics.get(event.metric_id)
            if metric is not None:
                yield None, (event.id, metric.id, metric.name)
    elif name == "event_profiles":
        for event in events:
            profile = store.profiles.get(event.profile_id)
            if profile is not None:
                yield None, (event.id, profile.id, profile.email)
    else:
        for row in getattr(store, name):
            html = (row.html,) if name == "templates" else ()
            yield _second(row.updated), (row.id, row.name, *html, _second(row.created), _second(row.updated))


def _plain(row: Row) -> Row:
    """A row without what a database may write in other words: JSON by its content, times in UTC."""
    return tuple(
        value.astimezone(UTC)
        if isinstance(value, datetime)
        else _canonical(json.loads(value))
        if isinstance(value, str) and value[:1] in ("{", "[")
        else value
        for value in row
    )


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _second(time_us: int) -> datetime:
    return moment(time_us).replace(microsecond=0)


def _lies_in(at: datetime | None, start: datetime | None, end: datetime | None) -> bool:
    return at is None or ((start is None or at >= start) and (end is None or at < end))
