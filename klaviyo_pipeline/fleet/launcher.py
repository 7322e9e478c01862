"""Dagster's launcher of runs on Celery's workers, which notices a worker that has died."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

if TYPE_CHECKING:
    import dagster as dg

ANSWER_S = 5.0
"""A worker answers within this time, also while it runs something: another process of it does that."""
ATTEMPTS = 3


class WatchedCeleryRunLauncher(CeleryRunLauncher):  # type: ignore[misc]
    """Asks the worker that has a run whether it still runs it.

    Dagster's own launcher believes the result backend. There a run stays "started" forever if its worker was killed
    or its machine went away, so Dagster never fails the run and never retries it. ``dagster.yaml`` names this class.
    """

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """The health of the worker of a run, for Dagster's run monitoring."""
        known: CheckRunHealthResult = super().check_run_worker_health(run)
        if known.status is not WorkerStatus.RUNNING:
            return known
        task = run.tags[DAGSTER_CELERY_TASK_ID_TAG]
        worker = (self.celery.AsyncResult(task).info or {}).get("hostname")
        if worker is None or any(self._has(worker, task) for _ in range(ATTEMPTS)):
            return known
        # It may have ended meanwhile.
        known = super().check_run_worker_health(run)
        if known.status is not WorkerStatus.RUNNING:
            return known
        return CheckRunHealthResult(WorkerStatus.FAILED, f"The worker {worker} does not run it any more.")

    def _has(self, worker: str, task: str) -> bool:
        found = self.celery.control.inspect(destination=[worker], timeout=ANSWER_S).query_task(task)
        return bool((found or {}).get(worker, {}).get(task))
