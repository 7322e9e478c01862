"""The commands that users and CI type, as processes: exit codes, and what landed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from klaviyo_pipeline.orchestration.dagster_home import SETTINGS
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.docs.pages import clone
from klaviyo_pipeline_tests.orchestration.conftest import World

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
DAY, NEXT, AFTER = "2026-11-17", "2026-11-18", "2026-11-19"


class Shell:
    """Runs commands in the project's folder, against a world."""

    def __init__(self, world: World, home: Path | None) -> None:
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("KLAVIYO_", "DAGSTER_"))},
            "KLAVIYO_API_KEY": "pk_sandbox",
            "KLAVIYO_BASE_URL": world.sandbox.url,
            "KLAVIYO_DUCKDB_PATH": str(world.path),
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        }
        if home is not None:
            home.mkdir()
            (home / "dagster.yaml").write_text(SETTINGS.read_text())
            self.environment["DAGSTER_HOME"] = str(home)

    def __call__(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)

    def launch(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self("dg", "launch", *arguments)


@pytest.fixture
def shell(world: World) -> Shell:
    """Without DAGSTER_HOME, as in CI."""
    return Shell(world, None)


@pytest.mark.long
def test_launch_when_a_day_is_given_then_lands_it_and_the_older_command_changes_nothing_a_second_time(
    world: World, shell: Shell
) -> None:
    first = shell.launch("--assets", "klaviyo/events", "--partition", DAY)
    assert first.returncode == 0, first.stderr
    assert "Warning" not in first.stderr
    assert sorted(world.column("SELECT id FROM klaviyo.events")) == world.ids("events", DAY, NEXT)
    before = world.state()

    older = ("dagster", "asset", "materialize", "-m", "klaviyo_pipeline.definitions", "--select", "klaviyo/events")
    second = shell(*older, "--partition", DAY)

    assert second.returncode == 0, second.stderr
    assert "SupersessionWarning" in second.stderr  # then dg is the command to document
    assert world.state() == before


@pytest.mark.parametrize("with_home", [False, pytest.param(True, marks=pytest.mark.long)])
def test_launch_when_a_range_is_given_then_lands_it_as_one_run(world: World, tmp_path: Path, with_home: bool) -> None:
    shell = Shell(world, tmp_path / "home" if with_home else None)

    done = shell.launch("--assets", "klaviyo/events", "--partition-range", f"{DAY}...{NEXT}")

    assert done.returncode == 0, done.stderr
    assert sorted(world.column("SELECT id FROM klaviyo.events")) == world.ids("events", DAY, AFTER)
    assert world.sql("SELECT source, count(*) FROM klaviyo_pipeline.ledger GROUP BY ALL ORDER BY 1") == [
        ("event_attributions", 1),
        ("events", 1),
    ]
    assert world.sql("SELECT count(DISTINCT run_id) FROM klaviyo_pipeline.ledger") == [(1,)]


@pytest.mark.long
def test_launch_when_the_key_is_wrong_then_fails_with_the_reason_and_without_the_key(
    world: World, shell: Shell
) -> None:
    shell.environment["KLAVIYO_API_KEY"] = "pk_planted_wrong_key"

    done = shell.launch("--assets", "klaviyo/lists")

    assert done.returncode == 1
    assert "does not accept the API key" in done.stdout + done.stderr
    assert "pk_planted_wrong_key" not in done.stdout + done.stderr
    assert not world.path.exists()


def test_check_defs_is_clean(world: World, tmp_path: Path) -> None:
    done = Shell(world, tmp_path / "home")("dg", "check", "defs")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "All definitions loaded successfully." in done.stdout + done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower()


@pytest.mark.long
def test_dev_comes_up_without_a_warning_and_lists_the_assets(world: World, tmp_path: Path) -> None:
    shell = Shell(world, None)
    clone(tmp_path)
    shell.environment["DAGSTER_HOME"] = str(tmp_path)  # as make does
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "dev.log"
    with log.open("w") as written:
        server = subprocess.Popen(
            ["dg", "dev", "-p", str(port)],
            cwd=tmp_path,
            env=shell.environment,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        listed = _assets(port, server)
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    assert {f"klaviyo/{name}" for name in CORE} <= listed
    assert "warning" not in log.read_text().lower(), log.read_text()


def _assets(port: int, server: subprocess.Popen[bytes]) -> set[str]:
    """The assets that the web server knows, asked until it has loaded them."""
    query = json.dumps({"query": "{ assetNodes { assetKey { path } } }"}).encode()
    request = Request(f"http://127.0.0.1:{port}/graphql", data=query, headers={"Content-Type": "application/json"})
    while server.poll() is None:
        try:
            with urlopen(request, timeout=30) as answer:
                nodes = json.load(answer)["data"]["assetNodes"]
            if nodes:
                return {"/".join(node["assetKey"]["path"]) for node in nodes}
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"dg dev ended with {server.returncode}")
