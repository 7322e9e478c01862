"""What Dagster sees of transfers, and what it must not see."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from klaviyo_pipeline.orchestration.assets.io_manager import KlaviyoDuckDBIOManager
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.transfers.definitions import SENSOR, transfer_definitions
from klaviyo_pipeline.transfers.folder import Broken, Folder
from klaviyo_pipeline.transfers.preview_job import preview_job
from klaviyo_pipeline_tests.transfers.workplace import EXAMPLE, Workplace


def definitions() -> dg.Definitions:
    duckdb = KlaviyoDuckDBResource()
    resources = {"klaviyo": KlaviyoResource(), "duckdb": duckdb, "io_manager": KlaviyoDuckDBIOManager(duckdb=duckdb)}
    return dg.Definitions.merge(
        dg.Definitions(jobs=[preview_job], resources=resources, executor=dg.in_process_executor),
        transfer_definitions(Folder()),
    )


def test_a_transfer_becomes_an_asset_a_job_and_if_it_repeats_a_schedule(place: Workplace) -> None:
    place.write("weekly", "source: events\ndestination: {table: orders, database: shop}\nschedule: {cron: '0 5 * * 1'}")
    place.write("by_hand", "source: metrics")

    made = definitions()

    specs = {spec.key.to_user_string(): spec for spec in made.resolve_all_asset_specs()}
    assert sorted(specs) == ["transfers/by_hand", "transfers/weekly"]
    weekly = specs["transfers/weekly"]
    assert weekly.group_name == "transfers"
    assert weekly.partitions_def is None
    assert weekly.metadata["table"] == "orders"
    assert weekly.metadata["database"] == "data/shop.duckdb"
    assert {"weekly", "by_hand"} < {job.name for job in made.resolve_all_job_defs()}
    assert [schedule.name for schedule in made.schedules or ()] == ["weekly_schedule"]
    dg.Definitions.validate_loadable(made)


def test_start_up_imports_nothing_that_is_slow(place: Workplace) -> None:
    for number in range(3):
        place.write(f"daily_{number}", "source: lists\nschedule: {cron: '@daily'}")
    slow = ("pandas", "pyarrow", "numpy", "PIL", "requests", "jsonschema", "rich")
    program = (
        "import dagster, gc, sys; before = gc.get_stats()[2]['collections']; import klaviyo_pipeline.definitions; "
        f"print([name for name in {slow} if name in sys.modules], gc.get_stats()[2]['collections'] - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    # Nor does Python look through all objects of Dagster meanwhile, which takes 0.1 s of CPU time.
    assert done.stdout == "[] 0\n"


def test_the_example_for_the_folder_is_no_transfer_of_the_project() -> None:
    root = Path(__file__).parents[2] / "transfers"
    assert not Folder(root).all()
    examples = Folder(root / "examples").all()
    assert examples
    assert not [example for example in examples if isinstance(example, Broken)]


def test_a_broken_file_fails_itself_and_no_other(place: Workplace, caplog: pytest.LogCaptureFixture) -> None:
    place.write("good", "source: lists")
    place.write("bad", "source: lists\noptions: {list_ids: [a]}")
    place.write("worse", "{{{")
    (place.root / "transfers" / "not-a-name.yml").write_text("source: lists")
    (place.root / "transfers" / "good.yaml").write_text("source: events")

    made = definitions()

    assert [spec.key.to_user_string() for spec in made.resolve_all_asset_specs()] == ["transfers/good"]
    assert "bad.yml:2:11: options.list_ids is not taken" in caplog.text
    assert "worse.yml" in caplog.text
    broken = {file.path.name for file in Folder().all() if isinstance(file, Broken)}
    assert len(broken) == 4


def test_no_key_is_in_config_metadata_or_tags_that_dagster_keeps(place: Workplace) -> None:
    place.write("daily", EXAMPLE.replace("xxx", "pk_literal_secret"))
    place.write("named", "source: lists\napi_token: ${KLAVIYO_API_KEY}")

    made = definitions()

    for job in made.resolve_all_job_defs():
        if job.name in {"daily", "named"}:
            shown = json.dumps([dict(job.tags), job.description, str(job.run_config)])
            assert "secret" not in shown
            assert "pk_sandbox" not in shown
    for spec in made.resolve_all_asset_specs():
        assert "secret" not in str(spec)
        assert "secret" not in str(spec.metadata)
    outcome = place.run("daily")
    assert not outcome.success
    assert "does not accept the API key" in outcome.message
    assert "secret" not in outcome.message


def test_accounts_by_name_read_their_own_key_and_say_which_variable_is_missing(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.root / "authentications.yml").write_text("uk:\n  api_key: ${UK_KEY}\n  revision: '2026-01-15'\n")
    place.write("daily", "source: lists\nauthentication: uk")
    assert "The environment variable UK_KEY is not set" in place.run("daily").message
    monkeypatch.setenv("UK_KEY", "pk_lists_only")
    assert place.run("daily").success
    assert place.sql("SELECT revision FROM klaviyo.klaviyo_pipeline.ledger") == [("2026-01-15",)]
    place.write("events", "source: events\nauthentication: uk")
    assert "events:read" in place.run("events").message


def test_key_from_the_environment_works_in_treasure_datas_form(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KLAVIYO_API_KEY")
    monkeypatch.setenv("MY_KEY", "xxx")
    place.write("daily", EXAMPLE.replace("xxx", "${MY_KEY}"))
    assert not Folder().get("daily").warnings
    assert place.run("daily").success


def test_run_config_wins_over_the_file(place: Workplace) -> None:
    place.write("daily", "source: lists\noptions: {start_time: '2026-09-01'}")
    config = {"start_time": "2020-01-01", "write_mode": "append", "table": "elsewhere", "schema_name": "other"}

    result = (
        definitions()
        .resolve_job_def("daily")
        .execute_in_process(run_config={"ops": {"transfers__daily": {"config": config}}}, raise_on_error=False)
    )

    assert result.success
    assert place.sql("SELECT count(*) FROM other.elsewhere") == [(len(place.truth("lists")),)]


def test_sensor_runs_a_transfer_that_asks_for_it_when_its_file_appears_or_changes(place: Workplace) -> None:
    text = "source: lists\nrun_on_change: true\n"
    place.write("watched", text)
    place.write("other", "source: lists")
    (sensor,) = transfer_definitions(Folder()).sensors or ()
    assert isinstance(sensor, dg.SensorDefinition)
    assert (sensor.name, sensor.default_status) == (SENSOR, dg.DefaultSensorStatus.RUNNING)

    def look(cursor: str | None) -> tuple[list[str | None], str | None]:
        with dg.build_sensor_context(cursor=cursor) as context:
            result = sensor.evaluate_tick(context)
        return [request.job_name for request in result.run_requests or ()], result.cursor

    asked, cursor = look(None)
    assert asked == ["watched"]
    assert look(cursor)[0] == []
    place.write("watched", text + "# changed\n")
    asked, cursor = look(cursor)
    assert asked == ["watched"]
    place.write("watched", "source: nothing\nrun_on_change: true")
    assert look(cursor)[0] == []
    place.write("fresh", text)
    asked, _cursor = look(cursor)
    assert asked == []  # there is no job for it before a reload


def test_sensor_names_the_files_that_wait_for_a_reload(place: Workplace) -> None:
    for name in ("kept", "leaving", "moved"):
        place.write(name, "source: lists\nschedule: {cron: '@daily'}")
    (sensor,) = transfer_definitions(Folder()).sensors or ()
    assert isinstance(sensor, dg.SensorDefinition)

    def says() -> str:
        with dg.build_sensor_context() as context:
            return str(sensor.evaluate_tick(context).skip_message)

    assert says() == "No file with run_on_change has changed."
    place.write("kept", "source: lists\nschedule: {cron: '@daily', paused: true}\noptions: {filter_by: created}")
    place.write("moved", "source: lists\nschedule: {cron: '@hourly'}")
    place.write("fresh", "source: lists")
    place.write("leaving", "").unlink()
    assert says().endswith(
        "Reload this code location for transfers that are new: fresh; gone: leaving; with another schedule: moved."
    )


def test_sensor_when_accounts_have_changed_then_asks_for_one_reload_and_names_the_file(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.root / "klaviyo.yml").write_text("accounts: {us: {api_key_env: US_KEY}}")
    (sensor,) = transfer_definitions(Folder()).sensors or ()
    assert isinstance(sensor, dg.SensorDefinition)
    monkeypatch.setenv("KLAVIYO_DAGSTER_URL", place.sandbox.url)  # which answers, but is no Dagster

    def look(cursor: str | None) -> tuple[str, str | None]:
        with dg.build_sensor_context(cursor=cursor) as context:
            found = sensor.evaluate_tick(context)
            return str(found.skip_message), found.cursor

    said, cursor = look(None)
    assert said == "No file with run_on_change has changed."
    (place.root / "klaviyo.yml").write_text("accounts: {us: {api_key_env: US_KEY}, uk: {api_key_env: UK_KEY}}")
    said, cursor = look(cursor)
    assert "Reload this code location for the accounts in klaviyo.yml." in said
    assert "did not reload its code location" in said
    assert look(cursor)[0].endswith("for the accounts in klaviyo.yml.")


@pytest.mark.parametrize(
    "config", [{"transfer": "daily", "rows": 3}, {"source": "lists", "options": {"filter_by": "created"}, "rows": 3}]
)
def test_preview_job_shows_a_typed_table_and_writes_nothing(place: Workplace, config: dict[str, object]) -> None:
    place.write("daily", EXAMPLE)
    before = place.left()

    result = (
        definitions()
        .resolve_job_def("klaviyo_preview")
        .execute_in_process(run_config={"ops": {"show_first_rows": {"config": config}}})
    )

    (output,) = [event for event in result.all_events if event.is_successful_output]
    metadata = output.step_output_data.metadata
    table = metadata["preview"]
    assert len(table.records) == metadata["rows"].value == 3
    assert {"id:string", "created:timestamp"} <= set(metadata["columns"].value)
    assert {column.name: column.type for column in table.schema.columns}["created"] == "timestamp"
    assert place.left() == before


def test_preview_job_with_bad_config_fails_with_one_sentence(place: Workplace) -> None:
    result = (
        definitions()
        .resolve_job_def("klaviyo_preview")
        .execute_in_process(
            run_config={"ops": {"show_first_rows": {"config": {"source": "evnts"}}}}, raise_on_error=False
        )
    )
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "source is 'evnts'" in failure.step_failure_data.user_failure_data.description


def test_a_transfer_has_the_checks_of_its_data_source_and_repeats_only_warn_where_it_appends(place: Workplace) -> None:
    place.write("names", "source: lists\ndestination: {mode: append, table: listed}\noptions: {incremental: false}")
    job = definitions().resolve_job_def("names")
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

    first, second = (job.execute_in_process(run_config=quiet) for _ in range(2))

    said = [{each.check_name: each for each in run.get_asset_check_evaluations()} for run in (first, second)]
    assert said[0]["primary_key_is_unique"].passed
    assert said[0]["values_are_documented"].passed
    repeated = said[1]["primary_key_is_unique"]
    assert not repeated.passed
    assert repeated.severity is dg.AssetCheckSeverity.WARN
    assert repeated.metadata["repeated_keys"].value == len(place.truth("lists"))
