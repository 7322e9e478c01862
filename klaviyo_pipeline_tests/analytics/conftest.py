"""A small shop over the end of summer time, loaded and worked up; and loaded tables made by hand."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from klaviyo_pipeline.analytics.assets import build_analytics_assets
from klaviyo_pipeline.analytics.building import build
from klaviyo_pipeline.analytics.more_tables import ALL
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.loads.table import table_of
from klaviyo_pipeline.sandbox.options import SandboxOptions, ServerOptions
from klaviyo_pipeline.sandbox.server import running_sandbox
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.tables import full_name, shape
from klaviyo_pipeline_tests.made_once import made_once
from klaviyo_pipeline_tests.orchestration.conftest import World

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
"""The time zone of the sandbox's account; clocks go back on 2026-10-25."""
DAYS = ("2026-10-01", "2026-11-05")
_SHOP = SandboxOptions(
    seed=11, profiles=60, events=2500, days=8, until="2026-10-28T12:00:00+00:00", lists=4, templates=4, campaigns=12
)
SOURCES_NEEDED = ("events", "metrics", "campaigns", "profiles", "lists", "list_profiles")


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """All of the shop loaded, in storage time zone UTC, and the tables of analytics made. Only to be read."""
    with running_sandbox(_SHOP, ServerOptions(rate_limits=False, keys={"pk_sandbox": frozenset()})) as sandbox:

        def load(folder: Path) -> None:
            world = World(sandbox, folder / "warehouse.duckdb")
            assert world.run(*SOURCES_NEEDED, days=DAYS, extra_assets=tuple(build_analytics_assets())).success

        yield World(sandbox, made_once(tmp_path_factory, "analytics-shop", load) / "warehouse.duckdb")


@dataclass
class Loaded:
    """A database with tables that a test fills."""

    database: Database

    def load(self, source: str, *rows: dict[str, Any], options: frozenset[str] = frozenset({"attributions"})) -> None:
        """Insert rows into the table that a load of the source makes; columns that are left out are null."""
        import pyarrow as pa

        table = table_of(SOURCES[source], "klaviyo", None, options & frozenset(SOURCES[source].option_names))
        names = sorted({name for row in rows for name in row})
        given = pa.table({name: [row.get(name) for row in rows] for name in names})
        with self.database.writing() as con:
            shape(con, table, table.columns)
            con.register("given", given)
            con.execute(f"INSERT INTO {full_name(con, 'klaviyo', source)} BY NAME FROM given")

    def rows(self, table: str, columns: str = "*", zone: ZoneInfo = COPENHAGEN) -> list[tuple[Any, ...]]:
        """Make a table of analytics, and give some of its columns."""
        build(self.database, ALL[table], "klaviyo", zone)
        with self.database.reading() as con:
            return con.execute(f"SELECT {columns} FROM klaviyo_analytics.{table} ORDER BY ALL").fetchall()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Metrics with names that matter, two profiles, a campaign and a list."""
    return made_once(tmp_path_factory, "analytics-template", _fill) / "warehouse.duckdb"


def _fill(folder: Path) -> None:
    made = Loaded(Database(folder / "warehouse.duckdb"))
    names = ["Placed Order", "Refunded Order", "Cancelled Order", "Opened Email", "Received SMS", "Viewed Product"]
    made.load("metrics", *({"id": f"m{number}", "name": name} for number, name in enumerate(names)))
    made.load("profiles", {"id": "p1"}, {"id": "p2"})
    made.load("campaigns", {"id": "c1", "name": "Sale", "status": "Draft", "message_id": "c1m1"})
    made.load("lists", {"id": "l1", "name": "News"})


@pytest.fixture
def loaded(tmp_path: Path, template: Path) -> Loaded:
    """A copy of the template, without events yet."""
    return Loaded(Database(shutil.copy(template, tmp_path / "warehouse.duckdb")))


def event(number: int, metric: str, at: str, properties: str = "{}", **more: Any) -> dict[str, Any]:
    """A row of events: of profile p1, unless another is given; ``at`` is a time in UTC."""
    return {
        "id": f"e{number}",
        "metric_id": metric,
        "profile_id": "p1",
        "datetime": at,
        "event_properties": properties,
        **more,
    }
