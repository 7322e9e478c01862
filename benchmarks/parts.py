"""A long first load in parts: killed three times on the way, its stage and memory watched from outside.

python -m benchmarks.parts --events 5000000 --stage-mb 500
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.measure import ROOT, Program, Run

_LOAD = """
import logging, sys
logging.basicConfig(level=logging.INFO, stream=sys.stderr, format='%(asctime)s %(message)s')
from pathlib import Path
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.endpoints.account import Account
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.loads.destination import Place
from klaviyo_pipeline.loads.load import Load, run
from klaviyo_pipeline.loads.request import LoadRequest
from klaviyo_pipeline.warehouse.database import Database
url, folder, stage_mb = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
events = SOURCES['events']
load = Load(
    request=LoadRequest(source=events, options=events.choose(attributions=False), partition_key='datetime'),
    place=Place(database=Database(folder / 'warehouse.duckdb'), table='events'),
    stage_bytes=int(stage_mb * 1_000_000),
)
client = KlaviyoClient('pk_bench', base_url=url)
account = Account('BENCHM', 'UTC', 'USD')
run(load, client, StagingArea(folder / 'staging'), log=logging.getLogger('load'), ask_account=lambda _client: account)
"""


def main() -> int:
    """Run it, and say what it came to; exit code 1 if a claim does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--stage-mb", type=float, default=500.0)
    parser.add_argument("--kills", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="parts_") as name, served(given.events) as url:
        folder, peak_stage, peak_mb, began = Path(name), 0, 0.0, time.perf_counter()
        for kill in range(given.kills + 1):
            kill_at = (kill + 1) * given.events // 1_000 // (given.kills + 1) if kill < given.kills else None
            run, stage = _watched(url, folder, given.stage_mb, kill_at)
            peak_stage, peak_mb = max(peak_stage, stage), max(peak_mb, run.peak_mb)
            said = "killed" if kill_at else f"ended with {run.returncode}"
            print(
                f"{said} after {run.wall_s:.0f} s, {asked(url):,} requests in all; peaks: stage {stage / 1e6:.0f} MB, "
                f"memory {run.peak_mb:.0f} MB",
                flush=True,
            )
        rows = _rows(folder)
        claims = {
            f"stage at most {given.stage_mb:g} MB ({peak_stage / 1e6:.0f})": peak_stage <= given.stage_mb * 1e6,
            f"memory under 500 MB ({peak_mb:.0f})": peak_mb < 500,
            f"every event once ({rows})": rows == (given.events, given.events, given.events),
        }
    print(f"{time.perf_counter() - began:.0f} s")
    for claim, holds in claims.items():
        print("yes" if holds else "NO ", claim)
    return 0 if all(claims.values()) else 1


@contextmanager
def served(events: int) -> Iterator[str]:
    """A server of so many events in a process of its own; gives its address."""
    command = [sys.executable, "-m", "benchmarks.made_events", str(events)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.kill()
        server.wait()


def asked(url: str) -> int:
    """How many requests have been answered."""
    with urllib.request.urlopen(f"{url}/answered") as answer:
        return int(answer.read())


def _watched(url: str, folder: Path, stage_mb: float, kill_at: int | None) -> tuple[Run, int]:
    """A load, killed once so many requests were answered in all; and the most that its stages had."""
    program, peak = Program([sys.executable, "-c", _LOAD, url, str(folder), str(stage_mb)]), 0
    while program.running():
        peak = max(peak, _bytes_in(folder / "staging"))
        if kill_at is not None and asked(url) >= kill_at:
            program.kill()
            break
        time.sleep(0.1)
    return program.finish(check=False), peak


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*.arrows"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def _rows(folder: Path) -> tuple[Any, ...]:
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        query = "SELECT count(*), count(DISTINCT id), count(DISTINCT uuid) FROM klaviyo.events"
        return connection.execute(query).fetchall()[0]


if __name__ == "__main__":
    sys.exit(main())
