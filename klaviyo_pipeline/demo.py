"""The main job, shown: all nine data sources into a DuckDB file, and a table of what landed."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import dagster as dg

from klaviyo_pipeline.klaviyo.sources import SOURCES, Source
from klaviyo_pipeline.orchestration import environment
from klaviyo_pipeline.orchestration.assets import asset_key
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource

if TYPE_CHECKING:
    from klaviyo_pipeline.sandbox.server import SandboxProcess

_RANGE_START, _RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@dataclass(frozen=True)
class DemoRow:
    """One line of the demo's summary: a table, what landed in it, and what the sandbox has."""

    table: str
    rows: int
    ids: int
    expected: int | None
    seconds: float

    @property
    def is_right(self) -> bool:
        """Whether each row is there, and once."""
        return self.rows == self.ids and self.expected in {None, self.rows}


@contextlib.contextmanager
def klaviyo_or_sandbox() -> Iterator[SandboxProcess | None]:
    """Leaves the environment alone if it names a Klaviyo account; otherwise starts a sandbox, and points to it."""
    if environment.API_KEY.value:
        yield None
        return
    from klaviyo_pipeline.sandbox.server import sandbox_process

    with sandbox_process() as sandbox:
        given = {environment.API_KEY.name: sandbox.api_key, environment.BASE_URL.name: sandbox.url}
        os.environ.update(given)
        try:
            yield sandbox
        finally:
            for name in given:
                del os.environ[name]


@dataclass(frozen=True)
class DemoTable:
    """A table of analytics that the demo made: its name as SQL knows it, and its rows."""

    name: str
    rows: int


def run_demo(days: int, sandbox: SandboxProcess | None) -> list[DemoRow]:
    """Materialize the nine assets for the last so many days, those of analytics too, and count what landed.

    Raises:
        dagster.DagsterError, dagster.Failure: if an asset could not be loaded.
    """
    from klaviyo_pipeline.definitions import defs

    duckdb = KlaviyoDuckDBResource()
    today = datetime.now(duckdb.zone).date()
    first = today - timedelta(days=days)
    instance = dg.DagsterInstance.get() if os.environ.get("DAGSTER_HOME") else dg.DagsterInstance.ephemeral()
    with instance:
        result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance,
            tags={_RANGE_START: first.isoformat(), _RANGE_END: today.isoformat()},
            run_config={"loggers": {"console": {"config": {"log_level": "WARNING"}}}},
        )
    seconds = {
        event.step_key: event.step_success_data.duration_ms / 1000
        for event in result.all_events
        if event.is_step_success and event.step_key
    }
    window = (
        datetime.combine(first, datetime.min.time(), duckdb.zone),
        datetime.combine(today + timedelta(days=1), datetime.min.time(), duckdb.zone),
    )
    rows = []
    with duckdb.warehouse().reading() as connection:
        for source in SOURCES.values():
            counted = connection.execute(
                f'SELECT count(*), count(DISTINCT id) FROM "{_schema(connection, duckdb)}"."{source.name}"'
            ).fetchone()
            assert counted is not None
            expected = len(_truth(sandbox, source, window)) if sandbox is not None else None
            step = "__".join(asset_key(source).path)
            rows.append(DemoRow(source.name, counted[0], counted[1], expected, seconds.get(step, 0.0)))
    return rows


def analytics_made() -> list[DemoTable]:
    """The tables of analytics, and how much is in them."""
    from klaviyo_pipeline.analytics.building import analytics_schema
    from klaviyo_pipeline.analytics.tables import TABLES
    from klaviyo_pipeline.warehouse.tables import full_name

    duckdb = KlaviyoDuckDBResource()
    schema = analytics_schema(duckdb.schema_or_default)
    made = []
    with duckdb.warehouse().reading() as connection:
        for table in TABLES.values():
            counted = connection.execute(f"SELECT count(*) FROM {full_name(connection, schema, table.name)}").fetchone()
            assert counted is not None
            made.append(DemoTable(f"{schema}.{table.name}", counted[0]))
    return made


def _schema(connection: Any, duckdb: KlaviyoDuckDBResource) -> str:  # noqa: ANN401
    from klaviyo_pipeline.warehouse.tables import resolve_schema

    return resolve_schema(connection, duckdb.schema_or_default)


def _truth(sandbox: SandboxProcess, source: Source, window: tuple[datetime, datetime]) -> list[Any]:
    """What the sandbox has of a source, in the window if it is partitioned."""
    collection, wanted = source.name, None
    if source.fan_out is not None:
        collection = "members" if source.fan_out.parent == "lists" else source.fan_out.parent
        wanted = source.fan_out.key
    query = ""
    if source.partitioned_by_day:
        since, until = (each.astimezone(UTC).isoformat() for each in window)
        query = "?" + urlencode({"since": since, "until": until})
    rows: list[Any] = sandbox.admin("GET", f"truth/{collection}{query}")
    return [row for row in rows if wanted is None or row[wanted]]


def timed(started: float) -> str:
    """How long ago that was, for people."""
    return f"{time.monotonic() - started:.0f} s"
