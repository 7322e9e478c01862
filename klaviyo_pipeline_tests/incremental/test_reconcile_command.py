"""`klaviyo-pipeline reconcile`: what differs from Klaviyo's counts, and --repair, as a person types them."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from klaviyo_pipeline.cli import main
from klaviyo_pipeline.sandbox.faults.plan import Fault, FaultPlan
from klaviyo_pipeline_tests.incremental.support import Project, put_event
from klaviyo_pipeline_tests.orchestration.conftest import World

DAYS = ("2026-11-13", "2026-11-20")


@pytest.fixture
def landed(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_sandbox")
    monkeypatch.setenv("KLAVIYO_BASE_URL", world.sandbox.url)
    monkeypatch.setenv("KLAVIYO_DUCKDB_PATH", str(world.path))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    assert world.run("events", "event_metrics", "list_profiles", days=DAYS).success
    return world


def _reconcile(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["reconcile", *arguments])


def test_reconcile_when_counts_agree_then_says_so(landed: World) -> None:
    result = _reconcile()

    assert result.exit_code == 0, result.output
    assert "as many as Klaviyo counts" in result.output


def test_reconcile_when_events_came_late_then_names_them_and_repair_reads_them(landed: World) -> None:
    late = put_event(landed, "2026-11-14T08:00:00+00:00")

    found = _reconcile("--from", "2026-11-13", "--to", "2026-11-16")
    assert found.exit_code == 1
    assert "2026-11-14" in found.output
    assert "1 counts differ" in found.output
    assert _reconcile("--from", "2026-11-15").exit_code == 0

    repaired = _reconcile("--repair", "--json")

    assert repaired.exit_code == 0, repaired.output
    assert json.loads(repaired.stdout)["differences"] == []
    assert late in landed.column("SELECT id FROM klaviyo.events")
    assert late in landed.column("SELECT event_id FROM klaviyo.event_metrics")


def test_reconcile_members_when_somebody_left_then_names_the_list_and_repair_reads_it(landed: World) -> None:
    member = landed.truth("members")[0]
    landed.sandbox.store.remove_member(member["list_id"], member["profile_id"])

    found = _reconcile("--members")
    assert found.exit_code == 1
    assert member["list_id"] in found.output

    assert _reconcile("--members", "--repair").exit_code == 0
    assert _reconcile("--members").exit_code == 0


@pytest.mark.parametrize("arguments", [["--from", "yesterday"], ["--nope"]])
def test_reconcile_when_the_input_is_wrong_then_exit_code_2(arguments: list[str]) -> None:
    result = _reconcile(*arguments)

    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_reconcile_when_nothing_has_landed_then_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_DUCKDB_PATH", str(world.path))
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_sandbox")

    result = _reconcile()

    assert result.exit_code == 0
    assert "No day of events has landed yet" in result.output


def test_day_that_the_sandbox_drops_is_named_with_its_metrics_until_the_repair_has_read_it(landed: World) -> None:
    day = "2026-11-17"
    landed.path.unlink()
    landed.sandbox.app.plan_faults(FaultPlan(1, [Fault("drop-day", argument=day)]))
    assert landed.run("events", "event_metrics", days=DAYS).success
    landed.sandbox.app.plan_faults(FaultPlan())
    names = {metric["id"]: metric["name"] for metric in landed.truth("metrics")}
    dropped = {names[row["metric_id"]] for row in landed.truth("events", day, "2026-11-18") if row["metric_id"]}
    project = Project(landed)

    found = project.compare()["events"]

    assert not found.passed
    assert found.metadata["differing_days"].value == [day]
    assert f"on {day}, of" in found.description
    assert {record.data["metric"] for record in found.metadata["first_differences"].records} == dropped
    assert sorted(dropped)[0] in found.description
    assert _reconcile("--repair").exit_code == 0
    assert project.compare()["events"].passed
