"""A table of many rows is read again, all of them equal: the memory and the CPU time that the landing takes.

The stage is made by SQL and written by the product's own stage. Each landing is a process of its own, at the default
settings: of ``list_profiles`` as a whole read, of ``events`` as a window. With ``--changed`` the table has other
content than the stage in every row.

    python -m benchmarks.reread --rows 8000000 --key-bytes 33 --source events
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from benchmarks.loaders.job import REPORT_PREFIX
from benchmarks.measure import run
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.decode.pages import arrow_schema
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.klaviyo.windows import TimeSlice
from klaviyo_pipeline.loads.table import table_of
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.land_request import LandRequest, Sweep
from klaviyo_pipeline.warehouse.landing import land
from klaviyo_pipeline.warehouse.write_modes import WriteMode

MOST_MB = 700
OUTCOMES = ("inserted", "updated", "unchanged")
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_PAGE_ROWS = 100
_SLICE_ROWS = 1_000_000


def main() -> int:
    """Run it, and say what it came to; exit code 1 if a claim does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", choices=("list_profiles", "events"), default="list_profiles")
    parser.add_argument("--rows", type=int, default=8_000_000)
    parser.add_argument("--key-bytes", type=int, default=33)
    parser.add_argument("--memory-limit", default=Database.memory_limit)
    parser.add_argument("--changed", action="store_true", help="every row has changed")
    parser.add_argument("--folder", help="keep the stage and the database here")
    parser.add_argument("--land", action="store_true", help="land the stage that is in the folder")
    given = parser.parse_args()
    if given.land:
        return _land(SOURCES[given.source], Path(given.folder), given.memory_limit)
    with tempfile.TemporaryDirectory(prefix="reread_") as name:
        folder = Path(given.folder or name)
        if not (folder / "staging").exists():
            _make_stage(SOURCES[given.source], folder, given.rows, given.key_bytes)
        about = ["--source", given.source, "--folder", str(folder), "--memory-limit", given.memory_limit]
        _measured(about, given.rows, "inserted")
        if given.changed:
            _change_all(folder, given.source)
        reread = _measured(about, given.rows, "updated" if given.changed else "unchanged")
    return 0 if reread < MOST_MB else 1


def _measured(about: list[str], rows: int, outcome: str) -> float:
    """Land the stage in a process of its own; gives its peak memory in MB."""
    done = run([sys.executable, "-m", "benchmarks.reread", "--land", *about])
    print(f"{outcome}: {done.report[outcome]:,} of {rows:,}; {done.cpu_s:.1f} s of CPU, {done.peak_mb:.0f} MB")
    return done.peak_mb if done.report[outcome] == rows else float("inf")


def _change_all(folder: Path, source: str) -> None:
    """Gives every row of the table another content."""
    column = "email" if source == "list_profiles" else "event_properties"
    other = "'other' || email" if column == "email" else '\'{"page":"another"}\''
    with Database(folder / "warehouse.duckdb").writing() as con:
        con.execute(f"CREATE TABLE klaviyo.changed AS SELECT * REPLACE ({other} AS {column}) FROM klaviyo.{source}")
        con.execute(f"DROP TABLE klaviyo.{source}")
        con.execute(f"ALTER TABLE klaviyo.changed RENAME TO {source}")


def _land(source: Source, folder: Path, memory_limit: str) -> int:
    stage = StagingArea(folder / "staging").open({"source": source.name}, _NOW)
    request = LandRequest(
        table=table_of(source, "klaviyo", options=source.choose()),
        rows=stage.files(),
        mode=WriteMode.MERGE,
        source=source.name,
        run_id="bench",
        extract_id=stage.extract_id,
        version_column=source.version_column,
        fixed_time=source.fixed_time,
        sweep=Sweep() if source.shows_deletions else None,
    )
    landed = land(Database(folder / "warehouse.duckdb", memory_limit=memory_limit), request)
    stage.close(remove=False)
    print(REPORT_PREFIX + json.dumps({name: getattr(landed, name) for name in OUTCOMES}))
    return 0


def _make_stage(source: Source, folder: Path, rows: int, key_bytes: int) -> None:
    schema = arrow_schema(source.columns_for(source.choose()))
    stage = StagingArea(folder / "staging").open({"source": source.name}, _NOW)
    for first in range(0, rows, _SLICE_ROWS):
        staged = stage.add_slice(str(first), TimeSlice(None, None))
        with stage.writer(staged, schema) as writer:
            for batch in _pages(schema, first, min(rows, first + _SLICE_ROWS), key_bytes):
                writer.write(batch, None)
        stage.finish_slice(staged)
    stage.close(remove=False)


def _pages(schema: pa.Schema, first: int, end: int, key_bytes: int) -> Iterator[pa.RecordBatch]:
    """Rows in an order that has nothing to do with their keys; events in that of their time."""
    made: dict[str, Any] = {
        "id": "list || member",
        "datetime": "TIMESTAMPTZ '2024-01-01 00:00:00+00' + INTERVAL 1 SECOND * i",
        "event_properties": """'{"page":"https://example.com/' || i || '","note":"' || repeat(member, 8) || '"}'""",
        "list_id": "list",
        "profile_id": "member",
        "joined_group_at": "TIMESTAMPTZ '2024-01-01 00:00:00+00' + INTERVAL 1 SECOND * i",
        "email": "'member' || i || '@example.com'",
        "updated": "TIMESTAMPTZ '2025-01-01 00:00:00+00' + INTERVAL 1 SECOND * i",
        "properties": """'{"plan":"a","points":' || i % 1000 || '}'""",
    }
    columns = ", ".join(f"{made.get(name, 'NULL')} AS {name}" for name in schema.names)
    member = f"left(repeat(md5(i::VARCHAR), {key_bytes // 32 + 1}), {key_bytes - 6})"
    members = f"SELECT i, 'List' || i % 100 // 10 || 'x' AS list, {member} AS member FROM range({first}, {end}) r(i)"
    query = f"SELECT {columns} FROM ({members})"
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute("SET TimeZone = 'UTC'")
        for batch in con.sql(query).to_arrow_reader(_PAGE_ROWS):
            yield batch.cast(schema)


if __name__ == "__main__":
    sys.exit(main())
