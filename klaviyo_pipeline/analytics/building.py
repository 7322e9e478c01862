"""Builds the analytics tables: copies changed days, works in a file beside the database, and swaps the rows in.

A build holds the database only for moments: to compare the fingerprints of days, to copy the days that differ, and to
swap the new rows in. No row passes through Python.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from klaviyo_pipeline import clock
from klaviyo_pipeline.analytics.kept import Kept, opened
from klaviyo_pipeline.analytics.loaded import Fingerprints, Loaded, missing_sources
from klaviyo_pipeline.analytics.tables import UNREADABLE, AnalyticsTable
from klaviyo_pipeline.warehouse.interface import Warehouse, transaction
from klaviyo_pipeline.warehouse.ledger import LEDGER, entries
from klaviyo_pipeline.warehouse.sql import quote
from klaviyo_pipeline.warehouse.tables import Column, Table, existing_columns, full_name, shape, typed_path

if TYPE_CHECKING:
    import duckdb

ROUNDS = 5
"""How often a build starts over because a load landed meanwhile, before it keeps loads waiting."""
CHUNK_ROWS = 250_000
"""How many rows are copied while the database is held once."""
_GAP_ROWS = 20_000
"""Days between two changed ones are copied too if they have no more rows: one query is cheaper than two."""
BUILDS = Table(
    LEDGER.schema,
    "analytics_builds",
    (
        Column("table_name", "VARCHAR", "The table of analytics as schema.name"),
        Column("build", "VARCHAR", "The build that last changed it"),
        Column("built_at", "TIMESTAMPTZ", "When that was"),
        Column("total_rows", "BIGINT", "Rows that it had then"),
    ),
    comment="Which build of each table of analytics is in this database",
)


@dataclass
class Built:
    """The result of a build.

    ``table_path`` is the table as a person can type it. ``holds`` says how long the database was held each time, in
    seconds. ``days`` counts the days that it built. ``unreadable_values`` counts events whose ``$value`` is no
    amount; None for a table that does not count them.
    """

    table_path: str
    rows: int
    duration_s: float
    holds: list[float]
    days: int
    unreadable_values: int | None = None


def analytics_schema(schema: str) -> str:
    """The schema of analytics, beside the schema of the loaded tables."""
    return f"{schema}_analytics"


def build(database: Warehouse, table: AnalyticsTable, schema: str, zone: ZoneInfo) -> Built:
    """Update a table from the loaded tables. A reader sees the old rows or the new ones.

    Builds the days that changed since the last build, or all days if nothing of it was kept.

    Args:
        database: The database.
        table: The table to build; it goes to the schema ``analytics_schema(schema)``.
        schema: The schema of the loaded tables.
        zone: The account's time zone: where days begin.

    Raises:
        TableMissingError: if a table that it reads has not been loaded.
        WarehouseError: if the database cannot be read or written. The table is unchanged.
    """
    if not database.exists():
        raise missing_sources(table, schema, table.made_from)
    with opened(database, table, schema, zone) as kept:
        making = _Making(database, table, schema, zone, kept)
        for _ in range(ROUNDS):
            built = making.attempt(making.reading, making.writing)
            if built:
                return built
        with making.writing() as con:
            built = making.attempt(lambda: nullcontext(con), lambda: nullcontext(con))
        if built is None:
            raise RuntimeError("A build that held the database was overtaken.")
        return built


Session = Callable[[], "AbstractContextManager[duckdb.DuckDBPyConnection]"]


class _Run(NamedTuple):
    """Days of a loaded table to copy at once, both included; None for its rows without a time."""

    source: str
    first: date | None
    last: date | None
    rows: int


@dataclass
class _Making:
    """One build at work."""

    database: Warehouse
    table: AnalyticsTable
    schema: str
    zone: ZoneInfo
    kept: Kept
    began: float = field(default_factory=time.monotonic)
    holds: list[float] = field(default_factory=list)
    days: int = 0

    def attempt(self, reading: Session, writing: Session) -> Built | None:
        """Copy the changed days, build the rows, and swap them in; None if a load landed meanwhile."""
        position = self._catch_up(reading)
        with reading() as con:
            current = self._is_current(con)
            if current and self.kept.is_settled:
                return self._built(con)
        self.kept.make(whole=not current)
        with writing() as con:
            if entries(con) != position or self._is_current(con) != current:
                return None
            self._swap_in(con, whole=not current)
            return self._built(con)

    def reading(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A session that reads the database. Records how long it holds the database."""
        return self._timed(self.database.reading())

    def writing(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A session that writes the database. Records how long it holds the database."""
        return self._timed(self.database.writing())

    @contextmanager
    def _timed(self, session: AbstractContextManager[duckdb.DuckDBPyConnection]) -> Iterator[duckdb.DuckDBPyConnection]:
        with ExitStack() as stack:
            con = stack.enter_context(session)
            began = time.monotonic()
            yield con
        self.holds.append(time.monotonic() - began)

    def _catch_up(self, session: Session) -> int:
        """Copy the changed days, one chunk in each session. Returns how many entries the ledger had."""
        position, runs = -1, list[_Run]()
        while True:
            with session() as con:
                loaded = Loaded(con, self.table, self.schema, self.zone)
                if entries(con) != position:
                    position = entries(con)
                    for step in self.table.steps:
                        if self.kept.lacks(step):
                            self.kept.prepare(step, loaded.rows(f"FROM ({step.sql}) LIMIT 0"))
                        if not step.by_day:
                            self.kept.replace_whole(step, loaded.rows(step.sql))
                    runs = self._stale(loaded)
                copied = 0
                while runs and copied < CHUNK_ROWS:
                    run = runs.pop()
                    copied += run.rows
                    self._copy(loaded, run)
            if not runs:
                return position

    def _stale(self, loaded: Loaded) -> list[_Run]:
        """The days whose rows have changed since they were copied."""
        before = self.kept.roles
        if before != loaded.roles:
            changed = [
                each for each in before.keys() | loaded.roles.keys() if before.get(each) != loaded.roles.get(each)
            ]
            self.kept.change_roles(loaded.roles, loaded.days_of_metrics(changed))
        runs = []
        for source in dict.fromkeys(step.source for step in self.table.steps if step.by_day):
            runs += _runs(source, self.kept.fingerprints(source), loaded.fingerprints(source))
        return runs

    def _copy(self, loaded: Loaded, run: _Run) -> None:
        steps = [step for step in self.table.steps if step.by_day and step.source == run.source]
        loaded.show_days(run.source, run.first, run.last)
        found = loaded.fingerprints(run.source)
        came = ((step, loaded.rows(step.sql)) for step in steps)
        self.kept.replace_days(run.source, run.first, run.last, came, found)
        loaded.show_all(run.source)
        self.days += len(found)

    def _is_current(self, con: duckdb.DuckDBPyConnection) -> bool:
        """Whether the table is unchanged since the last build, so that the build swaps in only changes."""
        build = self.kept.noted("build")
        there = (BUILDS, self._declared)
        if build is None or not all(existing_columns(con, each.schema, each.name) for each in there):
            return False
        builds, made = (full_name(con, each.schema, each.name) for each in there)
        found = con.execute(
            f"SELECT build, total_rows = (SELECT count(*) FROM {made}) FROM {builds} WHERE table_name = ?",
            [self._declared.plain_name],
        ).fetchall()
        return found == [(build, True)]

    def _swap_in(self, con: duckdb.DuckDBPyConnection, *, whole: bool) -> None:
        """Replace the built rows, in one transaction."""
        declared, key = self._declared, self.table.key[0]
        whole = whole or self.table.part is not None or self.table.part_key is None
        build = uuid.uuid4().hex
        with transaction(con):
            shape(con, declared, declared.columns)
            target = full_name(con, declared.schema, declared.name)
            if whole:
                con.execute(f"DELETE FROM {target}")
            else:
                con.register("_scope", self.kept.rows("scope"))
                con.execute(f"DELETE FROM {target} WHERE {quote(key)} IN (SELECT key FROM _scope)")
                con.unregister("_scope")
            con.register("_fresh", self.kept.rows("fresh"))
            con.execute(f"INSERT INTO {target} BY NAME FROM _fresh")
            con.unregister("_fresh")
            self._stamp(con, build, target)
        self.kept.settle(build)

    def _stamp(self, con: duckdb.DuckDBPyConnection, build: str, target: str) -> None:
        shape(con, BUILDS, BUILDS.columns)
        builds, name = full_name(con, BUILDS.schema, BUILDS.name), self._declared.plain_name
        con.execute(f"DELETE FROM {builds} WHERE table_name = ?", [name])
        con.execute(f"INSERT INTO {builds} SELECT ?, ?, ?, count(*) FROM {target}", [name, build, clock.now()])

    @property
    def _declared(self) -> Table:
        table = self.table
        return Table(analytics_schema(self.schema), table.name, table.columns, (), table.description.split("\n")[0])

    def _built(self, con: duckdb.DuckDBPyConnection) -> Built:
        counts_unreadable = any(column.name == UNREADABLE for column in self.table.columns)
        unreadable = f"coalesce(sum({UNREADABLE}), 0)::BIGINT" if counts_unreadable else "NULL"
        target = full_name(con, self._declared.schema, self._declared.name)
        rows, unread = con.execute(f"SELECT count(*), {unreadable} FROM {target}").fetchall()[0]
        return Built(
            typed_path(con, self._declared), rows, time.monotonic() - self.began, self.holds, self.days, unread
        )


def _runs(source: str, kept: Fingerprints, now: Fingerprints) -> list[_Run]:
    """The days that differ, in order and in runs of at most ``CHUNK_ROWS`` rows, the last run first."""
    stale = {day for day in kept.keys() | now.keys() if kept.get(day) != now.get(day)}
    runs = [_Run(source, None, None, now[None].rows if None in now else 0)] if None in stale else []
    first: date | None = None
    last, rows, gap = first, 0, 0
    for day in sorted(day for day in kept.keys() | now.keys() if day is not None):
        here = now[day].rows if day in now else 0
        if first is not None and (gap > _GAP_ROWS or rows + gap + here > CHUNK_ROWS):
            runs.append(_Run(source, first, last, rows))
            first, rows, gap = None, 0, 0
        if day in stale:
            first, last, rows, gap = first or day, day, rows + gap + here, 0
        elif first is not None:
            gap += here
    if first is not None:
        runs.append(_Run(source, first, last, rows))
    return runs[::-1]
