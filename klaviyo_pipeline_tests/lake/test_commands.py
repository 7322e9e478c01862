"""The commands and runs of the project with KLAVIYO_DESTINATION at a lake, as a person types them."""

from __future__ import annotations

import dagster as dg
import pytest

import klaviyo_pipeline.definitions  # with the default days, before a test sets others
from klaviyo_pipeline.analytics.tables import TABLES
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
from klaviyo_pipeline.upkeep import MAINTAIN_JOB
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.lake import destinations
from klaviyo_pipeline_tests.transfers.workplace import Workplace, place, shop

__all__ = ["place", "shop"]


@pytest.fixture
def on_lake(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    lake = destinations.destination(destinations.POSTGRES, place.root)
    for name, value in destinations.settings_of(lake).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KLAVIYO_PARTITION_START", "2026-09-10")
    return place


def rows(query: str) -> list[tuple[object, ...]]:
    with KlaviyoDuckDBResource().warehouse().reading() as con:
        return con.execute(query).fetchall()


@pytest.mark.lake
def test_load_when_its_tables_are_in_a_lake_then_all_data_sources_and_analytics_land_and_status_counts_them(
    on_lake: Workplace,
) -> None:
    runs = {run["source"]: run for run in on_lake.json("load", "--all")}
    assert [run["error"] for run in runs.values() if run["error"]] == []
    assert list(runs) == [*CORE, *(f"klaviyo_analytics/{name}" for name in TABLES)]
    for name in ("events", "metrics", "lists", "templates"):
        assert rows(f"SELECT count(*) FROM klaviyo.{name}") == [(len(on_lake.truth(name)),)]
    assert rows("SELECT count(*) > 0 FROM klaviyo.list_profiles") == [(True,)]
    again = {run["source"]: run for run in on_lake.json("load", "events", "event_metrics")}
    assert all(run["inserted"] == run["updated"] == 0 and not run["error"] for run in again.values())

    states = {table["table"]: table for table in on_lake.json("status")["tables"]}
    assert states["klaviyo.events"]["rows"] == len(on_lake.truth("events"))


@pytest.mark.lake
def test_maintain_job_when_it_runs_then_merges_the_files_of_a_lake(on_lake: Workplace) -> None:
    for name in ("lists", "templates"):
        on_lake.cli("load", name, "--quiet")
    with dg.DagsterInstance.ephemeral() as instance:
        job = klaviyo_pipeline.definitions.defs.resolve_job_def(MAINTAIN_JOB)
        result = job.execute_in_process(instance=instance)
        assert result.success
        said = [each.user_message for each in instance.all_logs(result.run_id)]
    assert any("files of tables in ducklake:postgres:" in each and ", now " in each for each in said)
    assert rows("SELECT count(*) FROM klaviyo.lists") == [(len(on_lake.truth("lists")),)]
