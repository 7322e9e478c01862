"""Old runs in DAGSTER_HOME: Dagster keeps every run and its log until somebody deletes them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import dagster as dg

from klaviyo_pipeline.private_files import is_plain_file, is_plain_folder

_PACKAGE = __name__.partition(".")[0]
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PAGE = 500


@dataclass(frozen=True)
class OldRun:
    """An old run: when it ended (UTC), and the files and folders of this run only."""

    run_id: str
    ended: datetime
    paths: tuple[Path, ...]
    size: int


def old_runs(instance: dg.DagsterInstance, home: Path, before: datetime) -> Iterator[OldRun]:
    """The runs of this package's definitions that ended before a time. Runs of other code are left out.

    Args:
        instance: Dagster's records.
        home: DAGSTER_HOME, where Dagster keeps files of each run.
        before: An aware time.
    """
    cursor: str | None = None
    filters = dg.RunsFilter(statuses=_FINISHED, updated_before=before)
    while records := instance.get_run_records(filters, limit=_PAGE, cursor=cursor):
        for record in records:
            run = record.dagster_run
            if _is_ours(run) and _RUN_ID.fullmatch(run.run_id):
                paths = tuple(_paths(home, run.run_id))
                yield OldRun(run.run_id, record.update_timestamp, paths, sum(map(_size, paths)))
        cursor = records[-1].dagster_run.run_id


def remove(instance: dg.DagsterInstance, run: OldRun) -> None:
    """Delete a run, its log and its files. Dagster keeps its materializations."""
    instance.delete_run(run.run_id)
    for path in run.paths:
        if is_plain_folder(path):
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _is_ours(run: dg.DagsterRun) -> bool:
    origin = run.job_code_origin
    module = getattr(origin.repository_origin.code_pointer, "module", "") if origin else ""
    return module.partition(".")[0] == _PACKAGE


def _paths(home: Path, run_id: str) -> Iterator[Path]:
    """The files of a run, by the names that Dagster gives them. Links are not followed."""
    for suffix in ("", "-shm", "-wal"):
        log = home / "history" / "runs" / f"{run_id}.db{suffix}"
        if is_plain_file(log):
            yield log
    output = home / "storage" / run_id
    if is_plain_folder(output):
        yield output


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(each.lstat().st_size for each in files)
