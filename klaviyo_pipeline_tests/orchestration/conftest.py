"""A small shop in a sandbox, an empty database, and runs of assets against both."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klaviyo_pipeline.orchestration.assets.build import build_assets
from klaviyo_pipeline.orchestration.assets.io_manager import KlaviyoDuckDBIOManager
from klaviyo_pipeline.orchestration.partitions import daily_partitions
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.sandbox.options import SandboxOptions, ServerOptions
from klaviyo_pipeline.sandbox.server import RunningSandbox, running_sandbox
from klaviyo_pipeline_tests import instances

UNTIL = "2026-11-20T12:00:00+00:00"
SHOP = SandboxOptions(seed=7, profiles=120, events=900, days=6, until=UNTIL, lists=4, templates=12, campaigns=14)
FIRST_DAY, LAST_DAY = "2026-11-13", "2026-11-20"
PARTITIONED = ("events", "event_metrics", "event_profiles", "campaigns", "profiles")


@dataclass
class World:
    """A sandbox and a database, and how to run assets between them."""

    sandbox: RunningSandbox
    path: Path
    timezone: str = "UTC"
    jobs: dict[str, dg.JobDefinition] = field(default_factory=dict, repr=False)

    def run(
        self,
        *sources: str,
        days: tuple[str, str] | str | None = None,
        config: dict[str, Any] | None = None,
        klaviyo: dict[str, Any] | None = None,
        extra_assets: tuple[Any, ...] = (),
        io_manager: dict[str, Any] | None = None,
        checks: dict[str, Any] | None = None,
        log_level: str = "ERROR",
        tags: dict[str, str] | None = None,
        of_run: dict[str, Any] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Materialize assets; ``config`` is that of each, ``checks`` that of checks by name, ``of_run`` that of all.

        Does not raise: look at ``success``.
        """
        tags = dict(tags or {})
        if isinstance(days, tuple):
            tags |= {"dagster/asset_partition_range_start": days[0], "dagster/asset_partition_range_end": days[1]}
        return self._job(sources, extra_assets, klaviyo or {}, io_manager or {}).execute_in_process(
            partition_key=days if isinstance(days, str) else None,
            tags=tags,
            run_config={
                "ops": {
                    **({f"klaviyo__{source}": {"config": config} for source in sources} if config else {}),
                    **{name: {"config": of_check} for name, of_check in (checks or {}).items()},
                },
                "loggers": {"console": {"config": {"log_level": log_level}}},
                **({"resources": {"klaviyo_load": {"config": of_run}}} if of_run else {}),
            },
            raise_on_error=False,
            instance=instances.of_dagster(),
        )

    def _job(
        self, sources: tuple[str, ...], extra_assets: tuple[Any, ...], klaviyo: dict[str, Any], io_manager: Any
    ) -> dg.JobDefinition:
        """As `dg.materialize` makes it for each run, but once for runs of the same assets with the same settings."""
        settings = settings_now()
        about = self.sandbox.url, str(self.path), self.timezone, settings
        asked = repr((sources, [id(each) for each in extra_assets], klaviyo, io_manager, about))
        if asked not in self.jobs:
            database = KlaviyoDuckDBResource(database=str(self.path), timezone=self.timezone, lock_timeout_s=20)
            names = [dg.AssetKey(["klaviyo", source]) for source in sources]
            selection = dg.AssetSelection.assets(*names, *(key for each in extra_assets for key in each.keys))
            account = {"base_url": self.sandbox.url, "api_key": "pk_sandbox", **klaviyo}
            definitions = dg.Definitions(
                jobs=[dg.define_asset_job("run", selection)],
                assets=[*_assets(self.timezone, settings), *extra_assets],
                resources={
                    "klaviyo": KlaviyoResource(**account),
                    "duckdb": database,
                    "io_manager": KlaviyoDuckDBIOManager(duckdb=database, **io_manager),
                },
            )
            self.jobs[asked] = definitions.resolve_job_def("run")
        return self.jobs[asked]

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of a query on the database."""
        return instances.rows(self.path, query)

    def column(self, query: str) -> list[Any]:
        """The first column of a query's rows."""
        return [row[0] for row in self.sql(query)]

    def state(self) -> dict[str, list[tuple[Any, ...]]]:
        """All tables' rows, sorted: equal before and after means that nothing was touched."""
        if not self.path.exists():
            return {}
        tables = self.sql(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_name <> 'ledger' ORDER BY ALL"
        )
        return {f"{schema}.{name}": self.sql(f'FROM "{schema}"."{name}" ORDER BY ALL') for schema, name in tables}

    def truth(self, collection: str, since: str | None = None, until: str | None = None) -> list[dict[str, Any]]:
        """What the sandbox has of a collection."""
        from klaviyo_pipeline.sandbox.admin import truth

        return truth(self.sandbox.store, collection, since, until)

    def ids(self, collection: str, since: str | None = None, until: str | None = None) -> list[str]:
        """Sorted ids of what the sandbox has."""
        return sorted(row["id"] for row in self.truth(collection, since, until))


@cache
def _assets(timezone: str, _settings: tuple[tuple[str, str], ...]) -> tuple[dg.AssetsDefinition, ...]:
    """The assets, built once for each time zone and environment."""
    return tuple(build_assets(daily_partitions("2024-01-01", timezone)))


def settings_now() -> tuple[tuple[str, str], ...]:
    """The environment variables that definitions may depend on."""
    return tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("KLAVIYO_")))


def failure_text(result: dg.ExecuteInProcessResult) -> str:
    """What a failed run says."""
    failed = [event for event in result.all_events if event.is_step_failure]
    assert failed, "the run did not fail"
    data = failed[0].step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return data.user_failure_data.description
    error = data.error
    while error.cause is not None:
        error = error.cause
    return error.message


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("KLAVIYO_API_KEY", "KLAVIYO_BASE_URL", "KLAVIYO_REVISION", "KLAVIYO_TIMEZONE", "KLAVIYO_SCHEMA"):
        monkeypatch.delenv(name, raising=False)
    keys = {
        "pk_sandbox": frozenset[str](),
        "pk_another": frozenset[str](),
        "pk_events_only": frozenset({"events:read"}),
    }
    with running_sandbox(SHOP, ServerOptions(rate_limits=False, keys=keys)) as sandbox:
        yield World(sandbox, tmp_path / "warehouse.duckdb")
