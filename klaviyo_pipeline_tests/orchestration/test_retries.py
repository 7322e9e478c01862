"""Dagster's retry policy: it retries what passes, and nothing else."""

from __future__ import annotations

import dagster as dg
import pytest

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
