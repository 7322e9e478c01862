"""What the tables of analytics cost after one new day, by how many events there are."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks import measure
from benchmarks.bench import Section, Settings
from benchmarks.loaders.job import report
from benchmarks.shop_in_sql import SCHEMA, ZONE, add_day, fill
from klaviyo_pipeline.analytics.building import build
from klaviyo_pipeline.analytics.tables import TABLES
from klaviyo_pipeline.warehouse.database import Database

LARGEST_CPU_S, LONGEST_HOLD_S = 5.0, 1.0


def analytics(settings: Settings) -> Section:
    """A scenario: analytics from nothing, and after one new day of a thousand."""
    section = Section(
        f"Analytics after one new day, up to {settings.large:,} events",
        "Rows made by SQL in the product's own tables. `held` is the longest time that the database was held at once.",
        ("events", "table", "from nothing: CPU s", "one new day: CPU s", "held s", "peak MB", "days made anew"),
    )
    for events in sorted({settings.large // 100, settings.large}):
        with tempfile.TemporaryDirectory(prefix="klaviyo_bench_") as folder:
            database = Path(folder) / "warehouse.duckdb"
            fill(Database(database), events)
            first = {name: _build(database, name) for name in TABLES}
            add_day(Database(database), events)
            for name in TABLES:
                again = _build(database, name)
                held = again.report["held"]
                settings.say(f"  {events:,} {name}: {again.report['cpu']:.2f} s of CPU, held {held:.2f} s")
                cells = (f"{first[name].report['cpu']:.1f}", f"{again.report['cpu']:.2f}", f"{held:.2f}")
                days = str(again.report["days"])
                section.rows.append((f"{events:,}", name, *cells, f"{again.peak_mb:.0f}", days))
                if events == settings.large:
                    cpu = again.report["cpu"]
                    section.claim(f"{name}: under {LARGEST_CPU_S:g} s of CPU", f"{cpu:.2f}", cpu < LARGEST_CPU_S)
                    section.claim(f"{name}: held under {LONGEST_HOLD_S:g} s", f"{held:.2f}", held < LONGEST_HOLD_S)
    return section


def _build(database: Path, table: str) -> measure.Run:
    return measure.run(measure.python("-m", "benchmarks.analytics", str(database), table))


def main(database: str, table: str) -> None:
    """Build one table in a process of its own, imports aside."""
    import resource
    import time
    from importlib import import_module

    import_module("duckdb")
    import_module("pyarrow")
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    built = build(Database(database), TABLES[table], SCHEMA, ZONE)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report(seconds=seconds, cpu=cpu_s, held=max(built.holds), days=built.days)


if __name__ == "__main__":
    import sys

    main(*sys.argv[1:])
