"""Paths, wherever they come in: expanded, or refused by name before anything is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from klaviyo_pipeline import environment
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
from klaviyo_pipeline.paths import UnusablePathError, file_path, folder_path
from klaviyo_pipeline.transfers.file.model import database_file
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.errors import DatabasePathError
from klaviyo_pipeline_tests.soaking import examples
from klaviyo_pipeline_tests.transfers.workplace import Workplace, place, shop
from klaviyo_pipeline_tests.warehouse.helpers import event, ids, put

__all__ = ["place", "shop"]

REFUSED = {
    "s3://bucket/x.duckdb": "scheme s3:",
    "md:shop": "scheme md:",
    "motherduck:shop": "scheme motherduck:",
    "http://host/x.duckdb": "scheme http:",
    "ducklake:postgres:dbname=x": "scheme ducklake:",
    "postgres://host/x": "scheme postgres:",
    "file:///tmp/x.duckdb": "scheme file:",
    "S3:/bucket/x": "scheme S3:",
    ":memory:": "in memory",
    ":memory:shared": "in memory",
    "$KLAVIYO_TEST_UNSET/x.duckdb": "KLAVIYO_TEST_UNSET, which is not set",
    "${KLAVIYO_TEST_UNSET}/x.duckdb": "KLAVIYO_TEST_UNSET, which is not set",
    "${}/x.duckdb": "not the name of an environment variable",
    "$KLAVIYO_TEST_ADDRESS/x.duckdb": "scheme gs:",
    "$KLAVIYO_API_KEY/x.duckdb": "looks like a secret",
    "%APPDATA%/x.duckdb": "write ${APPDATA}",
    "~nobody-of-this-name/x.duckdb": "no such home folder",
    "data/x.duckdb/": "is a folder",
    "there": "is a folder",
    ".": "is a folder",
    "..": "is a folder",
    "x.duckdb?access_mode=read_only": "a question mark",
    "what?/x.duckdb": "a question mark",
    "x.duckdb.wal": "belongs to a database",
    "x.duckdb.compacting": "belongs to a database",
    "data/x.duckdb.lock": "belongs to a database",
    "x.duckdb.tmp": "belongs to a database",
    "/dev/null": "a device or a pipe",
    "C:\\data\\x.duckdb": "has a backslash",
    "a\nb.duckdb": "line break",
    "a\0b.duckdb": "control character",
    "text.txt/x.duckdb": "which is a file and not a folder",
    f"{'x' * 300}.duckdb": "can't be a path here",
}


@pytest.fixture
def here(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KLAVIYO_TEST_ADDRESS", "gs://bucket")
    monkeypatch.setenv("KLAVIYO_TEST_FOLDER", str(place.root / "elsewhere"))
    monkeypatch.setenv("HOME", str(place.root / "home"))
    (place.root / "there").mkdir()
    (place.root / "text.txt").write_text("")
    return place.root


@pytest.mark.parametrize("text", REFUSED)
def test_a_destination_that_is_no_local_file_is_refused_wherever_it_comes_in(
    here: Path, place: Workplace, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    before, said = sorted(here.rglob("*")), REFUSED[text]

    with pytest.raises(DatabasePathError) as at_use:
        Database(text)
    with pytest.raises(ValidationError) as in_code:
        KlaviyoDuckDBResource(database=text)
    assert said in str(at_use.value)
    assert said in str(in_code.value)
    if text != "there" and "\n" not in text and "\0" not in text:  # a name is data/NAME.duckdb
        with pytest.raises(UnusablePathError) as in_a_transfer:
            database_file(text)
        assert said in str(in_a_transfer.value)
    if "\0" not in text:
        monkeypatch.setenv("KLAVIYO_DUCKDB_PATH", text)
        with pytest.raises(ConfigurationError, match="KLAVIYO_DUCKDB_PATH is") as in_the_environment:
            _ = environment.DATABASE.value
        assert said in str(in_the_environment.value)

    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize("text", ["s3://bucket/x.duckdb", "md:shop", ":memory:", "$KLAVIYO_TEST_UNSET/x.duckdb"])
def test_commands_and_transfer_files_refuse_what_is_no_local_file(here: Path, place: Workplace, text: str) -> None:
    (here / "lists.yml").write_text("source: lists")
    create = place.cli("transfer", "create", "daily", "@daily", text, "t", "lists.yml", exit_code=2)
    assert REFUSED[text] in create.stderr
    assert place.cli("ledger", "lists", "--database", text, exit_code=2).stderr.startswith("Error: database is")
    place.write("daily", f"source: lists\ndestination: {{database: '{text}'}}")
    (wrong,) = [each for each in place.json("check", exit_code=1) if not each["ok"]]
    assert "daily.yml:2:" in wrong["text"]
    assert not (here / "data").exists()


def test_home_and_variables_are_expanded_wherever_a_path_comes_in(
    here: Path, place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write("daily", "source: lists\ndestination: {database: '${KLAVIYO_TEST_FOLDER}/shop.duckdb'}")
    assert place.run("daily").success
    assert (here / "elsewhere" / "shop.duckdb").is_file()

    monkeypatch.setenv("KLAVIYO_DUCKDB_PATH", "~/x.duckdb")
    monkeypatch.setenv("KLAVIYO_STAGING_DIR", "$KLAVIYO_TEST_FOLDER/stage")
    place.write("weekly", "source: lists")
    assert place.run("weekly").success
    assert (here / "home" / "x.duckdb").is_file()
    assert (here / "elsewhere" / "stage").is_dir()

    monkeypatch.setenv("KLAVIYO_TRANSFERS_DIR", "~/other")
    place.cli("transfer", "create", "own", "@daily", "~/own.duckdb", "t", "transfers/weekly.yml")
    assert (here / "home" / "other" / "own.yml").is_file()
    assert place.run("own").success
    assert (here / "home" / "own.duckdb").is_file()
    assert not [path for path in here.rglob("*") if "~" in path.name or "$" in path.name]


def test_drive_letters_are_no_schemes_and_a_leading_dot_names_a_file_with_a_colon(here: Path) -> None:
    assert file_path("C:/data/x.duckdb", "path") == Path("C:/data/x.duckdb")
    assert file_path("./md:x.duckdb", "path") == Path("md:x.duckdb")


@pytest.mark.parametrize("name", ["STAGING_DIR", "TRANSFERS"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("s3://bucket", "scheme s3:"),
        ("text.txt", "must be a folder"),
        ("text.txt/x", "which is a file"),
        ("$NO_X", "NO_X"),
    ],
)
def test_folders_have_the_same_grammar(
    here: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, said: str
) -> None:
    variable: environment.Variable = getattr(environment, name)
    monkeypatch.setenv(variable.name, text)
    with pytest.raises(ConfigurationError, match=f"{variable.name} is") as caught:
        _ = variable.value
    assert said in str(caught.value)


def test_a_folder_may_end_with_a_slash(here: Path) -> None:
    assert folder_path("there/", "folder") == Path("there")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], parent=examples(40))
@given(text=st.text(st.characters(codec="utf-8"), max_size=12) | st.text("~$%{}:/\\.#?*[]' \"aX", max_size=10))
def test_what_is_accepted_holds_a_database(tmp_path: Path, text: str) -> None:
    previous = Path.cwd()
    os.chdir(tmp_path)
    try:
        database = Database(text, lock_timeout_s=5)
    except DatabasePathError:
        return
    finally:
        os.chdir(previous)
    if not Path(database.path).is_absolute():
        database = Database(f"{tmp_path}/x/{database.path}", lock_timeout_s=5)
        put(database, [event("a")])
        assert ids(database) == ["a"]
