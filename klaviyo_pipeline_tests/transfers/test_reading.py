"""A transfer's file: what is read from it, and how every mistake is told by its line."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.client.settings import SETTINGS
from klaviyo_pipeline.transfers.file.json_schema import json_schema
from klaviyo_pipeline.transfers.file.model import ALIASES, options_of
from klaviyo_pipeline.transfers.file.reading import TransferFile, check_name, read_text
from klaviyo_pipeline.yaml_files.problems import FileError
from klaviyo_pipeline_tests.cases import case
from klaviyo_pipeline_tests.transfers.workplace import EXAMPLE, schema_for_editors

FILE = Path("transfers/example.yml")


def read(text: str) -> TransferFile:
    return read_text(text, FILE, {"default", "uk"})


def problems(text: str) -> list[str]:
    with pytest.raises(FileError) as caught:
        read(text)
    return str(caught.value).split("\n")


def test_treasure_datas_example_is_read_as_it_is() -> None:
    file = read(EXAMPLE)

    made = file.transfer
    assert file.theirs
    assert (made.source, made.revision, made.destination.mode) == ("lists", "2022-12-17", "append")
    assert made.options == {"incremental": True, "start_time": "2023-06-01T17:06:39.698883", "filter_by": "updated"}
    assert made.api_token == "xxx"
    assert [warning for warning in file.warnings if ":4:14: in.api_token is a key in plain text" in warning]
    assert "xxx" not in repr(made)


def test_treasure_datas_defaults_are_theirs_and_ours_are_ours() -> None:
    theirs = read("in: {type: klaviyo, data_source: events}").transfer
    ours = read("source: events").transfer

    assert (theirs.destination.mode, ours.destination.mode) == ("append", "merge")
    assert theirs.options == {"skip_related": False, "incremental": False}
    assert (theirs.incremental, ours.incremental) == (False, True)


@pytest.mark.parametrize("mode", ["replace", "replace_on_new_data"])
def test_history_of_counts_is_never_replaced(mode: str) -> None:
    text = f"source: list_counts\ndestination: {{mode: {mode}}}"
    (found,) = [each for each in problems(text) if "destination.mode" in each]
    assert "would clear what earlier runs have seen: use merge or append" in found
    assert read("source: list_counts").transfer.destination.mode == "merge"


def test_the_issues_one_line_form_is_read_too() -> None:
    text = (
        'in: {type: klaviyo, data_source: lists, api_token: xxx, revision_time: "2022-12-17", incremental: true, '
        'start_time: "2023-06-01T17:06:39.698883", incremental_field: updated}\nout: {mode: append}\n'
    )
    assert read(text).transfer == read(EXAMPLE).transfer


def test_every_name_of_a_data_source_is_understood() -> None:
    for name in (*SOURCES, *ALIASES, "Email Templates", "Profiles in List", "Metric Data"):
        with case(name):
            assert read(f"in: {{data_source: {name}}}").transfer.source in SOURCES
            assert read(f"source: {name}").transfer.source in SOURCES


def test_all_mistakes_of_a_file_are_told_at_once_with_line_column_key_and_what_is_allowed() -> None:
    found = problems(
        """\
in:
  type: klavio
  data_source: lists
  api_tokn: xxx
  revision_time: "2022-13-17"
  incremental: maybe
  skip_related_objects: true
  retry_limit: 9
out:
  mode: upsert
  timezone: PST
schedule:
  cron: "61 * * * *"
  timezone: JST
  delay: soon
  repeet: on
parser: []
"""
    )

    starts = [
        "transfers/example.yml:2:9: in.type is 'klavio', but must be klaviyo.",
        "transfers/example.yml:4:3: in.api_tokn is not known; in takes type, data_source, api_token,",
        "transfers/example.yml:5:18: in.revision_time is '2022-13-17', but must be a day written YYYY-MM-DD",
        "transfers/example.yml:6:16: in.incremental is 'maybe', but must be true or false.",
        "transfers/example.yml:7:3: in.skip_related_objects is not taken: lists takes filter_by, start_time,",
        "transfers/example.yml:8:16: in.retry_limit is 9, but must be from 1 to 7 (default 5).",
        "transfers/example.yml:10:9: out.mode is 'upsert', but must be one of append, replace,",
        "transfers/example.yml:11:13: out.timezone is 'PST', but must be an IANA time zone",
        "transfers/example.yml:13:9: schedule.cron is '61 * * * *', but must be five fields",
        "transfers/example.yml:14:13: schedule.timezone is 'JST', but must be an IANA time zone",
        "transfers/example.yml:15:10: schedule.delay is 'soon', but must be seconds, or a text",
        "transfers/example.yml:16:3: schedule.repeet is not known; there is cron, timezone, delay, repeat, paused",
        "transfers/example.yml:17:1: parser is not known beside in and out",
    ]
    assert len(found) == len(starts)
    for text, start in zip(found, starts, strict=True):
        assert text.startswith(start), text
    assert found[1].endswith("did you mean api_token?")
    assert found[7].endswith("did you mean America/Los_Angeles?")
    assert found[9].endswith("did you mean Asia/Tokyo?")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("- a", ":1:1: must be a mapping"),
        ("source: [", "is not YAML"),
        ("source: lists\nschedule: {cron: @daily}", ":2:18: is not YAML"),
        ("source: lists\nsource: events", ":2:1: source is there twice"),
        ("description: nothing else", "source is missing"),
        ("out: {mode: append}", "in is missing"),
        ("in: klaviyo", ":1:5: in must be a mapping"),
        ("source: lists\noptions: 3", ":2:10: options is 3, but must be a mapping"),
        ("source: evnts", ":1:9: source is 'evnts', but there is no data source 'evnts'; did you mean events?"),
        ("source: lists\noption: {}", ":2:1: option is not known; there is description,"),
        ("source: lists\noptions: {filter_by: opened}", "options.filter_by is 'opened', but lists takes updated or"),
        ("source: events\noptions: {filter_by: updated}", "but events takes created"),
        ("source: metrics\noptions: {start_time: '2026-01-01'}", "metrics takes leave_out."),
        ("source: lists\noptions: {start_time: yesterday}", "options.start_time is 'yesterday', but must be an ISO"),
        ("source: lists\noptions: {start_time: '2999-01-01'}", "lies in the future"),
        ("source: lists\noptions: {start_time: '2026-02-01', end_time: '2026-01-01'}", "is not before end_time"),
        ("source: lists\noptions: {lookback_days: -1}", "options.lookback_days is -1, but must be from 0 to 3650"),
        ("source: list_profiles\noptions: {list_ids: []}", "options.list_ids is empty"),
        ("source: list_profiles\noptions: {list_ids: [1]}", "options.list_ids[0] is 1, but must be a text"),
        ("source: lists\napi_token: 12345", ":2:12: api_token must be a text."),
        ("source: lists\napi_token: 'pk_${NAME}'", "api_token must be ${NAME} as a whole"),
        ("source: lists\ndestination: {table: '${T}'}", "only api_token and database are taken from the environment"),
        ("source: lists\nauthentication: us", "authentication is 'us', but must be one of default, uk"),
        ("source: lists\nauthentication: uk\napi_token: ${A}", "authentication and api_token are both given"),
        (
            "source: lists\ndestination: {partition_key: name}",
            "destination.partition_key is 'name', but must be one of",
        ),
        ("source: metrics\nschedule: {}", "schedule.cron is missing"),
        ("source: lists\nschedule: {cron: '@yearly'}", "schedule.cron is '@yearly', but must be @hourly, @daily"),
        ("source: lists\nschedule: {cron: '0 23 31 * *', delay: 2h}", "schedule.delay moves a tick"),
        ("source: lists\nschedule: {cron: '0 0 * * *', delay: 9d}", "schedule.delay is '9d', but must be at most 7"),
        ("in: {data_source: lists, list_id: a, list_ids: [b]}", "in.list_ids says the same as list_id"),
        (
            "source: lists\noptions: {filter_by: updated}\ndestination: {mode: replace, partition_key: created}",
            "a replace over another column would lose rows",
        ),
        ("a: &a [*a]", "a[0] contains itself"),
    ],
)
def test_a_mistake_is_told_with_what_is_allowed(text: str, says: str) -> None:
    found = problems(text)
    assert any(says in each for each in found), found
    assert "12345" not in "".join(found)


def test_aliases_that_unfold_without_end_are_refused() -> None:
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    for number in range(1, 9):
        text += f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 9)}]\n"
    assert "unfolds into more than" in problems(text)[0]


@pytest.mark.parametrize("name", list(SETTINGS))
def test_http_settings_are_bounded_as_documented(name: str) -> None:
    setting = SETTINGS[name]
    for value in (setting.minimum, setting.maximum):
        number = int(value) if value == int(value) else value
        assert read(f"source: lists\nhttp: {{{name}: {number}}}").transfer.http_settings == {name: value}
    for value in (setting.minimum - 1, setting.maximum + 1):
        bounds = f"must be from {setting.minimum:g} to {setting.maximum:g}"
        assert bounds in problems(f"source: lists\nhttp: {{{name}: {value:g}}}")[0]


@pytest.mark.parametrize("name", ["my import", "1st", "a-b", "ü", "class", "x" * 101, "transfers_x"])
def test_a_name_that_dagster_does_not_take_is_refused_with_a_suggestion(name: str) -> None:
    with pytest.raises(FileError, match=r"how about [A-Za-z0-9_]+?") as caught:
        check_name(name)
    check_name(str(caught.value).rsplit(" ", 1)[1].rstrip("?"))


GOOD = (EXAMPLE, "source: events\noptions: {skip_related: false}\nschedule: {cron: '@daily', delay: 30m}\n")
BAD = ("source: lists\noptions: {list_ids: [a]}", "source: nothing", "in: {data_source: lists, oops: 1}", "x: 1")


@pytest.mark.parametrize("text", GOOD)
def test_the_schema_for_editors_takes_what_is_read(text: str) -> None:
    read(text)
    schema_for_editors().validate(yaml.safe_load(text))


@pytest.mark.parametrize("text", BAD)
def test_the_schema_for_editors_refuses_what_is_refused(text: str) -> None:
    problems(text)
    with pytest.raises(jsonschema.ValidationError):
        schema_for_editors().validate(yaml.safe_load(text))


def test_every_option_in_the_schema_says_what_it_is() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    for source in SOURCES.values():
        assert all(field.description for field in options_of(source).values()), source.name
