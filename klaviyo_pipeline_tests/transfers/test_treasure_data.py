"""Treasure Data's own files: what is read with a warning, what is mapped, and what is refused."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
import yaml

from klaviyo_pipeline.klaviyo.catalogue.revisions import DEFAULT_REVISION, REVISIONS, today_utc, who_answers
from klaviyo_pipeline.transfers.file.reading import TransferFile, read_file, read_text
from klaviyo_pipeline.transfers.folder import Broken, Folder
from klaviyo_pipeline.yaml_files.problems import FileError
from klaviyo_pipeline_tests.transfers.workplace import Workplace, schema_for_editors

FILES = Path(__file__).parent / "treasure_data"
ACCOUNTS = {"default", "uk"}
LISTS = "in: {data_source: lists, %s}"


def read(name: str) -> TransferFile:
    return read_file(FILES / name, ACCOUNTS)


def read_lines(text: str) -> TransferFile:
    return read_text(text, Path("config.yml"), ACCOUNTS)


def oldest_living() -> str:
    return next(each.name for each in REVISIONS if not each.is_retired(today_utc()))


def problems(text: str) -> str:
    with pytest.raises(FileError) as caught:
        read_lines(text)
    return str(caught.value)


def warning(file: TransferFile, key: str) -> str:
    (found,) = [each for each in file.warnings if f": {key} " in each]
    return found


def test_columns_that_guess_writes_are_read_with_a_warning_that_names_the_others() -> None:
    file = read("guessed.yml")

    assert file.transfer.source == "lists"
    text = warning(file, "in.columns")
    assert text.startswith(str(FILES / "guessed.yml") + ":7:3: ")
    assert text.endswith("The table lists has no updated_at.")
    same = read_lines(LISTS % "columns: [{name: id, type: string}]")
    assert "has no" not in warning(same, "in.columns")


def test_exec_and_the_filter_add_time_are_read_with_a_warning() -> None:
    file = read("guessed.yml")

    assert "is not used" in warning(file, "exec")
    assert "_loaded_at" in warning(file, "filters[0]")
    assert read_lines("in: {data_source: lists}\nfilters: []").warnings == ()


@pytest.mark.parametrize("kind", ["rename", "column", "row", "expand_json"])
def test_a_filter_that_changes_rows_is_refused(kind: str) -> None:
    assert f"filters[0] of type '{kind}' would change the rows" in problems(
        f"in: {{data_source: lists}}\nfilters: [{{type: {kind}}}]"
    )


def test_keys_of_treasure_datas_output_are_read_with_warnings_that_never_show_the_key() -> None:
    file = read("console.yml")

    for key in ("out.type", "out.apikey", "out.endpoint", "out.auto_create_table"):
        assert "rows go to DuckDB" in warning(file, key)
    assert "0123456789abcdef" not in "".join(file.warnings) + repr(file)
    assert (file.transfer.destination.database, file.transfer.destination.table) == ("sample_db", "metrics")


def test_an_output_other_than_treasure_data_is_refused() -> None:
    assert "out.type is 's3', but must be td or duckdb" in problems("in: {data_source: lists}\nout: {type: s3}")


def test_time_column_becomes_the_partition_key_and_its_zone_the_storage_time_zone() -> None:
    file = read("placement.yml")

    made = file.transfer.destination
    assert (made.mode, made.partition_key, made.timezone) == ("replace", "created", "Asia/Tokyo")
    assert "is not used" in warning(file, "out.column_options")
    assert "is not used" in warning(file, "out.default_timestamp_format")


def test_a_time_column_that_the_table_does_not_have_is_a_warning() -> None:
    file = read_lines("in: {data_source: lists}\nout: {time_column: time}")

    assert file.transfer.destination.partition_key == ""
    assert "is 'time' and is not used: the times of lists are created, updated" in warning(file, "out.time_column")
    assert "says the same as partition_key" in problems(
        "in: {data_source: lists}\nout: {partition_key: created, time_column: created}"
    )


def test_switches_that_are_off_ask_for_nothing_where_the_data_source_has_none() -> None:
    assert read("console.yml").transfer.options == {}
    for switch in ("incremental", "skip_related_objects"):
        assert f"in.{switch} is not taken" in problems(f"in: {{data_source: metrics, {switch}: true}}")
    assert "options.incremental is not taken" in problems("source: metrics\noptions: {incremental: false}")


def test_references_to_the_environment_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TD_SOURCE", "lists")
    monkeypatch.setenv("TD_INCREMENTAL", "true")
    monkeypatch.setenv("TD_DAY", "2024-05-01")
    monkeypatch.setenv("KLAVIYO_UK_KEY", "pk_never_in_the_file")

    made = read("environment.yml.liquid").transfer

    assert (made.source, made.api_token) == ("lists", "${KLAVIYO_UK_KEY}")
    assert made.options == {"incremental": True, "start_time": "2024-05-01T00:00:00"}


def test_a_variable_that_is_not_set_or_a_secret_in_another_place_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TD_DAY", raising=False)
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_0123456789")
    monkeypatch.setenv("HIDDEN", "pk_0123456789")

    assert "in.start_time names the environment variable TD_DAY, which is not set" in problems(
        LISTS % "start_time: '{{ env.TD_DAY }}'"
    )
    for name in ("KLAVIYO_API_KEY", "HIDDEN"):
        found = problems("in: {data_source: lists}\nout:\n  table: {{ env." + name + " }}")
        assert f"out.table names {name}, which looks like a secret" in found
        assert "pk_0123456789" not in found


@pytest.mark.parametrize(
    "text",
    [
        "in: {data_source: lists, api_token: {{ api_token }}}",
        "in: {data_source: lists, api_token: '{{ api_token | default: 1 }}'}",
        "{% include 'common' %}\nin: {data_source: lists}",
        "in:\n  data_source: lists\n  {% if env.X %}",
    ],
)
def test_other_liquid_is_answered_by_one_sentence(text: str) -> None:
    found = problems(text)

    assert "only {{ env.NAME }} is read" in found
    assert len(found.splitlines()) == 1


@pytest.mark.parametrize("key", ["api_token", "start_time"])
def test_a_secret_of_treasure_data_workflow_is_answered_by_one_sentence(key: str) -> None:
    found = problems(LISTS % f"{key}: '${{secret:klaviyo.key}}'")

    assert f"in.{key} names a secret of Treasure Data Workflow" in found.splitlines()[0]
    assert "write ${NAME}" in found


def test_a_number_as_authentication_means_the_default_account() -> None:
    file = read("console.yml")

    assert file.transfer.authentication == ""
    assert "the account default is read" in warning(file, "in.td_authentication_id")
    assert read_lines(LISTS % "td_authentication_id: uk").transfer.authentication == "uk"


def test_a_template_in_the_folder_is_listed_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "daily.yml.liquid").write_text("in: {data_source: lists}")

    (found,) = Folder(tmp_path).all()

    assert isinstance(found, Broken)
    assert "rename it to daily.yml" in str(found.error)


def test_a_revision_between_two_is_answered_by_what_was_written_and_what_answers(place: Workplace) -> None:
    config = FILES / "revision.yml"
    sentence = f"Revision 2022-12-17, which means 2022-10-17, is retired: Klaviyo answered as {oldest_living()}"

    assert sentence in place.cli("preview", str(config)).stderr
    place.cli("transfer", "create", "daily", "@daily", "sample_db", "sample_table", str(config))
    assert f": 2022-12-17, answered as {oldest_living()}\n" in place.cli("transfer", "show", "daily").stdout
    shown = place.json("transfer", "show", "daily")
    assert (shown["revision"], shown["revision_answers"]) == ("2022-12-17", oldest_living())
    landed = place.json("transfer", "run", "daily")
    assert (landed["revision_written"], landed["revision"]) == ("2022-12-17", oldest_living())
    with dg.DagsterInstance.get() as instance:
        log = [record.user_message for record in instance.all_logs(landed["run_id"])]
    assert "revision 2022-12-17." in "".join(log)
    assert sentence in "".join(log)
    assert place.sql("SELECT DISTINCT revision FROM klaviyo_pipeline.ledger", "data/sample_db.duckdb") == [
        (oldest_living(),)
    ]


def test_the_revision_of_the_environment_is_answered_in_the_same_way(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_REVISION", "2022-12-17")

    named = f"2022-12-17, answered as {oldest_living()}"
    assert f"Revision       : {named}" in place.cli("auth", "check").stdout
    assert f"revision {named} until" in place.cli("check").stdout


def test_a_living_revision_is_answered_without_a_word() -> None:
    assert who_answers("", DEFAULT_REVISION) == ""
    assert who_answers("2026-07-16", "2026-07-15") == (
        "Revision 2026-07-16 means 2026-07-15, the newest of that day: it answered."
    )


def test_labels_of_the_console_and_values_in_quotes_are_read_as_embulk_reads_them() -> None:
    file = read("labels.yml")

    made = file.transfer
    assert (made.source, made.destination.mode) == ("templates", "replace_on_new_data")
    assert made.options == {"incremental": True, "filter_by": "updated", "start_time": "2023-06-01T17:06:39"}
    assert made.http_settings == {"retry_limit": 3}
    for key in ("in.parser", "in.decoders", "out.type"):
        assert "is not used" in warning(file, key)
    assert read_lines("in: {data_source: lists}\nout: {mode: Always Replace}").transfer.destination.mode == "replace"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (LISTS % "retry_limit: '9'", "in.retry_limit is 9, but must be from 1 to 7"),
        (LISTS % "retry_limit: five", "in.retry_limit is 'five', but must be a whole number"),
        (LISTS % "incremental: 'on'", "in.incremental is 'on', but must be true or false"),
        (LISTS % "incremental_field: Opened", "in.incremental_field is 'Opened', but lists takes"),
        ("in: {data_source: lists}\nout: {mode: Upsert}", "out.mode is 'Upsert', but must be one of"),
        ("source: lists\ndestination: {mode: Append}", "destination.mode is 'Append', but must be one of"),
    ],
)
def test_a_value_that_embulk_would_not_take_is_refused_as_it_was_written(lines: str, says: str) -> None:
    assert says in problems(lines)


def test_a_workflow_is_answered_by_one_sentence() -> None:
    found = problems("timezone: UTC\n\n+load:\n  td_load>: config.yml\n  database: sample_db\n")

    assert found == "config.yml: is a workflow of Treasure Data: give the file that its td_load>: names, and its " + (
        "database and table."
    )


def test_an_impossible_cron_is_answered_by_that_it_never_comes(place: Workplace) -> None:
    found = place.cli(
        *["transfer", "create", "never", "0 0 31 2 *", "sample_db", "lists", str(FILES / "guessed.yml")], exit_code=2
    )

    assert "Error: CRON is '0 0 31 2 *', which never comes: its months do not have such a day." in found.stderr


def test_a_session_with_the_consoles_files_from_preview_to_deletion(place: Workplace) -> None:
    for name, source in (("console", "metrics"), ("labels", "templates")):
        config, rows = str(FILES / f"{name}.yml"), len(place.truth(source))
        assert "id:string" in place.cli("preview", config).stdout
        place.cli("transfer", "create", name, "@monthly", "sample_db", source, config, "-t", "Asia/Tokyo")
        assert f"| {name} " in place.cli("transfer", "list").stdout
        shown = place.cli("transfer", "show", name)
        assert ": Asia/Tokyo\n" in shown.stdout
        assert place.json("transfer", "run", name)["rows_inserted"] == rows
        assert f"| success | {rows} " in " ".join(place.cli("transfer", "history", name).stdout.split())
        assert "0123456789abcdef" not in shown.output
        place.cli("transfer", "delete", name)
    assert place.json("transfer", "list") == []


@pytest.mark.parametrize("name", ["guessed.yml", "console.yml", "placement.yml"])
def test_the_schema_for_editors_takes_treasure_datas_files(name: str) -> None:
    schema_for_editors().validate(yaml.safe_load((FILES / name).read_text()))
