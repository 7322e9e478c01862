"""Shops of several brands, a klaviyo.yml that names them, and the project that it makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from klaviyo_pipeline.accounts.parts import project_accounts
from klaviyo_pipeline.built_in import project_definitions
from klaviyo_pipeline.sandbox.options import SandboxOptions
from klaviyo_pipeline.sandbox.server import RunningSandbox, running_sandbox
from klaviyo_pipeline_tests.orchestration.conftest import FIRST_DAY, LAST_DAY, UNTIL

SHOPS = {
    name: SandboxOptions(seed=seed, profiles=25, events=120, days=6, until=UNTIL, lists=seed, templates=3, campaigns=4)
    for name, seed in {"us": 2, "uk": 3, "fr": 4}.items()
}
DAYS = {"dagster/asset_partition_range_start": FIRST_DAY, "dagster/asset_partition_range_end": LAST_DAY}
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class Brands:
    """The shops, and a folder with klaviyo.yml and the database of all accounts."""

    folder: Path
    shops: Mapping[str, RunningSandbox]
    instance: dg.DagsterInstance

    @property
    def database(self) -> Path:
        return self.folder / "brands.duckdb"

    def name(self, accounts: Mapping[str, str], more: str = "") -> None:
        """Write klaviyo.yml: accounts with their further keys in YAML's flow style."""
        lines = [
            f"  {name}: {{api_key_env: {name.upper()}_KEY, base_url: {self.shops[name].url}, timezone: UTC, "
            f"first_day: 2026-11-01{given}}}"
            for name, given in accounts.items()
        ]
        (self.folder / "klaviyo.yml").write_text("\n".join(["accounts:", *lines, more]))

    @property
    def definitions(self) -> dg.Definitions:
        """The project's definitions, as a reload of the code location reads them."""
        return project_definitions(project_accounts())

    def run(
        self,
        definitions: dg.Definitions,
        keys: Sequence[str] = (),
        *,
        job: str = "",
        config: Any = None,
        tags: Any = None,
    ) -> dg.ExecuteInProcessResult:
        """Run a job, or materialize assets, whose keys are written with slashes."""
        found = definitions.resolve_job_def(job) if job else definitions.resolve_implicit_global_asset_job_def()
        return found.execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(key.split("/")) for key in keys] or None,
            run_config={**QUIET, "ops": config or {}},
            tags=tags,
        )

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.database), read_only=True) as con:
            return con.execute(query).fetchall()


def fetched(result: dg.ExecuteInProcessResult) -> dict[str, int]:
    """How many rows a run fetched, by asset."""
    return {
        event.asset_key.to_user_string(): int(event.materialization.metadata["rows_fetched"].value)
        for event in result.get_asset_materialization_events()
        if event.asset_key and "rows_fetched" in event.materialization.metadata
    }


@contextmanager
def brands_in(folder: Path) -> Iterator[Brands]:
    """The shops, and an environment in which nothing but their keys is set."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        shops = {name: stack.enter_context(running_sandbox(shop)) for name, shop in SHOPS.items()}
        for name, shop in shops.items():
            patch.setenv(f"{name.upper()}_KEY", shop.api_key)
        patch.delenv("KLAVIYO_API_KEY", raising=False)
        patch.setenv("KLAVIYO_DUCKDB_PATH", str(folder / "brands.duckdb"))
        patch.setenv("KLAVIYO_ACCOUNTS", str(folder / "klaviyo.yml"))
        instance = stack.enter_context(dg.DagsterInstance.ephemeral())
        yield Brands(folder, shops, instance)
