"""Runs of one load on several machines take turns: each has a staging folder of its own, and all have one Postgres."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from klaviyo_pipeline.coordination.postgres import Coordination, CoordinationError, coordination_at
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.loads.run_lock import AnotherRunError, run_lock
from klaviyo_pipeline_tests.lake import destinations, servers

pytestmark = pytest.mark.lake
_OTHER_MACHINE = """
import sys
from pathlib import Path
from klaviyo_pipeline.coordination.postgres import coordination_at
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.loads.run_lock import run_lock
area, shared = StagingArea(Path(sys.argv[1])), coordination_at(sys.argv[2])
with run_lock("transfers/daily", area, print, run_id="run-a", coordination=shared, place="ducklake:x"):
    print("holds it", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def shared() -> Coordination:
    return coordination_at(destinations.running().postgres.database())


@contextmanager
def other_machine(folder: Path, shared: Coordination) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", _OTHER_MACHINE, str(folder / "theirs"), shared.address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holds it\n"
        try:
            yield process
        finally:
            process.kill()


def test_run_when_another_machine_runs_the_same_load_then_names_it_and_reads_nothing(tmp_path, shared):
    ours, heard = StagingArea(tmp_path / "ours"), list[str]()
    with other_machine(tmp_path, shared):
        with (
            pytest.raises(AnotherRunError, match=r"transfers/daily is active \(run run-a on .*since 20"),
            run_lock("transfers/daily", ours, heard.append, wait_s=0, coordination=shared, place="ducklake:x"),
        ):
            pass
        for load, place in (("transfers/daily", "ducklake:y"), ("transfers/weekly", "ducklake:x")):
            with run_lock(load, ours, heard.append, wait_s=0, coordination=shared, place=place):
                pass
    assert heard == []


def test_run_when_the_other_machine_dies_then_goes_on_at_once(tmp_path, shared):
    with other_machine(tmp_path, shared) as other:

        def kill(said: str) -> None:
            assert "waiting up to" in said
            other.kill()

        with run_lock(
            "transfers/daily", StagingArea(tmp_path / "ours"), kill, wait_s=60, coordination=shared, place="ducklake:x"
        ):
            assert other.wait(60) == -9


def test_run_when_the_shared_database_is_not_there_then_fails_before_it_reads_anything(tmp_path):
    gone = Coordination(f"dbname=x host=127.0.0.1 port={servers.free_port()} user=x")
    with (
        pytest.raises(CoordinationError, match="Connection refused"),
        run_lock("transfers/daily", StagingArea(tmp_path), print, wait_s=0, coordination=gone, place="ducklake:x"),
    ):
        pass
    with run_lock("transfers/daily", StagingArea(tmp_path), print, wait_s=0):
        pass
