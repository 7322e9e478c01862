"""`status` says of every table whether it is in, fresh and free of errors, and its exit code says so to monitors."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

import klaviyo_pipeline.definitions  # noqa: F401 - with the default data sources, before a test sets others
from klaviyo_pipeline import clock
from klaviyo_pipeline.built_in import built_in_definitions
from klaviyo_pipeline.orchestration.assets.io_manager import KlaviyoDuckDBIOManager
from klaviyo_pipeline.orchestration.partitions import daily_partitions
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.overview import overview_definitions
from klaviyo_pipeline.status.gather import gather
from klaviyo_pipeline.status.model import State, Status, TableStatus
from klaviyo_pipeline.status.scope import scope_of_project
from klaviyo_pipeline.transfers.definitions import transfer_definitions
from klaviyo_pipeline.transfers.folder import Folder
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.quota import Booking, book
from klaviyo_pipeline_tests.transfers.workplace import Workplace, load_file

SCHEDULED = """\
in: {type: klaviyo, data_source: lists}
schedule: {cron: "0 * * * *", timezone: UTC, delay: 0}
"""


def at(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    monkeypatch.setattr(clock, "now", lambda: moment)


def status_of(place: Workplace, exit_code: int) -> dict[str, dict[str, Any]]:
    return {table["table"]: table for table in place.json("status", exit_code=exit_code)["tables"]}


@pytest.fixture
def three_sources(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    monkeypatch.setenv("KLAVIYO_SOURCES", "metrics, lists, templates")
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC))  # Dagster's records know the machine's time only
    return place


def test_table_when_loaded_failed_late_or_neither_then_says_so(
    three_sources: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, now = three_sources, datetime.now(UTC)
    place.cli("load", "metrics", "lists")
    found = status_of(place, exit_code=1)
    assert {name: table["state"] for name, table in found.items()} == {
        "klaviyo.metrics": "ok",
        "klaviyo.lists": "ok",
        "klaviyo.templates": "never loaded",
    }
    lists = found["klaviyo.lists"]
    assert lists["rows"] == len(place.truth("lists"))
    assert datetime.fromisoformat(lists["newest_row"]) == max(
        datetime.fromisoformat(row["updated"]) for row in place.truth("lists")
    )
    assert now <= datetime.fromisoformat(lists["last_load"]) <= datetime.now(UTC)
    assert 0 <= lists["lag_s"] < 600
    assert lists["late_s"] is None
    assert lists["rate_limit_used"] > 0
    assert found["klaviyo.templates"]["rows"] is None

    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_wrong")
    place.cli("load", "lists", "templates", exit_code=1)
    found = status_of(place, exit_code=1)
    assert [found[f"klaviyo.{name}"]["state"] for name in ("metrics", "lists", "templates")] == [
        "ok",
        "failed",
        "failed",
    ]
    assert "pk_wrong" not in str(found)
    assert "API key" in found["klaviyo.lists"]["error"]
    assert "\n" not in found["klaviyo.lists"]["error"]
    assert found["klaviyo.lists"]["rows"] == lists["rows"]

    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_sandbox")
    place.cli("load", "lists", "templates")
    found = status_of(place, exit_code=0)
    assert {table["state"] for table in found.values()} == {"ok"}
    assert {table["error"] for table in found.values()} == {""}

    at(monkeypatch, now + timedelta(days=3))
    found = status_of(place, exit_code=1)
    assert {table["state"] for table in found.values()} == {"late"}
    assert 36 * 3600 < 72 * 3600 - found["klaviyo.lists"]["late_s"] <= 37 * 3600


def test_data_source_when_the_key_lacks_its_scope_then_is_skipped_and_nobody_is_called(
    three_sources: Workplace, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_SOURCES", "lists, flows")
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_lists_only")
    defs = built_in_definitions(daily_partitions("2026-09-01", "UTC"))
    keys = [dg.AssetKey(["klaviyo", name]) for name in ("lists", "flows")]
    job = defs.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(asset_selection=keys, instance=instance).success
    found = gather(defs.get_repository_def(), instance, scope_of_project(Folder()))
    assert not found.problems
    assert of(found, "klaviyo/lists").state is State.OK
    assert of(found, "klaviyo/flows").state is State.SKIPPED
    assert "flows:read" in of(found, "klaviyo/flows").error


def test_commands_table_has_a_line_for_each_table_and_problems_only_those_that_need_a_person(
    three_sources: Workplace,
) -> None:
    three_sources.cli("load", "metrics")
    shown = three_sources.cli("status", exit_code=1).stdout
    assert "| klaviyo.metrics | ok " in " ".join(shown.split())
    assert "1 of 3 tables are well." in shown
    assert "No schedule is on" in shown
    problems = three_sources.cli("status", "--problems", exit_code=1).stdout
    assert "| klaviyo.metrics" not in problems
    assert "| klaviyo.templates | never loaded " in " ".join(problems.split())


@pytest.mark.parametrize("command", ["status", "report"])
def test_database_whose_ledger_is_of_another_program_is_refused_in_a_sentence(
    three_sources: Workplace, command: str
) -> None:
    file = Path(KlaviyoDuckDBResource().warehouse().name)
    file.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(file)) as con:
        con.execute("CREATE SCHEMA klaviyo_pipeline; CREATE TABLE klaviyo_pipeline.ledger (entry BIGINT)")
    said = three_sources.cli(command, exit_code=1).stderr
    assert "The table klaviyo_pipeline.ledger lacks deleted, " in said
    assert "another program made it. Use another database." in said


def test_database_that_another_process_holds_is_an_error_after_a_short_wait(
    three_sources: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    three_sources.cli("load", "metrics")
    # The package's attribute of this name is the command.
    monkeypatch.setattr(import_module("klaviyo_pipeline.cli.status"), "PATIENCE_S", 0.1)
    path = KlaviyoDuckDBResource().warehouse().name
    hold = f"import duckdb; con = duckdb.connect({path!r}); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        said = three_sources.cli("status", exit_code=1).stderr
        holder.communicate(b"\n")
    assert f"was held by process {holder.pid} " in said
    assert three_sources.cli("status", exit_code=1).stdout


@pytest.fixture
def instance(place: Workplace) -> dg.DagsterInstance:
    return dg.DagsterInstance.local_temp(str(place.root))


def look(instance: dg.DagsterInstance) -> Status:
    folder, duckdb = Folder(), KlaviyoDuckDBResource()
    resources = {"klaviyo": KlaviyoResource(), "duckdb": duckdb, "io_manager": KlaviyoDuckDBIOManager(duckdb=duckdb)}
    defs = dg.Definitions.merge(dg.Definitions(resources=resources), transfer_definitions(folder))
    return gather(defs.get_repository_def(), instance, scope_of_project(folder))


def of(status: Status, asset: str) -> TableStatus:
    return next(table for table in status.tables if table.asset == asset)


def test_transfer_is_late_when_a_scheduled_run_has_not_landed_within_the_hour(
    place: Workplace, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write("people", SCHEDULED)
    place.write("wrong", "source: nothing\n")
    tick = datetime(2027, 3, 1, 10, tzinfo=UTC)
    at(monkeypatch, tick + timedelta(minutes=5))
    load_file(Folder().get("people"))
    found = look(instance)
    assert of(found, "transfers/people").state is State.OK
    assert of(found, "transfers/people").next_run == tick + timedelta(hours=1)
    assert of(found, "transfers/wrong").state is State.BROKEN
    assert "nothing" in of(found, "transfers/wrong").error
    assert any("daemon has not run" in warning for warning in found.warnings)

    at(monkeypatch, tick + timedelta(hours=1, minutes=59))
    assert of(look(instance), "transfers/people").state is State.OK
    at(monkeypatch, tick + timedelta(hours=2, minutes=1))
    late = of(look(instance), "transfers/people")
    assert late.state is State.LATE
    assert late.late_s == timedelta(hours=1, minutes=1).total_seconds()


def test_quota_of_reports_says_what_is_left_of_the_day(
    place: Workplace, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime(2027, 3, 1, tzinfo=UTC)
    at(monkeypatch, now)
    database = Database(place.root / "data" / "klaviyo.duckdb")
    for hours in (30, 20, 1):
        assert (
            book(database, Booking("AbC", "reports", "flow_values", "run"), now - timedelta(hours=hours), 225) is None
        )
    (quota,) = look(instance).quotas
    assert (quota.account, quota.quota, quota.a_day, quota.left) == ("AbC", "reports", 225, 223)


def test_asset_shows_the_table_of_the_command(
    three_sources: Workplace, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    three_sources.cli("load", "metrics", "lists")
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_wrong")
    three_sources.cli("load", "lists", exit_code=1)
    monkeypatch.setenv("DAGSTER_HOME", str(three_sources.root / ".dagster"))
    made = overview_definitions(running=False)
    with dg.DagsterInstance.get() as kept:
        result = made.resolve_job_def("klaviyo_status_job").execute_in_process(instance=kept)
    (event,) = result.get_asset_materialization_events()
    metadata = event.materialization.metadata
    shown = {record.data["table"]: record.data for record in metadata["status"].records}
    assert {name: record["state"] for name, record in shown.items()} == {
        "klaviyo.metrics": "ok",
        "klaviyo.lists": "failed",
        "klaviyo.templates": "never loaded",
    }
    assert "API key" in metadata["error: klaviyo/lists"].value
    assert shown["klaviyo.metrics"]["rows"] == f"{len(three_sources.truth('metrics')):,}"
    assert metadata["tables_with_problems"].value == 2
    assert "1 of 3 tables are well." in metadata["summary"].value
    assert "pk_wrong" not in str(metadata)
