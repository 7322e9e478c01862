"""What a DuckLake costs beside a DuckDB file: the same rows land in both, chunk by chunk, at one version of DuckDB.

The extensions of a lake are in .venv-lake (`make .venv-lake/.installed`), so each destination is measured there:

    .venv-lake/bin/python -m benchmarks.lake lake FOLDER 200000 5
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks import measure
from benchmarks.bench import Section, Settings
from benchmarks.loaders.job import report

ROWS, CHUNKS = 200_000, 5
PYTHON = Path(".venv-lake/bin/python")
FILE, LAKE = "file", "lake"
_DAYS = 100


def lake(settings: Settings) -> Section:
    """A scenario: chunks of events land in an empty file and in an empty lake, whose catalog is in Postgres."""
    rows, chunks = min(ROWS, settings.large), CHUNKS
    section = Section(
        f"A DuckLake beside a file: {chunks} times {rows:,} events",
        f"Rows made by SQL, each chunk new events over the same {_DAYS} days, merged without a fetch; DuckDB of "
        ".venv-lake for both. The lake's catalog is a Postgres on loopback, whose CPU time counts, and its data a "
        "folder. `ratio` is the CPU time of the lake over that of the file.",
        ("rows before", "file CPU s", "lake CPU s", "ratio", "file peak MB", "lake peak MB"),
    )
    if not PYTHON.exists():
        raise RuntimeError("There is no .venv-lake: run make .venv-lake/.installed postgres.")
    found = {}
    for kind in (FILE, LAKE):
        with tempfile.TemporaryDirectory(prefix="klaviyo_bench_") as folder:
            run = measure.run([str(PYTHON), "-m", "benchmarks.lake", kind, folder, str(rows), str(chunks)])
        found[kind] = run.report
        settings.say(f"  {kind}: {run.report}")
    ratios = []
    for number, (of_file, of_lake) in enumerate(zip(found[FILE]["chunks"], found[LAKE]["chunks"], strict=True)):
        ratios.append(of_lake["cpu"] / of_file["cpu"])
        cells = (f"{of_file['cpu']:.2f}", f"{of_lake['cpu']:.2f}", f"{ratios[-1]:.2f}")
        section.rows.append((f"{number * rows:,}", *cells, f"{of_file['peak_mb']:.0f}", f"{of_lake['peak_mb']:.0f}"))
    section.claim(
        f"the last chunk costs a lake at most twice what its second costs ({rows:,} rows before it)",
        f"{found[LAKE]['chunks'][-1]['cpu'] / found[LAKE]['chunks'][1]['cpu']:.2f}",
        found[LAKE]["chunks"][-1]["cpu"] <= 2 * found[LAKE]["chunks"][1]["cpu"],
    )
    section.claim(
        "file and lake have the same rows", str(found[LAKE]["rows"]), found[FILE]["rows"] == found[LAKE]["rows"]
    )
    return section


def main(kind: str, folder: str, rows: str, chunks: str) -> None:
    """Land the chunks in a new destination, and report what each cost."""
    from klaviyo_pipeline.warehouse.addresses import LakeAddress
    from klaviyo_pipeline.warehouse.database import Database
    from klaviyo_pipeline.warehouse.lake import Lake
    from klaviyo_pipeline_tests.lake import servers

    with ExitStack() as stack:
        server = None
        if kind == LAKE:
            os.environ["PGPASSWORD"] = servers.PASSWORD
            server = stack.enter_context(servers.postgres())
            database = Lake(LakeAddress(postgres=server.database()), f"{folder}/data/")
        else:
            database = Database(Path(folder) / "warehouse.duckdb")
        costs = []
        for number in range(int(chunks)):
            pages = Path(folder) / f"{number}.arrows"
            _stage(pages, number * int(rows), (number + 1) * int(rows))
            before = _cpu(server)
            _land(database, pages)
            peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
            costs.append({"cpu": _cpu(server) - before, "peak_mb": peak_mb})
            pages.unlink()
        with database.reading() as con:
            landed = con.execute("SELECT count(*), count(DISTINCT id) FROM klaviyo.events").fetchone()
        report(chunks=costs, rows=landed)


def _stage(pages: Path, low: int, high: int) -> None:
    """Write events as a fetch stages them."""
    import duckdb
    import pyarrow as pa

    from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
    from klaviyo_pipeline.loads.table import table_of

    columns = table_of(SOURCES["events"], "klaviyo", None, frozenset()).columns
    made = {
        "id": "printf('01E%023d', i)",
        "metric_id": "'m' || hash(i, 1) % 6",
        "profile_id": "md5((hash(i, 2) % 50000)::VARCHAR)",
        "datetime": f"TIMESTAMPTZ '2026-01-01' + to_seconds((hash(i, 3) % {_DAYS * 86_400})::BIGINT)",
        "event_properties": "json_object('$value', (hash(i, 4) % 20000) / 100, 'OrderId', hash(i, 5) % 100000, "
        "'URL', printf('https://shop.example/products/%d', hash(i, 6) % 5000))",
    }
    chosen = ", ".join(f'CAST({made.get(each.name, "NULL")} AS {each.type}) AS "{each.name}"' for each in columns)
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        stream = con.sql(f"SELECT {chosen} FROM (SELECT range AS i FROM range({low}, {high}))").to_arrow_reader(5_000)
        with pa.ipc.new_stream(pages, stream.schema) as writer:
            for batch in stream:
                writer.write_batch(batch)


def _land(database: object, pages: Path) -> None:
    from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
    from klaviyo_pipeline.loads.table import table_of
    from klaviyo_pipeline.warehouse.interface import Warehouse
    from klaviyo_pipeline.warehouse.landing import LandRequest, land
    from klaviyo_pipeline.warehouse.write_modes import WriteMode

    assert isinstance(database, Warehouse)
    events = SOURCES["events"]
    request = LandRequest(
        table=table_of(events, "klaviyo", None, frozenset()),
        rows=[pages],
        mode=WriteMode.MERGE,
        source="events",
        run_id="bench",
        extract_id=pages.stem,
        partition_key="datetime",
        version_column=events.version_column,
        fixed_time=events.fixed_time,
    )
    land(database, request)


def _cpu(server: object) -> float:
    """CPU seconds of this process so far, and of Postgres."""
    import psutil

    used = resource.getrusage(resource.RUSAGE_SELF)
    total = used.ru_utime + used.ru_stime
    if server is not None:
        for child in psutil.Process().children():
            for each in (child, *child.children()):
                times = each.cpu_times()
                total += times.user + times.system
            ended = child.cpu_times()
            total += ended.children_user + ended.children_system
    return total


if __name__ == "__main__":
    main(*sys.argv[1:])
