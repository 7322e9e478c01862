"""The reason of a failed step as a sentence, for alerts, the command line and the history of runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.errors import DagsterUserCodeProcessError
from dagster_shared.error import SerializableErrorInfo

from klaviyo_pipeline.errors import DEBUG, PipelineError, no_secrets

if TYPE_CHECKING:
    from dagster import StepFailureData


@contextmanager
def plain_failures() -> Iterator[None]:
    """Turn this project's errors into Dagster's, with their sentence.

    A retry policy of Dagster retries only passing faults, such as a busy database. Other failures would fail again,
    and have no traceback unless KLAVIYO_DEBUG is set.

    Raises:
        dagster.Failure: instead of a PipelineError, or of any error whose text contains a secret.
    """
    try:
        with no_secrets():
            yield
    except PipelineError as error:
        if os.environ.get(DEBUG):
            raise dg.Failure(str(error), allow_retries=error.retriable) from error
        if error.retriable:
            raise dg.Failure(str(error)) from None
        raise _PlainFailure(str(error)) from None


class _PlainFailure(DagsterUserCodeProcessError, dg.Failure):
    """A failure that Dagster records without a stack trace, so that its UI shows the sentence and nothing else.

    Dagster records a trace for every exception except a DagsterUserCodeProcessError, which brings its own description.
    Dagster never retries one.
    """

    def __init__(self, sentence: str) -> None:
        described = SerializableErrorInfo(sentence, [], "Failure")
        super().__init__(sentence, user_code_process_error_infos=[described])  # type: ignore[no-untyped-call]
        self.allow_retries = False


def reason_of_step(failure: StepFailureData) -> str:
    """The description of a Dagster failure, else the message of the first error; blank without both."""
    if failure.user_failure_data is not None and failure.user_failure_data.description:
        return str(failure.user_failure_data.description)
    error = failure.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip() if error is not None else ""


def reason_of_run(instance: dg.DagsterInstance, run_id: str) -> str:
    """The reason of a failed run: that of its first failed step, else its own; blank if it did not fail."""
    for kind in (dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE):
        for entry in instance.all_logs(run_id, of_type=kind):
            event = entry.dagster_event
            if event is None:
                continue
            reason = reason_of_step(event.step_failure_data) if event.is_step_failure else event.message
            if reason:
                return reason
    return ""
