"""A sensor that starts a run when a file appears or changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

CHECK_EVERY_S = 30
_WAITING = ""
"""The cursor's key of the changes for which a reload was asked; no file has a blank name."""


@dataclass(frozen=True)
class Watched:
    """A watched file: its name, a digest of its content, and the job to run."""

    name: str
    digest: str
    job: str
    tags: Mapping[str, str]


def changed_files_sensor(
    *,
    name: str,
    jobs: Sequence[Any],
    job_names: Sequence[str],
    watched: Callable[[], Sequence[Watched]],
    not_loaded: Callable[[], str],
    reload: Callable[[], str],
    description: str,
) -> dg.SensorDefinition:
    """A sensor that starts a run of a file's job if the file is new or its content has changed.

    Args:
        name: The sensor's name.
        jobs: The jobs that it may start.
        job_names: Their names.
        watched: Returns the files to watch, at each tick.
        not_loaded: Names changes that need a reload of the code location; blank if none does.
        reload: Asks for a reload, and says what became of it. Called once for the same changes.
        description: For people.
    """

    @dg.sensor(
        name=name,
        jobs=list(jobs) or None,
        minimum_interval_seconds=CHECK_EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=description,
    )
    def changed_files(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        seen: dict[str, str] = json.loads(context.cursor or "{}")
        known = [file for file in watched() if file.job in job_names]
        changed = [file for file in known if seen.get(file.name) != file.digest]
        waiting = not_loaded()
        now = {file.name: file.digest for file in known} | ({_WAITING: waiting} if waiting else {})
        cursor = json.dumps(now, sort_keys=True)
        if not changed:
            context.update_cursor(cursor)
            asked = reload() if waiting and seen.get(_WAITING) != waiting else ""
            return dg.SkipReason(" ".join(filter(None, ["No file with run_on_change has changed.", waiting, asked])))
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(run_key=f"{file.name}:{file.digest}", job_name=file.job, tags=dict(file.tags))
                for file in changed
            ],
            cursor=cursor,
        )

    return changed_files
