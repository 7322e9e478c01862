"""What all scenarios share: settings, sandboxes, one load of one loader, and the check of what it landed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks import measure
from benchmarks.loaders.job import TIME_FIELDS, Job
from klaviyo_pipeline.sandbox.server import SandboxProcess, sandbox_process

UNTIL = "2026-11-01"
"""Where the sandbox's history ends: the same data whenever the benchmark runs."""


@dataclass(frozen=True)
class Settings:
    """Sizes and repeats, from the command line."""

    events: int
    profiles: int
    large: int
    limited: int
    tables: tuple[int, ...]
    latency_ms: float
    repeats: int
    say: Callable[[str], None] = print


@dataclass(frozen=True)
class Verdict:
    """A claim, what was measured for it, and whether it holds."""

    claim: str
    measured: str
    holds: bool


@dataclass
class Section:
    """A scenario's results: a table, and the claims that it decides."""

    title: str
    text: str
    header: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    def claim(self, claim: str, measured: str, holds: bool) -> None:
        """Decide a claim."""
        self.verdicts.append(Verdict(claim, measured, holds))


@dataclass(frozen=True)
class Outcome:
    """A load: how it ran, what the sandbox saw of it, and the rows that its table has."""

    run: measure.Run
    requests: int
    refused: int
    rows: int
    right: bool
    """Whether the table has exactly the sandbox's ids, each once."""

    @property
    def rows_per_s(self) -> float:
        """Rows landed a second, start-up aside."""
        return self.rows / self.run.seconds

    def cells(self) -> list[str]:
        """The numbers that every table shows; ``HEADER`` names them."""
        return [
            f"{self.run.seconds:.2f}",
            f"{self.run.wall_s:.2f}",
            f"{self.run.cpu_s:.2f}",
            f"{self.run.peak_mb:.0f}",
            f"{self.requests:,}",
            f"{self.rows_per_s:,.0f}",
            "yes" if self.right else "NO",
        ]


HEADER = ("seconds", "whole process s", "CPU s", "peak MB", "requests", "rows/s", "same ids")


class Shop:
    """A sandbox under load, and a folder for databases."""

    def __init__(self, sandbox: SandboxProcess, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder
        self._ids: dict[str, frozenset[str]] = {}
        self._days: dict[str, tuple[date, date]] = {}
        self._databases = 0

    def forget_truth(self) -> None:
        """The sandbox's rows have changed."""
        self._ids.clear()
        self._days.clear()

    def ids(self, source: str) -> frozenset[str]:
        """All ids that a whole load must land."""
        self._learn(source)
        return self._ids[source]

    def days(self, source: str) -> tuple[date, date]:
        """The first and the last day that a row lies in (UTC)."""
        self._learn(source)
        return self._days[source]

    def new_database(self) -> Path:
        """A database that does not exist yet, in a folder of its own."""
        self._databases += 1
        folder = self.folder / f"database-{self._databases}"
        folder.mkdir()
        return folder / "warehouse.duckdb"

    def job(self, source: str, database: Path, **options: Any) -> Job:  # noqa: ANN401 - a loader's own
        """The load of a whole collection: since the day before its first row."""
        since = f"{self.days(source)[0] - timedelta(days=1)}T00:00:00Z"
        return Job(self.sandbox.url, self.sandbox.api_key, source, since, str(database), options)

    def load(self, loader: str, job: Job) -> Outcome:
        """One load as a process of its own, checked."""
        return self.watch(job, measure.python("-m", f"benchmarks.loaders.{loader}", job.command_line))

    def watch(
        self, job: Job, command: Sequence[str], environment: Mapping[str, str] | None = None, table: str = ""
    ) -> Outcome:
        """Run a command that does a job, and check what it landed."""
        self.sandbox.reset_counts()
        run = measure.run(command, environment)
        return self.outcome(job, run, table or run.report.get("table", ""))

    def outcome(self, job: Job, run: measure.Run, table: str) -> Outcome:
        """What a run came to. Without a table, nothing is checked."""
        counts = self.sandbox.counts()
        rows, right = run.report.get("rows", 0), True
        if table:
            landed = _landed_ids(job.database, table)
            rows = len(landed)
            right = rows == len(self.ids(job.source)) and self.ids(job.source) == frozenset(landed)
        return Outcome(run, counts["total"], counts["refused"], rows, right)

    def _learn(self, source: str) -> None:
        if source not in self._ids:
            rows: Any = self.sandbox.admin("GET", f"truth/{source}")
            self._ids[source] = frozenset(row["id"] for row in rows)
            times = [row[TIME_FIELDS[source]] for row in rows]
            first, last = (datetime.fromisoformat(time).date() for time in (min(times), max(times)))
            self._days[source] = (first, last)


@contextmanager
def shop(settings: Settings, *arguments: str, until: str | None = UNTIL, limits: bool = False) -> Iterator[Shop]:
    """A sandbox with the settings' latency, by default without rate limits."""
    latency = ("--latency-ms", str(settings.latency_ms))
    given = (*latency, *(() if limits else ("--no-rate-limits",)), *(("--until", until) if until else ()), *arguments)
    with sandbox_process(*given) as sandbox, tempfile.TemporaryDirectory(prefix="klaviyo_bench_") as folder:
        yield Shop(sandbox, Path(folder))


def best(outcomes: Sequence[Outcome], *, whole: bool = False) -> Outcome:
    """The fastest: what is left when nothing else disturbs the machine."""
    return min(outcomes, key=lambda outcome: outcome.run.wall_s if whole else outcome.run.seconds)


def _landed_ids(database: str, table: str) -> list[str]:
    import duckdb

    with duckdb.connect(database, read_only=True) as con:
        return [row[0] for row in con.execute(f"SELECT id FROM {table}").fetchall()]
