"""What a person has who typed `make dev`: a shop in a sandbox, an empty database, and Dagster's UI on a free port."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import requests

from klaviyo_pipeline.orchestration.dagster_home import SETTINGS
from klaviyo_pipeline.sandbox.admin import truth
from klaviyo_pipeline.sandbox.options import SandboxOptions, ServerOptions
from klaviyo_pipeline.sandbox.server import RunningSandbox, running_sandbox

ROOT = Path(__file__).parents[2]
API_KEY = "pk_planted_in_the_environment"
_READY = "Serving dagster-webserver on"
_STOPS_WITHIN_S = 30
_PARTITIONS = 300
"""Days, today included: as many as it takes to have the oldest profile in one."""


@dataclass(frozen=True)
class RunningDagster:
    """`dg dev` and what it works with.

    Attributes:
        url: Of Dagster's UI.
        today: The day of the newest events, in UTC, which is the storage time zone.
        environment: Of Dagster's processes.
    """

    url: str
    sandbox: RunningSandbox
    database: Path
    today: datetime
    environment: dict[str, str]

    def day(self, number: int) -> str:
        """The partition that many days before today."""
        return (self.today - timedelta(days=number)).date().isoformat()

    def ids(self, collection: str, since: str | None = None, until: str | None = None) -> list[str]:
        """Sorted ids of what the sandbox has."""
        return sorted(row["id"] for row in truth(self.sandbox.store, collection, since, until))

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of a query on the database."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def column(self, query: str) -> list[Any]:
        """The first column of a query's rows."""
        return [row[0] for row in self.sql(query)]

    def load_everything(self) -> None:
        """Materialize all assets and all partitions, into the same database and the same history of runs."""
        days = f"{self.day(_PARTITIONS - 1)}...{self.day(0)}"
        for selection in ("key:klaviyo/*", "group:klaviyo_analytics"):
            self.launch(selection, "--partition-range", days)

    def launch(self, selection: str, *options: str) -> None:
        """Materialize a selection of assets in another process."""
        command = ["dg", "launch", "--assets", selection, *options]
        subprocess.run(command, cwd=ROOT, env=self.environment, check=True)

    def command(self, *arguments: str) -> None:
        """Run a command of klaviyo-pipeline."""
        subprocess.run(["klaviyo-pipeline", *arguments], cwd=ROOT, env=self.environment, check=True)

    def failed_run(self) -> str:
        """The id of a new run that fails, since it has no usable start_time."""
        config = json.dumps({"ops": {"klaviyo__events": {"config": {"start_time": "yesterday"}}}})
        command = ["dg", "launch", "--assets", "klaviyo/events", "--partition", self.day(1), "--config-json", config]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        query = {"query": "{ runsOrError(filter: {statuses: FAILURE}) { ... on Runs { results { runId } } } }"}
        answer = requests.post(f"{self.url}/graphql", json=query, timeout=60).json()
        return str(answer["data"]["runsOrError"]["results"][0]["runId"])


@contextmanager
def running_dagster(folder: Path, log: Path) -> Iterator[RunningDagster]:
    """Starts both with a home and a database in a folder; everything that Dagster writes goes to the log."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    shop = SandboxOptions(
        seed=7, profiles=120, events=1200, days=6, until=now.isoformat(), lists=4, templates=12, campaigns=14
    )
    home, database = folder / "home", folder / "klaviyo.duckdb"
    home.mkdir()
    (home / "dagster.yaml").write_text(SETTINGS.read_text())
    with running_sandbox(shop, ServerOptions(rate_limits=False, keys={API_KEY: frozenset[str]()})) as sandbox:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("KLAVIYO_", "DAGSTER_"))},
            "KLAVIYO_SOURCES": "core",
            "KLAVIYO_API_KEY": API_KEY,
            "KLAVIYO_BASE_URL": sandbox.url,
            "KLAVIYO_DUCKDB_PATH": str(database),
            "KLAVIYO_PARTITION_START": (now - timedelta(days=_PARTITIONS - 1)).date().isoformat(),
            "DAGSTER_HOME": str(home),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        with _dg_dev(environment, log) as url:
            yield RunningDagster(url, sandbox, database, now.replace(hour=0), environment)


@contextmanager
def _dg_dev(environment: dict[str, str], log: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        ["dg", "dev", "-h", "127.0.0.1", "-p", str(port)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    ready = threading.Event()

    def keep() -> None:
        assert server.stdout
        with log.open("w", buffering=1) as kept:
            for line in server.stdout:
                kept.write(line)
                if _READY in line:
                    ready.set()
        ready.set()

    reader = threading.Thread(target=keep, daemon=True)
    reader.start()
    try:
        ready.wait()
        assert _READY in log.read_text(), f"dg dev ended with {server.wait()}:\n{log.read_text()}"
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(_STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
        reader.join(_STOPS_WITHIN_S)
