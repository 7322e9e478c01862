"""Checks as they run along with loads: what stops what follows, what only warns, and what rows they look at."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest
from filelock import FileLock

from klaviyo_pipeline.klaviyo.catalogue.columns import Allowed
from klaviyo_pipeline.loads.quality import key_findings, landed_table
from klaviyo_pipeline.orchestration.checks.data import ATTRIBUTES, DATA_CHECKS, PRIMARY_KEY, REFERENCES, TYPES, VALUES
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
from klaviyo_pipeline.sandbox.faults.plan import Fault, FaultPlan
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.incremental.support import QUIET, Project, evaluations
from klaviyo_pipeline_tests.orchestration.conftest import LAST_DAY, World

DAY = "2026-11-18"
WARN = dg.AssetCheckSeverity.WARN


def load(project: Project, *sources: str, config: dict[str, Any] | None = None) -> dg.ExecuteInProcessResult:
    """Materialize assets for a day, with their checks; the run may fail."""
    ops = {f"klaviyo__{source}": {"config": config} for source in sources} if config else {}
    return project.job.execute_in_process(
        asset_selection=[dg.AssetKey(["klaviyo", source]) for source in sources],
        partition_key=DAY,
        instance=project.instance,
        run_config={**QUIET, "ops": ops},
        raise_on_error=False,
    )


def materialized(result: dg.ExecuteInProcessResult) -> set[str]:
    return {event.asset_key.path[-1] for event in result.get_asset_materialization_events() if event.asset_key}


def test_broken_key_stops_what_follows_in_the_same_run_and_nothing_else(world: World) -> None:
    project = Project(world)
    assert load(project, "events", "event_metrics").success
    with project.duckdb.warehouse().writing() as connection:
        connection.execute("UPDATE klaviyo.events SET id = NULL WHERE id = (SELECT min(id) FROM klaviyo.events)")

    result = load(project, "events", "event_metrics", "event_profiles", "metrics")

    assert not result.success
    assert materialized(result) == {"events", "metrics"}
    found = evaluations(result, PRIMARY_KEY)
    assert set(found) == {"events", "metrics"}
    assert not found["events"].passed
    assert found["metrics"].passed


def test_rows_that_were_appended_twice_only_warn(world: World) -> None:
    project = Project(world)
    assert load(project, "events").success

    result = load(project, "events", config={"write_mode": "append"})

    found = evaluations(result, PRIMARY_KEY)["events"]
    assert result.success
    assert (found.passed, found.severity) == (False, WARN)
    assert "A load appended rows" in found.description


def test_key_is_looked_up_in_the_whole_table_but_only_for_rows_that_the_run_read(world: World) -> None:
    project = Project(world)
    assert world.run("events", days=("2026-11-13", LAST_DAY)).success
    elsewhere = "INSERT INTO klaviyo.events FROM klaviyo.events WHERE datetime < '2026-11-18' LIMIT 1"
    of_this_day = (
        "INSERT INTO klaviyo.events BY NAME SELECT * REPLACE (datetime - INTERVAL 3 DAY AS datetime) "
        "FROM klaviyo.events WHERE datetime::DATE = '2026-11-18' LIMIT 1"
    )
    with project.duckdb.warehouse().writing() as connection:
        connection.execute(elsewhere)

    result = load(project, "events")

    found = evaluations(result, PRIMARY_KEY)["events"]
    assert found.passed
    assert found.metadata["rows_looked_at"].value == len(world.ids("events", DAY, "2026-11-19"))
    # A run that merges or replaces repairs the keys that it reads, so this one is broken behind its back.
    with project.duckdb.warehouse().writing() as connection:
        connection.execute(of_this_day)
        table = landed_table(
            connection,
            "klaviyo",
            "events",
            ledger_name="events",
            run_id=result.run_id,
            partition_key="datetime",
        )
        assert key_findings(table, ("id",)).repeated == 1


def test_table_named_in_the_run_config_is_the_one_looked_at(world: World) -> None:
    project = Project(world)

    result = load(project, "lists", config={"table": "other_lists"})

    assert evaluations(result, PRIMARY_KEY)["lists"].metadata["rows_looked_at"].value == len(world.ids("lists"))


def test_references_are_looked_at_once_the_other_tables_have_landed(world: World) -> None:
    project = Project(world)

    result = load(project, "event_metrics", "events", "metrics")

    events = evaluations(result, REFERENCES)["events"]
    assert events.passed
    assert "Found all of metric_id in metrics" in events.description


@pytest.mark.parametrize(("fault", "check"), [("unknown-attributes", ATTRIBUTES), ("wrong-types", TYPES)])
def test_what_klaviyo_changes_by_itself_warns_and_fails_no_load(world: World, fault: str, check: str) -> None:
    project = Project(world)
    world.sandbox.app.plan_faults(FaultPlan(3, [Fault(fault)]))

    result = load(project, "templates")

    assert result.success
    found = {each.check_name: each for each in result.get_asset_check_evaluations()}
    other = ATTRIBUTES if check == TYPES else TYPES
    assert (found[check].passed, found[check].severity, found[other].passed) == (False, WARN, True)
    details = next(iter(found[check].metadata.values()))
    assert details.value >= 1
    if check == ATTRIBUTES:
        assert "brand_new" in found[check].description


def test_odd_value_from_klaviyo_warns_in_the_load_that_brings_it(world: World) -> None:
    project = Project(world)
    campaign = world.truth("campaigns")[0]["id"]
    world.sandbox.store.put("campaigns", [{"id": campaign, "status": "Teleported"}])

    result = load(project, "campaigns", config={"start_time": "2024-01-01"})

    found = evaluations(result, VALUES)["campaigns"]
    assert result.success
    assert found.metadata["rows_by_value"].value == {"status": {"Teleported": 1}}


def test_database_that_is_busy_then_could_not_be_checked_and_the_load_is_no_worse(world: World) -> None:
    project = Project(world)
    assert load(project, "lists").success
    patient = KlaviyoDuckDBResource(database=str(world.path), lock_timeout_s=0.1)
    checks = project.definitions.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection=set(),
        asset_check_selection={
            dg.AssetCheckKey(dg.AssetKey(["klaviyo", "lists"]), each.name)
            for each in DATA_CHECKS
            if each.name != VALUES
        },
    )

    with FileLock(f"{world.path}.lock"):
        result = checks.execute_in_process(
            instance=project.instance, run_config=QUIET, resources={"duckdb": patient, "klaviyo": project.klaviyo}
        )

    assert result.success
    found = result.get_asset_check_evaluations()
    assert len(found) == len(DATA_CHECKS) - 1
    for each in found:
        assert (each.passed, each.severity) == (False, WARN)
        assert each.description.startswith("The check could not run:")


def test_documented_values_are_those_of_the_openapi_documents() -> None:
    """Where the documents lie beside the repository; the catalogue has what its revisions name, and no more."""
    from klaviyo_pipeline_tests.sandbox.openapi import DOCUMENTS, document

    if not DOCUMENTS.exists():
        pytest.skip("Klaviyo's OpenAPI documents are not here")
    named: dict[tuple[str, str], set[str]] = {}
    for revision in ("2025-01-15", "2026-07-15", "2026-10-15"):
        for path, name in (("/api/campaigns", "campaigns"), ("/api/lists", "lists"), ("/api/profiles", "profiles")):
            answer = document(revision)["paths"][path]["get"]["responses"]["200"]
            schema = next(iter(answer["content"].values()))["schema"]
            for at, values in enums(document(revision), schema, ()):
                named.setdefault((name, at), set()).update(values)
    for source, column, at in (
        ("campaigns", "status", "data.attributes.status"),
        ("campaigns", "send_strategy", "data.attributes.send_strategy.method"),
        ("campaigns", "channel", "included.attributes.definition.channel"),
        ("lists", "opt_in_process", "data.attributes.opt_in_process"),
        ("profiles", "predictive_analytics", "data.attributes.predictive_analytics.ranked_channel_affinity"),
    ):
        (allowed,) = next(each.allowed for each in CORE[source].columns if each.name == column)
        assert isinstance(allowed, Allowed)
        later = {"draft", "scheduled", "sending", "sent", "cancelled"} if column == "status" else set()
        assert allowed.values == named[source, at] | later


def enums(documented: dict[str, Any], schema: Any, path: tuple[str, ...]) -> list[tuple[str, set[str]]]:
    """Where a schema names values of text, and which."""
    if len(path) > 8 or not isinstance(schema, dict):
        return []
    while "$ref" in schema:
        *_, name = schema["$ref"].split("/")
        schema = documented["components"]["schemas"][name]
    found = [(".".join(path), {each for each in schema["enum"] if isinstance(each, str)})] if "enum" in schema else []
    for name, inner in schema.get("properties", {}).items():
        found += enums(documented, inner, (*path, name))
    for inner in (
        *(part for kind in ("oneOf", "anyOf", "allOf") for part in schema.get(kind, ())),
        schema.get("items"),
    ):
        found += enums(documented, inner, path)
    return found
