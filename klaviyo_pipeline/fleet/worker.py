"""The Celery app of a worker, with the broker and the settings of ``dagster.yaml``.

Start a worker with ``celery -A klaviyo_pipeline.fleet.worker worker``.
"""

from __future__ import annotations

import dagster as dg
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tasks import create_execute_job_task, create_resume_job_task

from klaviyo_pipeline.errors import ConfigurationError


def _app() -> object:
    launcher = dg.DagsterInstance.get().run_launcher
    if not isinstance(launcher, CeleryRunLauncher):
        raise ConfigurationError(
            "dagster.yaml in DAGSTER_HOME has no run_launcher for Celery. Take deploy/celery/dagster.yaml."
        )
    create_execute_job_task(launcher.celery)
    create_resume_job_task(launcher.celery)
    return launcher.celery


app = _app()
