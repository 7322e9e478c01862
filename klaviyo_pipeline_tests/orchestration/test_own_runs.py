"""Runs that commands execute are runs of this code location, so that Dagster's UI shows them in its timeline."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from klaviyo_pipeline.orchestration.own_runs import execute_here

ROOT = Path(__file__).parents[2]


@dg.op
def fails() -> None:
    raise ValueError("no")


@dg.op
def succeeds() -> None:
    pass


@dg.job(executor_def=dg.in_process_executor)
def good() -> None:
    succeeds()


@dg.job(executor_def=dg.in_process_executor)
def bad() -> None:
    fails()


def test_run_of_a_command_belongs_to_the_code_location_also_when_it_fails(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        assert execute_here(good, instance, run_config=quiet).success
        with pytest.raises(ValueError, match="no"):
            execute_here(bad, instance, run_config=quiet)
        label = "__repository__@klaviyo_pipeline"
        assert f"location_name: {label.split('@')[1]}" in (ROOT / "workspace.yaml").read_text()
        found = instance.get_runs(dg.RunsFilter(tags={".dagster/repository": label}))
        assert {(run.job_name, run.is_success) for run in found} == {("good", True), ("bad", False)}
        for run in found:
            assert run.remote_job_origin is not None
            assert run.remote_job_origin.repository_origin.get_label() == label
