"""Other processes that use the same file, told what to do and heard through pipes: no sleeps, no polling."""

from __future__ import annotations

import base64
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from klaviyo_pipeline.warehouse.interface import Warehouse


def told(database: Warehouse) -> str:
    """A destination as an argument for another process."""
    return base64.b64encode(pickle.dumps(database)).decode()


def opened(text: str) -> Warehouse:
    """The destination of such an argument."""
    return pickle.loads(base64.b64decode(text))


def start(code: str, *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


@contextmanager
def holding(code: str, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Runs code that prints ``ready`` and then reads a line; killed at the end, as kill -9 does."""
    process = start(code, *arguments)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said == "ready\n", said  # otherwise the code says why it ended
        yield process
    finally:
        process.kill()
        process.communicate()


# A notebook or BI tool: knows nothing of our lock file.
OUTSIDER = """
import sys, duckdb
con = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read")
print("ready", flush=True)
sys.stdin.readline()
con.close()
print("closed", flush=True)
"""

# A run of ours that stops just before its commit, with everything written.
INTERRUPTED_LANDING = """
import sys
from klaviyo_pipeline.warehouse import ledger
from klaviyo_pipeline_tests.warehouse.helpers import event, put
from klaviyo_pipeline_tests.warehouse.processes import opened
record = ledger.record
def record_and_wait(con, entry):
    record(con, entry)
    print("ready", flush=True)
    sys.stdin.readline()
ledger.record = record_and_wait
rows = [event(f"new-{n}", props='{"text": "' + "x" * 500 + '"}') for n in range(30_000)]
put(opened(sys.argv[1]), rows, sys.argv[2], extract_id="interrupted")
"""

LANDING = """
import sys
from klaviyo_pipeline_tests.warehouse.helpers import event, put
from klaviyo_pipeline_tests.warehouse.processes import opened
print("ready", flush=True)
sys.stdin.readline()
who, turns = sys.argv[2], int(sys.argv[3])
for turn in range(turns):
    rows = [event(f"{who}-{turn}-{n}") for n in range(50)] + [event("shared", value=turn)]
    put(opened(sys.argv[1]), rows, extract_id=f"{who}-{turn}", source=who)
"""

# Lands in a table that all use, and in one of its own, and says each time what has landed.
LANDING_ANYWHERE = """
import sys
from dataclasses import replace
from klaviyo_pipeline_tests.warehouse.helpers import EVENTS, event, put
from klaviyo_pipeline_tests.warehouse.processes import opened
database, who = opened(sys.argv[1]), sys.argv[2]
for turn in range(6):
    name = f"{who}-{turn}"
    table = EVENTS if turn % 2 else replace(EVENTS, name=f"own_{who}")
    rows = [event(f"{name}/{n}") for n in range(40)] + [event("common", value=turn)]
    put(database, rows, extract_id=name, source=table.name, table=table)
    print(name, flush=True)
"""
