"""Two workers of Celery load two accounts into one lake; one is killed in the middle. With the settings of deploy/."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klaviyo_pipeline.accounts.parts import project_accounts
from klaviyo_pipeline.built_in import project_definitions
from klaviyo_pipeline.klaviyo.catalogue.registry import DEFAULT, SOURCES
from klaviyo_pipeline.sandbox.admin import truth
from klaviyo_pipeline.sandbox.faults.plan import NoFaults
from klaviyo_pipeline.sandbox.options import ServerOptions
from klaviyo_pipeline.sandbox.server import RunningSandbox, running_sandbox
from klaviyo_pipeline.warehouse.interface import Warehouse
from klaviyo_pipeline.warehouse.opening import warehouse_at
from klaviyo_pipeline_tests.accounts.brands import DAYS, SHOPS
from klaviyo_pipeline_tests.lake import destinations, servers
from klaviyo_pipeline_tests.orchestration.conftest import FIRST_DAY, PARTITIONED

pytestmark = [pytest.mark.lake, pytest.mark.timeout(1500)]
ROOT = Path(__file__).parents[2]
SETTINGS = ROOT / "deploy" / "celery" / "dagster.yaml"
COLLECTIONS = ("events", "profiles", "lists", "campaigns", "templates", "metrics")
ENDS_WITHIN_S = 500


@dataclass
class Hanging(NoFaults):
    """Answers no request for lists until it is told to: whoever loads them is in the middle of a run."""

    asked: threading.Event = field(default_factory=threading.Event)
    may_answer: threading.Event = field(default_factory=threading.Event)

    async def instead(self, operation: str, request: Any) -> Any:
        if operation == "get_lists" and not self.may_answer.is_set():
            self.asked.set()
            await asyncio.to_thread(self.may_answer.wait)
        return await super().instead(operation, request)

    def release(self) -> None:
        self.may_answer.set()


@dataclass
class Fleet:
    """A broker, Dagster's records in Postgres, and what is needed to start workers and runs."""

    folder: Path
    instance: dg.DagsterInstance
    shops: Mapping[str, RunningSandbox]
    lake: Warehouse

    @contextmanager
    def worker(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        """A worker on a machine of its own, as docs/workers.md starts it. It ends with its children."""
        command = [sys.executable, "-m", "celery", "-A", "klaviyo_pipeline.fleet.worker", "worker"]
        options = ["--hostname", f"{name}@fleet", "--concurrency", "1", "--without-mingle", "--without-gossip"]
        own = {"KLAVIYO_STAGING_DIR": str(self.folder / name)}
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, *options], env={**os.environ, **own}, stdout=log, stderr=log, start_new_session=True
            )
            try:
                yield process
            finally:
                if process.poll() is None:
                    kill(process)

    @cached_property
    def job(self) -> dg.JobDefinition:
        """All assets of all accounts."""
        return project_definitions(project_accounts()).resolve_implicit_global_asset_job_def()

    def launch(self, account: str) -> tuple[str, Any]:
        """A run of all the account's data sources: its id, and the result that Celery will have of it."""
        from dagster._core.definitions.reconstruct import ReconstructableRepository
        from dagster._core.execution.api import create_execution_plan

        code = ReconstructableRepository.for_module("klaviyo_pipeline.definitions", "defs", working_directory=str(ROOT))
        selection = frozenset(dg.AssetKey([account, name]) for name in DEFAULT)
        loads = self.job.get_subset(asset_selection=selection)
        # Checks would take as long as the loads do.
        steps = [each.key for each in create_execution_plan(loads, tags=DAYS).steps if not each.key.endswith("_checks")]
        run = self.instance.create_run_for_job(
            self.job,
            create_execution_plan(loads, tags=DAYS, step_keys_to_execute=steps),
            asset_selection=selection,
            tags=DAYS,
            job_code_origin=code.get_reconstructable_job(loads.name).get_python_origin(),
        )
        self.instance.launch_run(run.run_id, workspace=None)  # type: ignore[arg-type]
        return run.run_id, self.result(run.run_id)

    def result(self, run_id: str) -> Any:
        from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

        run = self.instance.get_run_by_id(run_id)
        return self.instance.run_launcher.celery.AsyncResult(run.tags[DAGSTER_CELERY_TASK_ID_TAG])

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        return self.instance.get_run_by_id(run_id).status

    def monitor(self, run_id: str) -> None:
        """What Dagster's daemon does once a minute about a run that has started."""
        from dagster._daemon.monitoring.run_monitoring import monitor_started_run

        record = self.instance.get_run_record_by_id(run_id)
        monitor_started_run(self.instance, None, record, logging.getLogger(__name__))  # type: ignore[arg-type]


def kill(process: subprocess.Popen[bytes]) -> None:
    """The machine goes away: the worker, and the process that has the run."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        shops = {
            name: stack.enter_context(running_sandbox(SHOPS[name], ServerOptions(rate_limits=False)))
            for name in ("us", "uk")
        }
        postgres = destinations.running().postgres
        lake = f"ducklake:postgres:{postgres.database()}"
        records = dict(each.split("=") for each in postgres.database().split())
        broker = stack.enter_context(servers.redis())
        accounts = [
            f"  {name}: {{api_key_env: {name.upper()}_KEY, base_url: {shop.url}, timezone: UTC, first_day: 2026-11-01}}"
            for name, shop in shops.items()
        ]
        (tmp_path / "klaviyo.yml").write_text("\n".join(["accounts:", *accounts]))
        home = tmp_path / "dagster"
        home.mkdir()
        shutil.copy(SETTINGS, home)
        patch.delenv("KLAVIYO_API_KEY", raising=False)
        for name, value in {
            **{f"{name.upper()}_KEY": shop.api_key for name, shop in shops.items()},
            "KLAVIYO_ACCOUNTS": str(tmp_path / "klaviyo.yml"),
            "KLAVIYO_SOURCES": "default",
            "KLAVIYO_DESTINATION": lake,
            "KLAVIYO_DATA_PATH": str(tmp_path / "rows"),
            "KLAVIYO_STAGING_DIR": str(tmp_path / "here"),
            "DAGSTER_HOME": str(home),
            "DAGSTER_POSTGRES_HOST": records["host"],
            "DAGSTER_POSTGRES_PORT": records["port"],
            "DAGSTER_POSTGRES_DB": records["dbname"],
            "DAGSTER_POSTGRES_USER": records["user"],
            "DAGSTER_POSTGRES_PASSWORD": servers.PASSWORD,
            "CELERY_BROKER": broker,
            "CELERY_BACKEND": broker,
        }.items():
            patch.setenv(name, value)
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(home)))
        yield Fleet(tmp_path, instance, shops, warehouse_at(lake, data_path=f"{tmp_path}/rows/"))


def test_two_workers_when_one_is_killed_then_its_run_fails_and_another_worker_brings_every_row_once(fleet, monkeypatch):
    hanging = Hanging()
    fleet.shops["us"].app.plan_faults(hanging)
    with fleet.worker("first") as first, fleet.worker("second") as second:
        killed, its_result = fleet.launch("us")
        other, other_result = fleet.launch("uk")
        assert hanging.asked.wait(ENDS_WITHIN_S)
        fleet.monitor(killed)
        assert fleet.status(killed) is dg.DagsterRunStatus.STARTED  # its worker answers
        kill({"first@fleet": first, "second@fleet": second}[its_result.info["hostname"]])
        hanging.may_answer.set()

        monkeypatch.setattr("klaviyo_pipeline.fleet.launcher.ATTEMPTS", 1)
        fleet.monitor(killed)
        assert fleet.status(killed) is dg.DagsterRunStatus.FAILURE
        again, its_result = fleet.launch("us")
        for result in (other_result, its_result):
            result.get(ENDS_WITHIN_S)

    logs = [path.read_text() for path in fleet.folder.glob("*.log")]
    assert [fleet.status(each) for each in (other, again)] == [dg.DagsterRunStatus.SUCCESS] * 2, "\n".join(logs)[-8000:]
    with fleet.lake.reading() as con:
        for name, shop in fleet.shops.items():
            for table in DEFAULT:
                query = f"SELECT count(*), count(DISTINCT {key_of(table)}) FROM {name}.{table}"
                rows, keys = con.execute(query).fetchall()[0]
                assert rows == keys, (name, table)
            for table in COLLECTIONS:
                ids = {id_ for (id_,) in con.execute(f"SELECT id FROM {name}.{table}").fetchall()}
                days = (FIRST_DAY, "2026-11-21") if table in PARTITIONED else ()
                assert ids == {row["id"] for row in truth(shop.store, table, *days)}, (name, table)
            assert not any(shop.api_key in each for each in logs)


def key_of(table: str) -> str:
    return f"({', '.join(SOURCES[table].primary_key)})"
