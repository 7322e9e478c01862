"""Whatever a file in the folder has for a name or for content: definitions load, and the others in it work."""

from __future__ import annotations

import os
from datetime import date, datetime
from typing import Any

import dagster as dg
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from klaviyo_pipeline.built_in import built_in_definitions, taken_names
from klaviyo_pipeline.cli.transfer_views import as_dict, next_run
from klaviyo_pipeline.orchestration.names import names_in
from klaviyo_pipeline.orchestration.partitions import daily_partitions
from klaviyo_pipeline.transfers.definitions import transfer_definitions
from klaviyo_pipeline.transfers.file.model import (
    DestinationSettings,
    HttpSettings,
    ScheduleSettings,
    Transfer,
    options_of,
)
from klaviyo_pipeline.transfers.file.reading import TransferFile
from klaviyo_pipeline.transfers.file.treasure_data import IN, OUT
from klaviyo_pipeline.transfers.folder import Broken, Folder
from klaviyo_pipeline_tests.cases import case
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.soaking import examples
from klaviyo_pipeline_tests.transfers.test_definitions import definitions
from klaviyo_pipeline_tests.transfers.workplace import Workplace

GOOD = "source: lists\nschedule: {cron: '@daily'}\n"
REPORTED = ["klaviyo_daily", "klaviyo_hourly", "klaviyo_weekly", "klaviyo_checks", "klaviyo_new_metrics"]
WORDS = ["config", "type", "class", "import", "context", "transfers_good", "transfers__good", "Good", "x" * 200]
BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n"
    for before, name in ("ab", "bc", "cd", "de", "ef", "fg", "gh")
)
TEXTS = {
    "random cron": "source: lists\nschedule: {cron: 'R 0 * * *'}",
    "wrapping cron with a delay": "source: lists\nschedule: {cron: '0 23 * * sat-sun-', delay: 2h}",
    "never": "source: lists\nschedule: {cron: '0 0 31 2 *'}",
    "bad zone": "source: lists\nschedule: {cron: '@daily', timezone: Mars/Olympus}",
    "zone that is a folder": "source: lists\nschedule: {cron: '@daily', timezone: America/}",
    "zone above": "source: lists\nschedule: {cron: '@daily', timezone: ../../etc/passwd}",
    "sexagesimal delay": "source: lists\nschedule: {cron: '@daily', delay: 1:30}",
    "octal delay": "source: lists\nschedule: {cron: '@daily', delay: 010}",
    "bomb": BOMB,
    "itself": "source: lists\noptions: &a {filter_by: *a}",
    "deep": "options: " + "[" * 600,
    "deep aliases": "x0: &x0 [1]\n" + "".join(f"x{n}: &x{n} [*x{n - 1}]\n" for n in range(1, 2000)),
    "number that no float holds": f"source: lists\noptions: {{lookback_days: {'9' * 400}}}",
    "number that Python does not read": f"source: lists\nhttp: {{retry_limit: {'9' * 5000}}}",
    "huge": "description: " + "x" * 2_000_000,
    "no characters": 'source: lists\ndescription: "\\uD800"',
    "beyond characters": 'source: lists\ndescription: "\\UFFFFFFFF"',
    "null character": 'source: lists\ndescription: "\\0"',
    "huge number": "source: lists\noptions: {lookback_days: 1" + "0" * 400 + "}",
    "long number": "source: lists\nhttp: {retry_limit: " + "9" * 5000 + "}",
    "infinity": "source: lists\noptions: {lookback_days: .inf}",
    "not a number": "source: lists\noptions: {lookback_days: .nan}",
    "beyond floats": "source: lists\noptions: {lookback_days: 1e999}",
    "billion days": "source: lists\noptions: {lookback_days: 1.0e+9}",
    "tag of python": "source: !!python/object/apply:os.getcwd []",
    "tagged empty number": "source: lists\nrun_on_change: !!int ''",
    "tagged word": "source: lists\nrun_on_change: !!bool perhaps",
    "tagged time": "source: lists\ndescription: !!timestamp 2026-01-01",
    "binary": "source: lists\ndescription: !!binary aGVsbG8=",
    "merge key": "source: lists\n<<: 5",
    "keys of many kinds": "1: 2\n? [a]\n: b\n2026-01-01: c\n",
    "empty": "",
    "a list": "- source: lists",
    "two documents": "source: lists\n---\nsource: events",
    "tab": "source: lists\n\tx: 1",
    "database elsewhere": "source: lists\ndestination: {database: 's3://bucket/x'}",
}


@pytest.fixture(scope="module")
def built_in() -> dg.Definitions:
    return built_in_definitions(daily_partitions("2024-01-01", "UTC"))


def broken_in(folder: Folder) -> dict[str, str]:
    return {each.name: str(each.error) for each in folder.all() if isinstance(each, Broken)}


def test_a_name_that_is_taken_breaks_its_own_transfer_and_nothing_else(
    place: Workplace, built_in: dg.Definitions
) -> None:
    taken = names_in(built_in)
    assert set(REPORTED) < taken
    assert {"klaviyo__events", "klaviyo_analytics__daily_metrics", "show_first_rows"} < taken
    for name in (*taken, *WORDS, "good"):
        place.write(name, GOOD)

    folder = Folder(taken=lambda: taken)
    merged = dg.Definitions.merge(built_in, transfer_definitions(folder))

    dg.Definitions.validate_loadable(merged)
    assert [file.name for file in folder.good()] in (["good"], ["Good"])
    broken = broken_in(folder)
    assert all("is taken; how about" in broken[name] for name in taken)
    assert "is a word of Dagster's" in broken["config"]
    assert len(broken) == len(taken) + len(WORDS)


def test_names_are_those_that_dagster_finds_not_unique(built_in: dg.Definitions) -> None:
    """The list is made from the definitions: no name that Dagster knows is missing from it."""
    repository = built_in.get_repository_def()
    jobs = {job.name for job in repository.get_all_jobs() if not job.name.startswith("__")}
    ops = {node.name for job in repository.get_all_jobs() for node in job.graph.iterate_node_defs()}
    timers = {each.name for each in (*repository.schedule_defs, *repository.sensor_defs)}

    assert jobs | timers | {name for name in ops if not name.startswith("__")} <= taken_names()


def test_commands_refuse_a_name_that_is_taken(place: Workplace) -> None:
    source = place.root / "lists.yml"
    source.write_text(GOOD)
    said = place.cli("transfer", "create", "klaviyo_daily", "@daily", "shop", "x", str(source), exit_code=2).stderr
    assert "the name is taken; how about import_klaviyo_daily?" in said

    place.write("klaviyo_daily", GOOD)
    assert place.json("transfer", "list")[0]["status"] == "broken"
    assert "the name is taken" in place.cli("transfer", "show", "klaviyo_daily", exit_code=2).stderr
    wrong = [each for each in place.json("check", exit_code=1) if not each["ok"]]
    assert [each["what"] for each in wrong] == ["transfer klaviyo_daily"]


def test_texts_that_are_no_transfers_fail_themselves_only(place: Workplace) -> None:
    odd = {f"odd_{number}": what for number, what in enumerate(TEXTS)}
    place.write("good", GOOD)
    for name, what in odd.items():
        place.write(name, TEXTS[what])

    made = definitions()

    assert [spec.key.to_user_string() for spec in made.resolve_all_asset_specs()] == ["transfers/good"]
    assert set(broken_in(Folder())) == set(odd)
    listed = {each["name"]: each for each in place.json("transfer", "list")}
    assert listed["good"]["status"] == "scheduled"
    for name, what in odd.items():
        with case(what):
            assert listed[name]["status"] == "broken"
            assert 0 < len(listed[name]["problems"][0]["text"]) < 1000
            assert "can't be used" not in listed[name]["problems"][0]["text"]  # an error that nobody foresaw


def test_a_thing_that_is_no_file_is_listed_with_the_reason(place: Workplace) -> None:
    place.write("good", GOOD)
    folder = place.root / "transfers"
    (folder / "folder.yml").mkdir()
    (folder / "gone.yml").symlink_to("nowhere")
    (folder / "round.yml").symlink_to("round.yml")
    os.mkfifo(folder / "pipe.yml")
    (folder / "latin.yml").write_bytes("source: lists # é".encode("latin-1"))
    (folder / "wide.yml").write_bytes("source: lists".encode("utf-16"))

    broken = broken_in(Folder())

    assert "is a folder" in broken["folder"]
    assert "no such file" in broken["gone"]
    assert "pipe" in broken["pipe"]
    assert "is not UTF-8 text" in broken["latin"]
    assert set(broken) == {"folder", "gone", "round", "pipe", "latin", "wide"}
    dg.Definitions.validate_loadable(definitions())


def test_a_folder_that_is_a_file_is_listed_with_the_reason(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    (place.root / "list.yml").write_text(GOOD)
    monkeypatch.setenv("KLAVIYO_TRANSFERS_DIR", "list.yml")
    assert not transfer_definitions(Folder()).assets
    assert "list.yml" in place.cli("transfer", "list", exit_code=None).output


ODD = st.one_of(
    st.sampled_from(
        [
            *["", "lists", "events", "list_profiles", "event_profiles", "campaigns", "merge", "replace", "updated"],
            *["UTC", "Asia/Tokyo", "@daily", "10 0 * * *", "R 0 * * *", "30m", "010", "id", "datetime", "2026-01-01"],
            *["{}", "{x}", "${X}", "~", "s3://x/y", "a/b.duckdb", "information_schema", 'a"b', "x" * 300],
            *["\ud7ff\U0010ffff", "a\nb"],
        ]
    ),
    st.text(max_size=5),
    st.integers(-(10**20), 10**20),
    st.sampled_from([10**400, -(10**400)]),
    st.floats(),
    st.booleans(),
    st.none(),
    st.just(date(2026, 1, 1)),
    st.just(datetime(2026, 1, 1)),  # noqa: DTZ001
)
VALUES = st.recursive(
    ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


def section(keys: Any) -> st.SearchStrategy[Any]:
    return VALUES | st.dictionaries(st.sampled_from(sorted(keys)), VALUES, max_size=5)


OPTIONS = {name for source in CORE.values() for name in options_of(source)}
OURS = st.fixed_dictionaries(
    {"source": st.sampled_from([*CORE, "nothing"])},
    optional={name: VALUES for name in Transfer.model_fields if name != "source"}
    | {
        "options": section(OPTIONS),
        "http": section(HttpSettings.model_fields),
        "destination": section({"schema", *DestinationSettings.model_fields}),
        "schedule": section(ScheduleSettings.model_fields),
    },
)
THEIRS = st.fixed_dictionaries(
    {"in": st.dictionaries(st.sampled_from(sorted(IN)), VALUES, max_size=6) | VALUES},
    optional={"out": section(OUT), "schedule": section(ScheduleSettings.model_fields), "run_on_change": VALUES},
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], parent=examples(60))
@given(data=OURS | THEIRS)
def test_any_mapping_is_a_transfer_or_says_what_is_wrong(place: Workplace, data: dict[str, Any]) -> None:
    place.write("good", GOOD)
    place.write("odd", yaml.safe_dump(data, allow_unicode=True))

    made = definitions()

    assert "transfers/good" in {spec.key.to_user_string() for spec in made.resolve_all_asset_specs()}
    for file in Folder().all():
        if isinstance(file, TransferFile):
            next_run(file)
            as_dict(file)
            assert dg.Definitions.validate_loadable(made) is None
        else:
            assert "can't be used" not in str(file.error)  # an error that nobody foresaw


def test_dagster_loads_the_code_location_as_it_does_itself() -> None:
    from dagster._core.workspace.autodiscovery import loadable_targets_from_python_module

    (target,) = loadable_targets_from_python_module("klaviyo_pipeline.definitions", working_directory=None)
    assert isinstance(target.target_definition, dg.Definitions)
