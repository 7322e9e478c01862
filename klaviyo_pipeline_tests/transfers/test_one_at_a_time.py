"""Runs of one transfer: one at a time, with a limit to the wait and to the run."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.loads import load
from klaviyo_pipeline.loads.run_lock import AnotherRunError, run_lock
from klaviyo_pipeline.orchestration import dagster_home
from klaviyo_pipeline.orchestration.assets.build import build_asset
from klaviyo_pipeline.orchestration.assets.io_manager import KlaviyoDuckDBIOManager
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.transfers.folder import Folder
from klaviyo_pipeline.transfers.loading import spec_of
from klaviyo_pipeline.warehouse.errors import RowsError
from klaviyo_pipeline_tests.transfers.workplace import Workplace


def test_a_run_that_waits_says_for_whom_and_gives_up_at_its_limit(tmp_path: Path) -> None:
    area, heard = StagingArea(tmp_path / "stage"), list[str]()
    with run_lock("transfers/daily", area, heard.append, run_id="run-a"):
        with (
            pytest.raises(AnotherRunError) as caught,
            run_lock("transfers/daily", area, heard.append, run_id="run-b", wait_s=0),
        ):
            pytest.fail("two runs at once")
        assert not heard
        assert re.search(rf"\(run run-a, process {os.getpid()}, since \S+ \S+ UTC\)", str(caught.value))
        assert "same_load_timeout_s" in str(caught.value)
    with (
        run_lock("transfers/daily", area, heard.append, run_id="run-b", wait_s=0),
        pytest.raises(AnotherRunError, match="run run-b"),
        run_lock("transfers/daily", area, heard.append, wait_s=0.05),
    ):
        pytest.fail("two runs at once")
    (said,) = heard
    assert "(run run-b, process" in said
    assert "waiting up to 0 s" in said


def test_a_run_that_gives_up_fails_with_one_sentence_and_reads_nothing(place: Workplace) -> None:
    file = Folder(place.write("daily", "source: lists").parent).get("daily")
    duckdb = KlaviyoDuckDBResource(same_load_timeout_s=0)
    with run_lock("transfers/daily", duckdb.staging_area(), print, run_id="run-a"):
        result = dg.materialize(
            [build_asset(spec_of(file))],
            resources={
                "klaviyo": KlaviyoResource(),
                "duckdb": duckdb,
                "io_manager": KlaviyoDuckDBIOManager(duckdb=duckdb),
            },
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )
    assert not result.success
    (failure,) = [each for each in result.all_events if each.is_step_failure]
    assert "run run-a" in failure.step_failure_data.user_failure_data.description
    assert not (place.root / "data/klaviyo.duckdb").exists()


@pytest.mark.parametrize("fails", [False, True])
def test_a_run_keeps_others_out_until_its_rows_have_landed_or_failed_to(
    place: Workplace, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write("daily", "source: lists")
    area, landing, kept_out = KlaviyoDuckDBResource().staging_area(), load._land, list[str]()

    def watched(*given: Any) -> Any:
        with (
            pytest.raises(AnotherRunError) as caught,
            run_lock("transfers/daily", area, print, wait_s=0),
        ):
            pytest.fail("two runs at once")
        kept_out.append(str(caught.value))
        if fails:
            raise RowsError("No row fits.")
        return landing(*given)

    monkeypatch.setattr(load, "_land", watched)
    result = place.run("daily")

    assert result.success is not fails
    assert [result.run_id in said for said in kept_out] == [True]
    with run_lock("transfers/daily", area, print, wait_s=0):
        pass  # nobody is there any more


@pytest.mark.parametrize("wait_s", [-1, float("inf"), float("nan"), 86_401])
def test_a_wait_without_a_limit_is_refused(wait_s: float) -> None:
    with pytest.raises(ValueError, match="same_load_timeout_s"):
        KlaviyoDuckDBResource(same_load_timeout_s=wait_s)


def test_a_run_has_a_longest_time_in_dagsters_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dagster_home.instance() as instance:
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_max_runtime_seconds == 86_400
