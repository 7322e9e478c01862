"""Dagster's retry policy: it retries what passes, and nothing else."""

from __future__ import annotations

import dagster as dg
import pytest
from dagster_shared.error import SerializableErrorInfo

from klaviyo_pipeline.errors import ConfigurationError, PipelineError
from klaviyo_pipeline.klaviyo.errors import (
    AuthenticationError,
    IncompleteError,
    RateLimitedError,
    UnavailableError,
    UnreadablePageError,
)
from klaviyo_pipeline.loads.run_lock import AnotherRunError
from klaviyo_pipeline.orchestration.failures import plain_failures
from klaviyo_pipeline.warehouse.errors import DatabaseBusyError, OwnerError, RowsError, StorageFullError

PASSING = (UnavailableError, RateLimitedError, DatabaseBusyError)
LASTING = (
    *(ConfigurationError, AuthenticationError, IncompleteError, UnreadablePageError, AnotherRunError),
    *(OwnerError, RowsError, StorageFullError),
)


@pytest.mark.parametrize(
    ("kind", "tries"), [*((kind, 3) for kind in PASSING), *((kind, 1) for kind in LASTING)], ids=lambda each: str(each)
)
def test_run_with_a_retry_policy_tries_again_after_passing_faults_only(kind: type[PipelineError], tries: int) -> None:
    tried: list[int] = []

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=2))
    def failing() -> None:
        tried.append(1)
        with plain_failures():
            raise kind("What was wrong. What is allowed.")

    result = dg.materialize([failing], raise_on_error=False)

    assert not result.success
    assert len(tried) == tries
    (failure,) = [each for each in result.all_events if each.is_step_failure]
    assert failure.step_failure_data.user_failure_data.description == "What was wrong. What is allowed."


def test_run_that_fails_for_good_records_the_sentence_and_no_trace_of_its_step_or_of_the_run() -> None:
    errors = _recorded_errors(ConfigurationError)

    assert errors
    for error in errors:
        assert error.to_string().strip() == "What was wrong. What is allowed."
        assert error.stack == []


def test_run_that_fails_for_now_records_the_sentence_first_and_its_trace_once() -> None:
    errors = _recorded_errors(DatabaseBusyError)

    assert errors
    for error in errors:
        assert error.to_string().partition("\n")[0].endswith("What was wrong. What is allowed.")
        assert error.cause is None
        assert error.context is None


def _recorded_errors(kind: type[PipelineError]) -> list[SerializableErrorInfo]:
    """The errors of a run that fails with this kind, of its step and of the run."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([_failing_with(kind)], instance=instance, raise_on_error=False)
        failures = [
            each.dagster_event
            for each in instance.all_logs(result.run_id)
            if each.dagster_event is not None and each.dagster_event.is_failure
        ]
    errors = [
        each.step_failure_data.error if each.is_step_failure else each.job_failure_data.error for each in failures
    ]
    return [error for error in errors if error is not None]


def test_run_that_fails_has_a_trace_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_DEBUG", "1")

    result = dg.materialize([_failing_with(ConfigurationError)], raise_on_error=False)

    (failure,) = [each for each in result.all_events if each.is_step_failure]
    assert "ConfigurationError" in failure.step_failure_data.error.to_string()
    assert "test_retries.py" in failure.step_failure_data.error.to_string()


def _failing_with(kind: type[PipelineError]) -> dg.AssetsDefinition:
    @dg.asset
    def failing() -> None:
        with plain_failures():
            raise kind("What was wrong. What is allowed.")

    return failing
