"""Every command: help, JSON, exit codes; bad input gives one clear message and exit code 2, never a traceback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import duckdb
import pytest
from click.testing import CliRunner

from klaviyo_pipeline.cli import main
from klaviyo_pipeline_tests.transfers.workplace import EXAMPLE, Workplace


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = dict(commands(main))


@pytest.mark.parametrize("path", list(ALL), ids=" ".join)
def test_every_command_and_option_says_what_it_does(path: tuple[str, ...]) -> None:
    assert ALL[path].help
    for parameter in ALL[path].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, (path, parameter.name)
    assert CliRunner().invoke(main, [*path, "--help"]).exit_code == 0


@pytest.mark.parametrize("path", list(ALL), ids=" ".join)
def test_every_command_refuses_an_option_that_it_does_not_have(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*path, "--no-such-option"])
    assert result.exit_code == 2
    assert "No such option" in result.output or "Missing argument" in result.output


@pytest.mark.parametrize(
    "path", [path for path in ALL if path[0] not in {"sandbox", "demo", "with-sandbox"}], ids=" ".join
)
def test_every_command_speaks_json(path: tuple[str, ...]) -> None:
    assert path[-1] == "schema" or any(parameter.name == "json_" for parameter in ALL[path].params)


CREATE = ("transfer", "create")
BAD: list[tuple[tuple[str, ...], str]] = [
    (("nothing",), "No such command"),
    (("preview",), "Missing argument"),
    (("preview", "missing.yml"), "missing.yml: there is no such file"),
    (("preview", "broken.yml"), "broken.yml:1:9: source is 'evnts'"),
    (("preview", "binary.yml"), "binary.yml: is not UTF-8 text"),
    (("preview", "."), "is a folder"),
    (("preview", "good.yml", "--rows", "0"), "0 is not in the range"),
    (("preview", "unset.yml"), "The environment variable NOT_SET is not set"),
    ((*CREATE, "x"), "Missing argument"),
    ((*CREATE, "a-b", "@daily", "db", "t", "good.yml"), "how about a_b?"),
    ((*CREATE, "there", "@daily", "db", "t", "good.yml"), "is there already"),
    ((*CREATE, "x", "@yearly", "db", "t", "good.yml"), "CRON is '@yearly', but must be"),
    ((*CREATE, "x", "61 * * * *", "db", "t", "good.yml"), "CRON is '61 * * * *', but must be five fields"),
    ((*CREATE, "x", "", "db", "t", "good.yml", "-t", "UTC"), "CRON is blank: give a schedule, or --no-schedule"),
    ((*CREATE, "x", "@daily", "db", "t", "good.yml", "-t", "PST"), "did you mean America/Los_Angeles?"),
    ((*CREATE, "x", "@daily", "db", "t", "good.yml", "-D", "soon"), "--delay is 'soon'"),
    ((*CREATE, "x", "@daily", "", "t", "good.yml"), "DATABASE and TABLE must not be blank"),
    ((*CREATE, "x", "@daily", "db", "t", "missing.yml"), "there is no such file"),
    ((*CREATE, "x", "@daily", "db", "t", "broken.yml"), "broken.yml:1:9: source is 'evnts'"),
    (("transfer", "show", "nothing"), "There is no transfer 'nothing' in transfers; there is bad, there"),
    (("transfer", "show", "ther"), "did you mean there?"),
    (("transfer", "show", "bad"), "bad.yml:1:9: source is 'evnts'"),
    (("transfer", "history", "nothing"), "There is no transfer 'nothing'"),
    (("transfer", "history", "there", "-n", "0"), "0 is not in the range"),
    (("transfer", "run", "nothing"), "There is no transfer 'nothing'"),
    (("transfer", "run", "bad"), "bad.yml:1:9"),
    (("transfer", "run", "there", "--from", "yesterday"), "--from is 'yesterday', but must be an ISO 8601 time"),
    (("transfer", "run", "there", "--from", "2999-01-01"), "lies in the future"),
    (("transfer", "run", "there", "--from", "2026-02-01", "--to", "2026-01-01"), "is not before --to"),
    (("transfer", "pause", "nothing"), "There is no transfer 'nothing'"),
    (("transfer", "pause", "there"), "there has no schedule"),
    (("transfer", "resume", "there"), "there has no schedule"),
    (("transfer", "update", "there"), "Give an option or a CONFIG to change"),
    (("transfer", "update", "nothing", "--cron", "@daily"), "There is no transfer 'nothing'"),
    (("transfer", "update", "there", "--mode", "upsert"), "destination.mode is 'upsert', but must be one of append"),
    (("transfer", "update", "there", "--cron", "x"), "--cron is 'x', but must be five fields"),
    (("transfer", "update", "there", "broken.yml"), "broken.yml:1:9"),
    (("transfer", "delete", "nothing"), "There is no transfer 'nothing'"),
    (("sources", "evnts"), "there is no data source 'evnts'; did you mean events?"),
    (("ledger", "evnts"), "SOURCE is 'evnts', but there is no such data source or transfer; did you mean events?"),
    (("ledger", "--database", "note.txt"), "not a DuckDB database"),
    (("rewind", "lists"), "Missing option"),
    (("rewind", "lists", "--to", "soon"), "--to is 'soon', but must be an ISO 8601 time"),
    (("rewind", "lists", "--to", "2999-01-01"), "lies in the future"),
    (("rewind", "lists", "--to", "2026-01-01"), "you cannot rewind"),
    (("rewind", "evnts", "--to", "2026-01-01"), "SOURCE is 'evnts'"),
    (("auth", "check", "uk"), "authentication is 'uk', but must be one of default"),
    (("demo", "--days", "many"), "'many' is not a valid integer"),
    (("sandbox", "--port", "x"), "'x' is not a valid integer"),
    (("with-sandbox",), "Missing argument"),
]


@pytest.fixture
def prepared(place: Workplace) -> Workplace:
    """Files good and bad."""
    Path("good.yml").write_text("source: lists")
    Path("broken.yml").write_text("source: evnts")
    Path("unset.yml").write_text("source: lists\napi_token: ${NOT_SET}")
    Path("binary.yml").write_bytes(b"\xff\xfe\x00\x9d")
    Path("note.txt").write_text("not a database " * 1000)
    place.write("there", "source: lists")
    place.write("bad", "source: evnts")
    return place


@pytest.mark.parametrize(
    ("arguments", "says"), BAD, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_bad_input_gives_one_clear_message_and_exit_code_2(
    prepared: Workplace, arguments: tuple[str, ...], says: str
) -> None:
    before = prepared.left()

    result = prepared.cli(*arguments, exit_code=2)

    assert says in result.stderr
    assert sum(line.startswith("Error: ") for line in result.stderr.splitlines()) == 1
    assert "Traceback" not in result.output
    assert not result.stdout
    assert [path for path in prepared.left() if not path.startswith((".dagster", "note.txt.lock"))] == before


@pytest.mark.parametrize(
    ("variable", "value", "arguments"),
    [
        ("KLAVIYO_TIMEZONE", "PST", ("preview", "good.yml")),
        ("KLAVIYO_REVISION", "latest", ("preview", "good.yml")),
        ("KLAVIYO_BASE_URL", "nowhere", ("preview", "good.yml")),
        ("KLAVIYO_API_KEY", "with space", ("preview", "good.yml")),
        ("KLAVIYO_DUCKDB_PATH", ":memory:", ("ledger",)),
        ("KLAVIYO_AUTHENTICATIONS", "note.txt", ("auth", "list")),
    ],
)
def test_bad_setting_in_the_environment_gives_one_clear_message_and_exit_code_2(
    prepared: Workplace, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv(variable, value)
    result = prepared.cli(*arguments, exit_code=2)
    assert result.stderr.count("Error: ") == 1
    assert "Traceback" not in result.output


def test_unexpected_error_is_one_line_unless_debugging(prepared: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr("klaviyo_pipeline.transfers.folder.Folder.all", fail)
    result = prepared.cli("transfer", "list", exit_code=1)
    assert result.stderr == "Error: ZeroDivisionError: of all things (set KLAVIYO_DEBUG=1 to see the traceback)\n"
    monkeypatch.setenv("KLAVIYO_DEBUG", "1")
    assert isinstance(prepared.cli("transfer", "list", exit_code=None).exception, ZeroDivisionError)


def test_auth_check_tells_account_scopes_revision_and_limits(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    report = place.json("auth", "check")
    assert report["ok"]
    assert report["account"]
    assert report["answered"] == "2026-07-15"
    assert report["sunset"] == "2028-07-15"
    monkeypatch.setenv("LISTS_KEY", "pk_lists_only")
    Path("authentications.yml").write_text("uk: {api_key: '${LISTS_KEY}'}")
    partly = place.cli("auth", "check", "uk", "--json", exit_code=1)
    readable = {each["source"]: each["missing"] for each in json.loads(partly.stdout)["sources"]}
    assert readable["lists"] == []
    assert readable["list_profiles"] == ["profiles:read"]
    assert readable["event_metrics"] == ["events:read", "metrics:read"]
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_wrong")
    assert "does not accept the API key" in place.cli("auth", "check", exit_code=1).stderr


def test_auth_list_and_a_bad_accounts_file(place: Workplace) -> None:
    Path("authentications.yml").write_text("uk:\n  api_key: pk_secret\n  colour: red\n")
    result = place.cli("auth", "list", exit_code=2)
    assert "authentications.yml:2:12: uk.api_key must name an environment variable" in result.stderr
    assert "authentications.yml:3:3: uk.colour is not known" in result.stderr
    assert "pk_secret" not in result.output
    place.write("daily", "source: metrics")
    place.cli("transfer", "show", "daily")


def test_check_looks_at_everything(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write("daily", EXAMPLE)
    found = place.json("check")
    assert all(finding["ok"] for finding in found)
    assert {each["what"]: each["text"] for each in found}["time zone UTC"] == "DuckDB and tzdata have the same rules"
    place.write("bad", "source: evnts")
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_lists_only")
    monkeypatch.setenv("KLAVIYO_TIMEZONE", "PST")
    wrong = place.cli("check", exit_code=1).stdout
    assert {line.split(":")[0].split(maxsplit=1)[1] for line in wrong.splitlines() if line.startswith("WRONG")} >= {
        "KLAVIYO_TIMEZONE",
        "transfer bad",
    }


def test_check_tries_what_a_load_does_in_each_database(place: Workplace) -> None:
    place.write("daily", "source: lists\ndestination: {database: other, schema: shop}")
    before = place.left()
    assert all(finding["ok"] for finding in place.json("check"))
    assert place.left() == before

    (place.root / "data").mkdir()
    with duckdb.connect(str(place.root / "data/other.duckdb")) as con:
        con.execute("CREATE SCHEMA klaviyo_pipeline; CREATE VIEW klaviyo_pipeline.ledger AS SELECT 1 AS entry")
    (wrong,) = [finding for finding in place.json("check", exit_code=1) if not finding["ok"]]
    assert "ledger" in wrong["text"]
    assert not place.run("daily").success


def test_sources_and_ledger_list_what_there_is(place: Workplace) -> None:
    assert [source["source"] for source in place.json("sources")][:2] == ["metrics", "events"]
    assert "skip_related" in place.cli("sources", "events").stdout
    groups = {source["source"]: (source["group"], source["chosen"], source["read"]) for source in place.json("sources")}
    assert groups["events"] == ("core", True, "")
    assert groups["flows"] == ("default", False, "")
    assert groups["event_attributions"] == ("default", False, "with events")
    assert groups["segment_profiles"] == ("opt-in", False, "for each segment")
    assert groups["flow_values"] == ("opt-in", False, "as a report")
    assert "2 a minute, 225 a day" in place.cli("sources", "flow_values").stdout
    assert "No load has landed" in place.cli("ledger").stderr
    place.write("daily", "source: lists")
    place.cli("transfer", "run", "daily", "-q")
    (entry,) = place.json("ledger", "daily")
    assert (entry["source"], entry["inserted"]) == ("transfers/daily", 4)
    assert "klaviyo.daily" in place.cli("ledger").stdout
    place.cli("rewind", "daily", "--to", "2026-01-01")
    assert "transfers/daily (rewind)" in place.cli("ledger").stdout


def test_check_and_auth_check_warn_if_the_accounts_days_are_others_than_those_here(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    differs = "The account's time zone is Europe/Copenhagen, and the storage time zone is {}"
    (finding,) = [each for each in place.json("check") if each["warning"]]
    assert finding["ok"]
    assert finding["text"].startswith(differs.format("UTC"))
    assert finding["text"].endswith("Set KLAVIYO_TIMEZONE to Europe/Copenhagen for the same days.")
    assert differs.format("UTC") in place.cli("auth", "check").stderr

    monkeypatch.setenv("KLAVIYO_TIMEZONE", "Europe/Berlin")  # another name of the same days
    assert not [each for each in place.json("check") if each["warning"]]
    checked = place.cli("auth", "check")
    assert checked.stderr == ""
    assert "Time zone      : Europe/Copenhagen" in checked.stdout

    place.write("tokyo", "source: lists\ndestination: {timezone: Asia/Tokyo}")
    assert f"warning account default: {differs.format('Asia/Tokyo')}" in place.cli("check").stdout
