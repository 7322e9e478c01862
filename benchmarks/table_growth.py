"""What a run costs by the size of its table: an increment, a read of all rows again, and the checks of both.

python -m benchmarks.run tables --tables 200000,2000000,20000000
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import measure
from benchmarks.bench import Section, Settings
from benchmarks.loaders.job import report
from benchmarks.shop_in_sql import SCHEMA, fill
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.loads.quality import landed_table
from klaviyo_pipeline.loads.table import table_of
from klaviyo_pipeline.orchestration.checks.data import DATA_CHECKS
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.landing import LandRequest, land
from klaviyo_pipeline.warehouse.sql import quoted_list
from klaviyo_pipeline.warehouse.tables import full_name
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    pass

READ_AGAIN, NEW = 18_000, 1_000
"""An increment: so many rows of the lookback, which have not changed, and so many new ones."""
MOST_TIMES, LONGEST_HOLD_S, LARGEST_PEAK_MB = 1.3, 2.0, 700.0
EVENTS = SOURCES["events"]
TABLE = table_of(EVENTS, SCHEMA, None, frozenset(EVENTS.option_names))


def tables(settings: Settings) -> Section:
    """A scenario: an increment, its checks, a read of everything again, and the deep checks, in ever larger tables."""
    section = Section(
        f"Runs into a table of up to {max(settings.tables):,} events",
        f"Rows made by SQL in the product's own table, landed without a fetch. The increment is {NEW:,} new rows and "
        f"{READ_AGAIN:,} that have not changed. `held` is how long the landing had the database.",
        ("events", "run", "CPU s", "held s", "peak MB"),
    )
    cpu = dict[int, float]()
    for events in settings.tables:
        with tempfile.TemporaryDirectory(prefix="klaviyo_bench_") as folder:
            database = Path(folder) / "warehouse.duckdb"
            fill(Database(database), events)
            for step in STEPS:
                pages = Path(folder) / f"{step}.arrows"
                if step in BATCHES:
                    measure.run(
                        measure.python("-m", "benchmarks.table_growth", "stage", str(database), str(pages), step)
                    )
                run = measure.run(measure.python("-m", "benchmarks.table_growth", step, str(database), str(pages)))
                pages.unlink(missing_ok=True)
                held = run.report.get("held")
                cells = (f"{run.report['cpu']:.2f}", "" if held is None else f"{held:.2f}", f"{run.peak_mb:.0f}")
                settings.say(f"  {events:,} {step}: {', '.join(cells)}")
                section.rows.append((f"{events:,}", step, *cells))
                if step == "increment":
                    cpu[events] = run.report["cpu"]
                    section.claim(
                        f"increment into {events:,} events: held under {LONGEST_HOLD_S:g} s",
                        f"{held:.2f}",
                        held < LONGEST_HOLD_S,
                    )
                section.claim(
                    f"{step}, {events:,} events: peak under {LARGEST_PEAK_MB:g} MB",
                    f"{run.peak_mb:.0f}",
                    run.peak_mb < LARGEST_PEAK_MB,
                )
    times = cpu[max(cpu)] / cpu[min(cpu)]
    section.claim(
        f"increment: CPU at {max(cpu):,} events at most {MOST_TIMES:g} times that at {min(cpu):,}",
        f"{times:.2f}",
        times <= MOST_TIMES,
    )
    return section


BATCHES = {
    "increment": (
        "SELECT {columns} FROM {table} WHERE datetime >= (SELECT min(datetime) FROM (SELECT datetime FROM {table} "
        f"ORDER BY datetime DESC LIMIT {READ_AGAIN})) UNION ALL BY NAME SELECT * REPLACE ('new' || id AS id) "
        f"FROM (SELECT {{columns}} FROM {{table}} ORDER BY datetime DESC LIMIT {NEW})"
    ),
    "all rows again": "SELECT {columns} FROM {table}",
}
"""What is read, by step."""


def stage(database: str, pages: str, step: str) -> None:
    """Write the rows of a step as a fetch stages them."""
    import pyarrow as pa

    with Database(database).reading() as con:
        rows = con.sql(
            BATCHES[step].format(
                columns=quoted_list(column.name for column in TABLE.columns), table=full_name(con, SCHEMA, "events")
            )
        ).to_arrow_reader(5_000)
        with pa.ipc.new_stream(pages, rows.schema) as writer:
            for batch in rows:
                writer.write_batch(batch)


def land_step(database: str, pages: str) -> float:
    """Merge staged rows as a run does, and say how long the database was held, in seconds."""
    first, last = _span(pages)
    request = LandRequest(
        table=TABLE,
        rows=[Path(pages)],
        mode=WriteMode.MERGE,
        source="events",
        run_id="bench",
        extract_id=Path(pages).stem,
        partition_key="datetime",
        version_column=EVENTS.version_column,
        fixed_time=EVENTS.fixed_time,
        window=(first, last),
        filter_field="datetime",
    )
    landed = land(Database(database), request)
    if (landed.inserted, landed.updated) not in {(NEW, 0), (0, 0)}:
        raise RuntimeError(f"The merge found {landed.inserted:,} new and {landed.updated:,} changed rows.")
    return landed.duration_s


def check_step(run_id: str) -> Callable[[str, str], float]:
    """The checks of an asset's data over the rows of a run; of a run that is not there: over all rows."""

    def checked(database: str, _pages: str) -> float:
        with Database(database).reading() as con:
            began = time.perf_counter()
            table = landed_table(con, SCHEMA, "events", ledger_name="events", run_id=run_id, partition_key="datetime")
            for check in DATA_CHECKS:
                if check.applies(EVENTS):
                    check.look(table, EVENTS)
            return time.perf_counter() - began

    return checked


STEPS: dict[str, Callable[[str, str], float]] = {
    "increment": land_step,
    "checks of the increment": check_step("bench"),
    "all rows again": land_step,
    "checks of all rows": check_step("none"),
}
"""What is measured, in this order; each gives how long it held the database."""


def _span(pages: str) -> tuple[datetime, datetime]:
    import pyarrow as pa
    import pyarrow.compute as pc

    low: list[datetime] = []
    high: list[datetime] = []
    with pa.memory_map(pages) as file:
        for batch in pa.ipc.open_stream(file):
            found = pc.min_max(batch.column("datetime")).as_py()
            low.append(found["min"])
            high.append(found["max"])
    return min(low), max(high)


def main(step: str, database: str, pages: str) -> None:
    """Do one step in a process of its own, imports aside."""
    from importlib import import_module

    for module in ("duckdb", "pyarrow"):
        import_module(module)
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    held = STEPS[step](database, pages)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report(seconds=time.perf_counter() - began, cpu=cpu_s, held=held)


if __name__ == "__main__":
    stage(*sys.argv[2:]) if sys.argv[1] == "stage" else main(*sys.argv[1:])
