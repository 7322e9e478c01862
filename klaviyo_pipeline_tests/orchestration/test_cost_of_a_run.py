"""What a run leaves in Dagster's records, and how often it opens the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import pytest

from benchmarks import trivial_asset
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline_tests.incremental.support import QUIET, Project
from klaviyo_pipeline_tests.orchestration.conftest import World

DAY = "2026-11-18"


def load(project: Project, source: str) -> str:
    """Materialize an asset for a day, with its checks; gives the run's id."""
    result = project.job.execute_in_process(
        asset_selection=[dg.AssetKey(["klaviyo", source])],
        partition_key=DAY,
        instance=project.instance,
        run_config=QUIET,
    )
    return result.run_id


def test_run_when_the_database_is_there_then_opens_it_before_the_fetch_to_land_for_the_chart_and_for_checks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(world)
    load(project, "metrics")
    opened = list[str]()
    session = Database._session

    @contextmanager
    def counted(database: Database, *, read_only: bool) -> Iterator[Any]:
        opened.append("read" if read_only else "write")
        with session(database, read_only=read_only) as con:
            yield con

    monkeypatch.setattr(Database, "_session", counted)

    load(project, "metrics")
    of_metrics = opened.copy()
    opened.clear()
    load(project, "events")

    assert of_metrics == ["read", "write", "read"]
    # Also for the chart, and for the references: they are checked once all tables of the run have landed.
    assert opened == ["read", "write", "read", "read", "read"]


def test_records_of_a_run_when_nothing_is_new_then_are_at_most_half_more_than_those_of_an_asset_that_does_nothing(
    world: World,
) -> None:
    project = Project(world)
    load(project, "metrics")
    trivial = dg.materialize(
        [trivial_asset.trivial_metrics, trivial_asset.trivial_checks], instance=project.instance, run_config=QUIET
    )

    ours, theirs = (
        sum(len(entry.to_json()) for entry in project.instance.all_logs(run_id))
        for run_id in (load(project, "metrics"), trivial.run_id)
    )

    assert ours <= 1.5 * theirs
