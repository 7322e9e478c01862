"""Progress that a person can watch: a line in Dagster's log now and then, and a bar where there is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from klaviyo_pipeline import environment

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.extract.progress import Progress

FIRST_LINE_S, LATER_LINES = 10.0, 1.5
"""The first line comes after so many seconds, each further one after half as long again."""


@contextmanager
def reporting(what: str, log: Callable[[str], None]) -> Iterator[Callable[[Progress], None]]:
    """What a fetch calls to show its progress: logs at a sensible pace, and the result in the end.

    With KLAVIYO_PROGRESS=bar (the command line sets it) and a terminal there is a bar as well.
    """
    latest: list[Progress] = []
    next_line_s = FIRST_LINE_S

    def report(progress: Progress) -> None:
        nonlocal next_line_s
        latest[:] = [progress]
        if progress.elapsed_s >= next_line_s:
            log(describe(what, progress))
            next_line_s = progress.elapsed_s * LATER_LINES

    if environment.PROGRESS.value == "bar" and sys.stderr.isatty():
        with _bar(what) as move:

            def report_and_move(progress: Progress) -> None:
                report(progress)
                move(progress)

            yield report_and_move
    else:
        yield report
    if latest:
        log(describe(what, latest[0]))


def describe(what: str, progress: Progress) -> str:
    """Where a fetch is, in one line."""
    parts = [
        f"{what}: {progress.fraction:.0%} read, {progress.rows:,} rows on {progress.pages:,} pages in "
        f"{progress.elapsed_s:.1f} s ({progress.rows_per_second:,.0f} rows/s)",
        f"{progress.slices_running} slices running and {progress.slices_waiting} waiting",
        f"limit {progress.limit_per_minute:,.0f} requests a minute",
    ]
    if progress.resumed_rows:
        parts.append(f"{progress.resumed_rows:,} rows were there from a run that was cut off")
    if progress.limit_wait_s >= 1:
        parts.append(f"waited {progress.limit_wait_s:,.0f} s for the rate limit")
    if progress.retries:
        parts.append(f"{progress.retries} retries, {progress.retry_wait_s:,.0f} s waited for them")
    return "; ".join(parts) + "."


@contextmanager
def _bar(what: str) -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description:15}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%  {task.fields[detail]}"),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=1.0, detail="")

        def move(progress: Progress) -> None:
            detail = f"{progress.rows:,} rows, {progress.rows_per_second:,.0f}/s"
            bar.update(task, completed=progress.fraction, detail=detail)

        yield move
