"""Runs that a command executes in its own process, recorded as runs of this code location.

Dagster notes the code location only for runs that its web server or daemon starts. Its UI leaves all others out of the
timeline and of a job's runs.
"""

from __future__ import annotations

from typing import Any

import dagster as dg
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.storage.tags import REPOSITORY_LABEL_TAG
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.utils import make_new_run_id

LOCATION = "klaviyo_pipeline"
"""The code location's name in workspace.yaml and pyproject.toml."""


def execute_here(job: dg.JobDefinition, instance: dg.DagsterInstance | None, **given: Any) -> dg.ExecuteInProcessResult:  # noqa: ANN401
    """``job.execute_in_process``, with a record that Dagster's UI shows like that of any other run.

    Raises:
        Exception: of the run, if ``raise_on_error`` is not off.
    """
    run_id = make_new_run_id()
    try:
        return job.execute_in_process(instance=instance, run_id=run_id, **given)
    finally:
        if instance is not None and not instance.is_ephemeral:
            _note_location(instance, run_id)


def _note_location(instance: dg.DagsterInstance, run_id: str) -> None:
    run = instance.get_run_by_id(run_id)
    if run is None or run.remote_job_origin is not None:
        return
    target = LoadableTargetOrigin(module_name=f"{LOCATION}.definitions")
    location = InProcessCodeLocationOrigin(target, location_name=LOCATION)
    origin = RemoteRepositoryOrigin(location, SINGLETON_REPOSITORY_NAME)
    # The tag first: replace_job_origin writes it into the run, but not into the table that filters look at.
    instance.add_run_tags(run_id, {REPOSITORY_LABEL_TAG: origin.get_label()})
    instance.run_storage.replace_job_origin(run, origin.get_job_origin(run.job_name))
