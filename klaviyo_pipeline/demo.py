"""The demo: loads the data sources into a DuckDB file and counts the landed rows."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import dagster as dg

from klaviyo_pipeline import clock, environment
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.catalogue.registry import CORE, DEFAULT, SOURCES
from klaviyo_pipeline.orchestration import dagster_home
from klaviyo_pipeline.orchestration.assets.build import asset_key, partition_key_of
from klaviyo_pipeline.orchestration.own_runs import execute_here
from klaviyo_pipeline.orchestration.partitions import range_tags
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
from klaviyo_pipeline.orchestration.skipping import skipped_in
from klaviyo_pipeline.overview import OVERVIEW

if TYPE_CHECKING:
    from klaviyo_pipeline.sandbox.server import SandboxProcess
    from klaviyo_pipeline.warehouse.interface import Warehouse

Range = tuple[datetime, datetime]
DAYS = 365
"""Days of history that the demo loads."""


@dataclass(frozen=True)
class DemoRow:
    """One line of the demo's summary: a table, its rows in the days of the run, and the sandbox's rows."""

    table: str
    rows: int
    ids: int
    expected: int | None
    seconds: float

    @property
    def is_right(self) -> bool:
        """Whether the table has each row once."""
        return self.rows == self.ids and self.expected in {None, self.rows}


@dataclass(frozen=True)
class DemoRun:
    """The result of the demo: its days, and the seconds of each part."""

    rows: list[DemoRow]
    first: date
    last: date
    seconds: dict[str, float]


@dataclass(frozen=True)
class DemoTable:
    """An analytics table that the demo built: its name in SQL, and its number of rows."""

    name: str
    rows: int


@contextlib.contextmanager
def klaviyo_or_sandbox(days: int = DAYS) -> Iterator[SandboxProcess | None]:
    """Starts a sandbox and sets the environment to it, unless the environment names a Klaviyo account.

    The sandbox has the data whose rows the database has. For a new database, its history ends now. Unless the
    environment says when partitions begin, they begin with the days to load, or with earlier ones that have landed.

    Raises:
        MixedRowsError: the database has a sandbox's rows and the environment names an account, or the reverse.
    """
    from klaviyo_pipeline.warehouse.sandbox_rows import Origin, check_apart, remembered_end

    database = KlaviyoDuckDBResource().warehouse()
    if environment.API_KEY.value:
        check_apart(database, Origin(environment.sandbox_end(environment.BASE_URL.value)))
        yield None
        return
    from klaviyo_pipeline.sandbox.server import sandbox_process

    end = remembered_end(database) or clock.now().replace(minute=0, second=0, microsecond=0)
    with sandbox_process("--until", end.isoformat()) as sandbox:
        given = {
            environment.API_KEY.name: sandbox.api_key,
            environment.BASE_URL.name: sandbox.url,
            environment.SANDBOX_END.name: end.isoformat(),
        }
        if not os.environ.get(environment.PARTITION_START.name, "").strip():
            given[environment.PARTITION_START.name] = _first_day(database, end, days).isoformat()
        before = {name: os.environ.get(name) for name in given}
        os.environ.update(given)
        try:
            yield sandbox
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def _first_day(database: Warehouse, end: datetime, days: int) -> date:
    from klaviyo_pipeline.warehouse.errors import DatabaseMissingError
    from klaviyo_pipeline.warehouse.latest_loads import first_day_loaded

    zone = KlaviyoDuckDBResource().zone
    first = end.astimezone(zone).date() - timedelta(days=days)
    with contextlib.suppress(DatabaseMissingError), database.reading() as con:
        if landed := first_day_loaded(con):
            return min(first, landed.astimezone(zone).date())
    return first


def run_demo(days: int, sandbox: SandboxProcess | None) -> DemoRun:
    """Materialize the assets of the data sources and of analytics, then those about them; count the landed rows.

    The days end today, or at the end of the sandbox's history, so that a second run of the same sandbox loads the
    same days at any time.

    Raises:
        dagster.DagsterError, dagster.Failure: if the load of an asset failed.
    """
    from klaviyo_pipeline.definitions import defs

    duckdb = KlaviyoDuckDBResource()
    now = clock.now()
    end = environment.sandbox_end(environment.BASE_URL.value) or now
    last = min(end, now).astimezone(duckdb.zone).date()
    first = last - timedelta(days=days)
    started = time.monotonic()
    quiet = {"loggers": {"console": {"config": {"log_level": "WARNING"}}}}
    job, about = defs.resolve_implicit_global_asset_job_def(), [dg.AssetKey(name) for name in OVERVIEW]
    loaded = [key for key in job.asset_layer.executable_asset_keys if key not in about]
    with dagster_home.instance() as instance:
        result = execute_here(job, instance, asset_selection=loaded, tags=range_tags(first, last), run_config=quiet)
        run_s = time.monotonic() - started
        execute_here(job, instance, asset_selection=about, run_config=quiet)
    skipped = skipped_in(result)
    steps = {
        event.step_key: event.step_success_data.duration_ms / 1000
        for event in result.all_events
        if event.is_step_success and event.step_key
    }
    window = (
        datetime.combine(first, datetime.min.time(), duckdb.zone),
        datetime.combine(last + timedelta(days=1), datetime.min.time(), duckdb.zone),
    )
    rows = []
    with duckdb.warehouse().reading() as connection:
        for source in (SOURCES[name] for name in environment.sources() if name not in skipped):
            counted, ids = _landed(connection, duckdb, source, window)
            expected = None
            if sandbox is not None and source.name in DEFAULT:
                expected = len(_truth(sandbox, source, window))
            taken = steps.get("__".join(asset_key(source).path), 0.0)
            rows.append(DemoRow(source.name, counted, ids, expected, taken))
    return DemoRun(rows, first, last, _parts(steps, run_s, rows))


def analytics_made() -> list[DemoTable]:
    """The analytics tables with their numbers of rows."""
    from klaviyo_pipeline.analytics.building import analytics_schema
    from klaviyo_pipeline.analytics.more_tables import tables_of
    from klaviyo_pipeline.warehouse.tables import full_name

    duckdb = KlaviyoDuckDBResource()
    schema = analytics_schema(duckdb.schema_or_default)
    made = []
    with duckdb.warehouse().reading() as connection:
        for table in tables_of(environment.sources()).values():
            counted = connection.execute(f"SELECT count(*) FROM {full_name(connection, schema, table.name)}").fetchone()
            assert counted is not None
            made.append(DemoTable(f"{schema}.{table.name}", counted[0]))
    return made


def _parts(steps: dict[str, float], run_s: float, rows: list[DemoRow]) -> dict[str, float]:
    """The seconds of each part of a run. Dagster's share is the rest."""
    sources_s = sum(row.seconds for row in rows)
    analytics_s = sum(taken for step, taken in steps.items() if step.startswith("klaviyo_analytics__"))
    steps_s = sum(steps.values())
    return {
        "the data sources": sources_s,
        "the tables of analytics": analytics_s,
        "checks": steps_s - sources_s - analytics_s,
        "Dagster between these steps": run_s - steps_s,
    }


def _landed(connection: Any, duckdb: KlaviyoDuckDBResource, source: Source, window: Range) -> tuple[int, int]:  # noqa: ANN401
    """A table's rows and distinct ids, in the window if the source is partitioned."""
    from klaviyo_pipeline.warehouse.sql import quote
    from klaviyo_pipeline.warehouse.tables import full_name

    query = f"SELECT count(*), count(DISTINCT id) FROM {full_name(connection, duckdb.schema_or_default, source.name)}"
    key = partition_key_of(source)
    if key is None:
        counted = connection.execute(query).fetchone()
    else:
        counted = connection.execute(f"{query} WHERE {quote(key)} >= ? AND {quote(key)} < ?", window).fetchone()
    assert counted is not None
    return counted[0], counted[1]


def _truth(sandbox: SandboxProcess, source: Source, window: Range) -> list[Any]:
    """The sandbox's rows of a source, in the window if it is partitioned."""
    if source.name == "accounts":
        return [None]  # every account is one
    collection, wanted = source.name if source.name in CORE else source.path.removeprefix("/api/"), None
    if source.child is not None:
        collection = source.name.replace("_", "-")
    if source.fan_out is not None:
        collection = "members" if source.fan_out.parent == "lists" else source.fan_out.parent
        wanted = source.fan_out.key
    query = ""
    if source.partitioned_by_day:
        since, until = (each.astimezone(UTC).isoformat() for each in window)
        query = "?" + urlencode({"since": since, "until": until})
    rows: list[Any] = sandbox.admin("GET", f"truth/{collection}{query}")
    return [row for row in rows if wanted is None or row[wanted]]
