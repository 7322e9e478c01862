"""A load as a library: the documented script, run as it stands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb

from klaviyo_pipeline_tests.docs.documents import ROOT, all_blocks
from klaviyo_pipeline_tests.orchestration.conftest import World, world

__all__ = ["world"]

(SCRIPT,) = [block.text for block in all_blocks("python") if block.path == ROOT / "docs" / "library.md"]


def test_script_of_the_page_loads_a_day_without_dagster_and_again_changes_nothing(world: World, tmp_path: Path) -> None:
    environment = {**os.environ, "KLAVIYO_BASE_URL": world.sandbox.url, "KLAVIYO_API_KEY": "pk_sandbox"}
    script = f"{SCRIPT}\nimport sys\nassert 'dagster' not in sys.modules\n"
    command = [sys.executable, "-c", script]

    first = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    second = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stderr

    with duckdb.connect(str(tmp_path / "library.duckdb"), read_only=True) as connection:
        ids = [row[0] for row in connection.execute("SELECT id FROM klaviyo.events ORDER BY id").fetchall()]
        counts = "SELECT inserted, updated, unchanged FROM klaviyo_pipeline.ledger ORDER BY entry"
        assert connection.execute(counts).fetchall() == [(len(ids), 0, 0), (0, 0, len(ids))]
    assert ids == world.ids("events", "2026-11-18", "2026-11-19") != []
