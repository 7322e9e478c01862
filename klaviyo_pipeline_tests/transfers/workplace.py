"""An empty folder to work in, a small shop in a sandbox, and short ways to the commands and the tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from klaviyo_pipeline.loads.load import run as load_and_land
from klaviyo_pipeline.orchestration.assets.build import load_of
from klaviyo_pipeline.orchestration.assets.config import config_class
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.sandbox.options import SandboxOptions, ServerOptions
from klaviyo_pipeline.sandbox.server import RunningSandbox, running_sandbox
from klaviyo_pipeline.transfers.file.json_schema import json_schema
from klaviyo_pipeline.transfers.file.reading import TransferFile
from klaviyo_pipeline.transfers.folder import Folder
from klaviyo_pipeline.transfers.loading import spec_of
from klaviyo_pipeline.transfers.running import RunOutcome, run
from klaviyo_pipeline.warehouse.landing import LandingResult
from klaviyo_pipeline_tests import instances

UNTIL = "2026-09-20T12:00:00+00:00"
SHOP = SandboxOptions(seed=5, profiles=40, events=150, days=5, until=UNTIL, lists=4, templates=6, campaigns=6)
KEYS = {
    "pk_sandbox": frozenset[str](),
    "xxx": frozenset[str](),
    "pk_lists_only": frozenset({"lists:read", "accounts:read"}),
}
EXAMPLE = """\
in:
  type: klaviyo
  data_source: lists
  api_token: xxx
  revision_time: "2022-12-17"
  incremental: true
  start_time: "2023-06-01T17:06:39.698883"
  incremental_field: updated
out:
  mode: append
"""
_VARIABLES = [
    "KLAVIYO_API_KEY",
    "KLAVIYO_BASE_URL",
    "KLAVIYO_REVISION",
    "KLAVIYO_TIMEZONE",
    "KLAVIYO_SCHEMA",
    "KLAVIYO_DUCKDB_PATH",
    "KLAVIYO_TRANSFERS_DIR",
    "KLAVIYO_STAGING_DIR",
    "KLAVIYO_AUTHENTICATIONS",
    "DAGSTER_HOME",
    "KLAVIYO_DEBUG",
    "KLAVIYO_PROGRESS",
]


@dataclass
class Workplace:
    """The current folder of a test."""

    root: Path
    sandbox: RunningSandbox

    def cli(self, *arguments: str, exit_code: int | None = 0) -> Result:
        """Run a command, and expect an exit code (None: any)."""
        from klaviyo_pipeline.cli import main

        result = CliRunner().invoke(main, list(arguments), catch_exceptions=True)
        if exit_code is not None:
            assert result.exit_code == exit_code, (arguments, result.output, result.exception)
        return result

    def json(self, *arguments: str, exit_code: int = 0) -> Any:
        """What a command prints as JSON."""
        return json.loads(self.cli(*arguments, "--json", exit_code=exit_code).stdout)

    def write(self, name: str, text: str) -> Path:
        """A transfer's file."""
        path = self.root / "transfers" / f"{name}.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    def run(self, name: str, **window: str) -> RunOutcome:
        """Run a transfer, without a record that outlives the test."""
        return run_file(Folder().get(name), **window)

    def sql(self, query: str, database: str = "data/klaviyo.duckdb") -> list[tuple[Any, ...]]:
        """Rows of a query."""
        return instances.rows(self.root / database, query)

    def truth(self, collection: str, since: str | None = None, until: str | None = None) -> list[dict[str, Any]]:
        """What the sandbox has."""
        from klaviyo_pipeline.sandbox.admin import truth

        return truth(self.sandbox.store, collection, since, until)

    def left(self) -> list[str]:
        """All files there are now."""
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())


def run_file(file: TransferFile, **window: str) -> RunOutcome:
    """Run a transfer under Dagster, in an instance that keeps no records."""
    return run(file, instances.of_dagster() or dg.DagsterInstance.ephemeral(), log_level="ERROR", **window)


def load_file(file: TransferFile) -> LandingResult | None:
    """Load a transfer as its run does, but without Dagster around it: in a third of the time."""
    spec = spec_of(file)
    warehouse = KlaviyoDuckDBResource().at(spec.destination.database, spec.destination.timezone)
    client = spec.account(KlaviyoResource()).client()
    load = load_of(spec, config_class(spec.source.name, spec.options)(), warehouse, client.base_url)
    return load_and_land(load, client, warehouse.staging_area())


@cache
def schema_for_editors() -> Draft202012Validator:
    """Checks files by the schema for editors; ``jsonschema.validate`` would check the schema each time as well."""
    return Draft202012Validator(json_schema())


@contextmanager
def workplace_at(root: Path, sandbox: RunningSandbox, patch: pytest.MonkeyPatch) -> Iterator[Workplace]:
    """A workplace in a folder, with an environment that has nothing but the sandbox in it."""
    for name in _VARIABLES:
        patch.delenv(name, raising=False)
    patch.setenv("KLAVIYO_BASE_URL", sandbox.url)
    patch.setenv("KLAVIYO_API_KEY", "pk_sandbox")
    patch.chdir(root)
    yield Workplace(root, sandbox)


@contextmanager
def small_sandbox() -> Iterator[RunningSandbox]:
    """A sandbox with a small shop, and no rate limits."""
    with running_sandbox(SHOP, ServerOptions(rate_limits=False, keys=KEYS)) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def shop() -> Iterator[RunningSandbox]:
    """One sandbox for all tests that only read it."""
    with small_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop: RunningSandbox) -> Iterator[Workplace]:
    """A workplace with a sandbox that must not be changed."""
    with workplace_at(tmp_path, shop, monkeypatch) as workplace:
        yield workplace


@pytest.fixture
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workplace]:
    """A workplace with a sandbox of its own, to change at will."""
    with small_sandbox() as sandbox, workplace_at(tmp_path, sandbox, monkeypatch) as workplace:
        yield workplace
