"""A planted API key, which the server repeats in its errors, is found in no file, log or database afterwards."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from klaviyo_pipeline.orchestration.dagster_home import SETTINGS
from klaviyo_pipeline.sandbox.faults.plan import Fault, FaultPlan
from klaviyo_pipeline.sandbox.options import SandboxOptions, ServerOptions
from klaviyo_pipeline.sandbox.server import RunningSandbox, running_sandbox

KEY = "pk_planted_3f9c+/61d0b7e2a84"
PROJECT = Path(__file__).parents[2]
SHOP = SandboxOptions(seed=2, profiles=40, events=150, days=3, until="2026-11-20T00:00:00Z", templates=3, campaigns=4)
DAY = "2026-11-19"


def forms(key: str) -> list[bytes]:
    """The key as it is, percent-encoded, and in base64 at each of the three offsets."""
    found = [key.encode(), quote(key, safe="").encode(), key.replace("/", "\\/").encode()]
    for offset in range(3):
        encoded = base64.b64encode(b"x" * offset + key.encode())
        found.append(encoded[4 if offset else 0 : len(encoded) // 4 * 4 - 4])
    return found


def materialize(sandbox: RunningSandbox, folder: Path, select: str) -> subprocess.CompletedProcess[str]:
    """Materialize assets with Dagster's own command, storage on disk."""
    home = folder / "dagster"
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text(SETTINGS.read_text())
    arguments = ("asset", "materialize", "-m", "klaviyo_pipeline.definitions", "--select", select, "--partition", DAY)
    return subprocess.run(
        [sys.executable, "-m", "dagster", *arguments],
        env={
            **os.environ,
            "DAGSTER_HOME": str(home),
            "KLAVIYO_API_KEY": KEY,
            "KLAVIYO_BASE_URL": sandbox.url,
            "KLAVIYO_DUCKDB_PATH": str(folder / "warehouse.duckdb"),
            "TMPDIR": str(folder),
        },
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(1500)
@pytest.mark.long
def test_planted_key_is_found_nowhere_after_runs_that_fail_and_runs_that_do_not(tmp_path: Path) -> None:
    server = ServerOptions(rate_limits=False, keys={KEY: frozenset()})
    with running_sandbox(SHOP, server) as sandbox:
        rules = [Fault("echo-key", "get_lists"), Fault("echo-key", "get_events", limit=1), Fault("truncated", every=9)]
        sandbox.app.plan_faults(FaultPlan(1, rules))
        failed = materialize(sandbox, tmp_path, "*")
        echoed = sandbox.app.faults.report()["injected"]
        assert failed.returncode != 0
        assert isinstance(echoed, dict)
        assert "echo-key" in echoed
        assert "[api key]" in failed.stdout + failed.stderr, "the refusal is told, without the key"
        sandbox.app.plan_faults(FaultPlan())
        landed = materialize(sandbox, tmp_path, "key:klaviyo/events,key:klaviyo/profiles")
        assert landed.returncode == 0, landed.stderr[-2000:]
    for ran in (failed, landed):
        (tmp_path / f"output-{ran.returncode}.txt").write_text(ran.stdout + ran.stderr)

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files), "Dagster's storage is among them"
    assert any(path.suffix == ".duckdb" for path in files)
    leaks = {
        (str(path.relative_to(tmp_path)), form) for path in files for form in forms(KEY) if form in path.read_bytes()
    }
    assert leaks == set()


def test_search_finds_a_key_in_each_form(tmp_path: Path) -> None:
    """The test above is worth something only if it would find one."""
    for offset, form in enumerate(forms(KEY)):
        text = [KEY.encode(), quote(KEY, safe="").encode(), KEY.replace("/", "\\/").encode()]
        text += [base64.b64encode(b"a:b"[:pad] + KEY.encode() + b":rest") for pad in range(3)]
        assert form in text[offset]
