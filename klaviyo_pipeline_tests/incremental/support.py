"""What the tests of this folder share: times around the present, the ledger, and definitions with their checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from typing import Any

import dagster as dg

from klaviyo_pipeline.loads.destination import Destination
from klaviyo_pipeline.loads.reconciliation import (
    MemberDifference,
    Reconciliation,
    reconcile_events,
    reconcile_members,
)
from klaviyo_pipeline.orchestration.assets.build import build_assets
from klaviyo_pipeline.orchestration.assets.io_manager import KlaviyoDuckDBIOManager
from klaviyo_pipeline.orchestration.automation.schedules import automation_definitions
from klaviyo_pipeline.orchestration.checks.build import build_checks
from klaviyo_pipeline.orchestration.checks.reconciliation import RECONCILIATION_JOB
from klaviyo_pipeline.orchestration.partitions import daily_partitions
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline_tests.orchestration.conftest import World, settings_now

EVERYTHING: dict[str, Any] = {"days": "2026-11-20", "config": {"start_time": "2024-01-01"}}
"""How a partitioned source's whole history is run: one partition, and a start of its own. (Dagster takes seven
seconds to note a thousand partitions.)"""
UNTIL = "2026-11-21T00:00:00+00:00"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def put_event(world: World, at: str, id_: str = "event001") -> str:
    """An event of the shop's first metric and profile at a time."""
    metric, profile = world.truth("metrics")[0]["id"], world.truth("profiles")[0]["id"]
    world.sandbox.store.put("events", [{"id": id_, "datetime": at, "metric_id": metric, "profile_id": profile}])
    return id_


def loads(world: World, source: str) -> list[dict[str, Any]]:
    """What the ledger says of a source's loads, oldest first; times as ISO 8601 in UTC."""
    columns = [
        "window_start",
        "window_end",
        "filter_field",
        "rows_fetched",
        "inserted",
        "updated",
        "deleted",
        "revived",
    ]
    times = "strftime(timezone('UTC', {0}), '%Y-%m-%dT%H:%M:%S.%f+00:00') AS {0}"
    selected = ", ".join(times.format(name) if name.startswith("window") else name for name in columns)
    rows = world.sql(f"SELECT {selected} FROM klaviyo_pipeline.ledger WHERE source = '{source}' ORDER BY entry")
    return [dict(zip(columns, row, strict=True)) for row in rows]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@cache
def _parts(timezone: str, _settings: tuple[tuple[str, str], ...]) -> tuple[list[Any], list[Any], dg.Definitions]:
    """Assets, checks and schedules, built once for each time zone and environment."""
    days = daily_partitions("2024-01-01", timezone)
    return build_assets(days), list(build_checks(days)), automation_definitions(days)


@dataclass
class Project:
    """The project's definitions over a world, with one Dagster instance."""

    world: World
    instance: dg.DagsterInstance = field(default_factory=dg.DagsterInstance.ephemeral)
    revision: str = ""
    jobs: dict[str, dg.JobDefinition] = field(default_factory=dict, repr=False)

    @property
    def klaviyo(self) -> KlaviyoResource:
        return KlaviyoResource(base_url=self.world.sandbox.url, api_key="pk_sandbox", revision=self.revision)

    @property
    def duckdb(self) -> KlaviyoDuckDBResource:
        return KlaviyoDuckDBResource(database=str(self.world.path), timezone=self.world.timezone, lock_timeout_s=20)

    def events_compared(self, *days: date, **given: Any) -> Reconciliation:
        """Events here beside Klaviyo's counts."""
        place = self.duckdb.place(Destination(), "events")
        return reconcile_events(self.klaviyo.client(), place, self.duckdb.staging_area(), *days, **given)

    def members_compared(self, *lists: list[str], **given: Any) -> tuple[MemberDifference, ...]:
        """List members here beside Klaviyo's counts."""
        place = self.duckdb.place(Destination(), "list_profiles")
        return reconcile_members(self.klaviyo.client(), place, self.duckdb.staging_area(), *lists, **given)

    @property
    def definitions(self) -> dg.Definitions:
        assets, checks, automation = _parts(self.world.timezone, settings_now())
        own = dg.Definitions(
            assets=assets,
            asset_checks=checks,
            resources={
                "klaviyo": self.klaviyo,
                "duckdb": self.duckdb,
                "io_manager": KlaviyoDuckDBIOManager(duckdb=self.duckdb),
            },
            executor=dg.in_process_executor,
        )
        return dg.Definitions.merge(own, automation)

    @property
    def job(self) -> dg.JobDefinition:
        asked = repr((self.revision, self.world.timezone, settings_now()))
        if asked not in self.jobs:
            self.jobs[asked] = self.definitions.resolve_implicit_global_asset_job_def()
        return self.jobs[asked]

    def load(self, *sources: str, days: tuple[str, str], config: dict[str, Any] | None = None) -> Any:
        """Materialize assets over a range of days, with their checks."""
        result = self.job.execute_in_process(
            asset_selection=[dg.AssetKey(["klaviyo", source]) for source in sources],
            instance=self.instance,
            tags={"dagster/asset_partition_range_start": days[0], "dagster/asset_partition_range_end": days[1]},
            run_config={
                **QUIET,
                "ops": {f"klaviyo__{source}": {"config": config} for source in sources} if config else {},
            },
            raise_on_error=False,
        )
        assert result.success
        return result

    def compare(self, config: dict[str, Any] | None = None) -> dict[str, Any]:
        """The reconciliation job's check evaluations, by data source."""
        job = self.definitions.resolve_job_def(RECONCILIATION_JOB)
        ops = {"klaviyo_reconciliation_checks": {"config": config}} if config else {}
        result = job.execute_in_process(instance=self.instance, run_config={**QUIET, "ops": ops})
        return {each.asset_key.path[-1]: each for each in result.get_asset_check_evaluations()}


def evaluations(result: Any, name: str) -> dict[str, Any]:
    """A run's evaluations of one check, by data source."""
    return {each.asset_key.path[-1]: each for each in result.get_asset_check_evaluations() if each.check_name == name}
