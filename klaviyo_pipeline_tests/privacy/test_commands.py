"""The commands erase and export: over databases, stages, exports and Dagster's records."""

from __future__ import annotations

import json
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from klaviyo_pipeline import project
from klaviyo_pipeline.cli import main
from klaviyo_pipeline.orchestration import erased_records
from klaviyo_pipeline_tests.incremental.support import Project
from klaviyo_pipeline_tests.orchestration.conftest import World
from klaviyo_pipeline_tests.privacy.people_in_a_shop import Shop, files_with
from klaviyo_pipeline_tests.privacy.planted import EXTERNAL, NATIONAL, OTHER, TRACES, plant

TEMPLATES = Path(project.__file__).with_name("templates")
DAYS = ("2026-11-17", "2026-11-20")


@pytest.fixture
def home(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = shop.folder / "home"
    home.mkdir()
    for name in ("KLAVIYO_STAGING_DIR", "KLAVIYO_TRANSFERS_DIR", "KLAVIYO_SCHEMA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KLAVIYO_DUCKDB_PATH", str(shop.database.file))
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.chdir(shop.folder)
    return home


def cli(*arguments: str, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == exit_code, (result.output, result.exception)
    return result


def first_rows(instance: dg.DagsterInstance, source: str) -> list[dict[str, Any]]:
    (record,) = instance.fetch_materializations(dg.AssetKey(["klaviyo", source]), limit=1).records
    assert record.asset_materialization is not None
    return [dict(row.data) for row in record.asset_materialization.metadata["first_rows"].records]  # type: ignore[attr-defined]


def test_erased_person_is_in_no_file_and_dagsters_records_can_be_read(
    shop: Shop, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_PREVIEW_COLUMNS", "all")
    id_ = plant(shop)
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        Project(World(shop.sandbox, shop.database.file), instance).load("profiles", "events", days=DAYS)
        shown = {source: first_rows(instance, source) for source in ("profiles", "events")}
    (home / "storage").mkdir(exist_ok=True)
    (home / "storage" / "out.err").write_text(f"one\nloaded {OTHER}\nthree\n")
    shop.fetch("profiles").staged.keep()
    report = cli("export", "--email", OTHER, "--json")
    exported = Path(json.loads(report.stdout)["file"])
    assert stat.S_IMODE(exported.stat().st_mode) == 0o600
    assert id_ in exported.read_text()
    cli("export", "--email", "nobody@example.com", "--output", "mine.json")
    assert {path.split("/")[0] for path in files_with(shop.folder, id_)} >= {"home", "klaviyo-exports"}

    counted = json.loads(cli("erase", "--phone", NATIONAL, "--dry-run", "--json").stdout)
    assert files_with(shop.folder, id_)
    done = json.loads(cli("erase", "--phone", NATIONAL, "--yes", "--json").stdout)

    assert done == counted | {"records": done["records"]}
    (found,) = done["databases"].values()
    assert found["profiles"] == done["exports"] == 1
    assert done["stages"] >= 1
    assert files_with(shop.folder, *TRACES, id_) == []
    assert [trace for trace in (*TRACES, id_.lower()) if trace in "".join(shop.texts()).casefold()] == []
    assert (home / "storage" / "out.err").read_text() == "one\n[erased]\nthree\n"
    assert (shop.folder / "mine.json").exists()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        for source, before in shown.items():
            after = first_rows(instance, source)
            assert len(after) == len(before)
            assert [row for row in after if "[erased]" not in row.values()] == [
                row for row, now in zip(before, after, strict=True) if "[erased]" not in now.values()
            ]


def test_files_of_a_project_in_dagster_home_stay_and_the_records_that_its_settings_name_do_not(
    shop: Shop, home: Path
) -> None:
    """DAGSTER_HOME of a project that `init` wrote is the project's own folder."""
    plant(shop)
    shop.load("profiles")
    (home / "dagster.yaml").write_text(
        (TEMPLATES / "dagster.yaml").read_text().replace(": .dagster", ": home/.dagster")
    )
    mine = {home / name: f"# {OTHER}\n" for name in (".env", "klaviyo.yml", "logs.txt", "sql/query.sql", "storage.py")}
    records = home / ".dagster" / "storage" / "run" / "out.err"
    for path, text in {**mine, records: f"one\nloaded {OTHER}\n"}.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    cli("erase", "--email", OTHER, "--yes")

    assert {path: path.read_text() for path in mine} == mine
    assert records.read_text() == "one\n[erased]\n"


def test_person_is_still_known_by_the_tables_when_records_are_busy_and_is_erased_by_the_next_try(
    shop: Shop, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address tells of no phone number: the tables do, and records have it."""
    monkeypatch.setattr(erased_records, "_WAIT_S", 0.1)
    plant(shop)
    shop.load("profiles")
    (home / "storage").mkdir()
    with closing(sqlite3.connect(home / "storage" / "records.db", isolation_level=None)) as con:
        con.execute("CREATE TABLE records (body TEXT)")
        con.execute("INSERT INTO records VALUES (?)", [f"called {NATIONAL}"])
        con.execute("BEGIN IMMEDIATE")
        assert "Stop Dagster's web server" in cli("erase", "--email", OTHER, "--yes", exit_code=1).output
        con.execute("ROLLBACK")
        cli("erase", "--email", OTHER, "--yes")
        assert con.execute("SELECT body FROM records").fetchall() == [("[erased]",)]
    assert shop.sql("SELECT count(*) FROM klaviyo.profiles WHERE email = ?", OTHER) == [(0,)]


def test_stage_of_a_database_that_was_never_made_is_removed(shop: Shop, home: Path) -> None:
    id_ = plant(shop)
    shop.fetch("profiles").staged.keep()
    assert files_with(shop.folder, id_)
    assert not shop.database.file.exists()
    assert "Stages: 1 erased" in cli("erase", "--email", OTHER, "--yes").output
    assert files_with(shop.folder, id_) == []


def test_export_that_was_cut_off_is_removed_and_a_file_of_another_name_stays(shop: Shop, home: Path) -> None:
    plant(shop)
    shop.load("profiles")
    exported = Path(json.loads(cli("export", "--email", OTHER, "--json").stdout)["file"])
    exported.write_bytes(exported.read_bytes()[:-40])
    (exported.parent / "notes.json").write_text("no JSON")
    assert json.loads(cli("erase", "--email", OTHER, "--yes", "--json").stdout)["exports"] == 1
    assert [path.name for path in exported.parent.iterdir()] == ["notes.json"]


def test_erase_asks_first_and_changes_nothing_when_told_no(shop: Shop, home: Path) -> None:
    plant(shop)
    shop.load("profiles")
    before = "".join(shop.texts())
    said = CliRunner().invoke(main, ["erase", "--external-id", EXTERNAL], input="n\n")
    assert said.exit_code == 1
    assert "klaviyo.profiles: 1 rows would be erased" in said.output
    assert "".join(shop.texts()) == before
    assert list(home.iterdir()) != []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Name the person"),
        (("--email", "anna"), "--email is 'anna', which is none"),
        (("--phone", "12"), "--phone is '12', which is none"),
        (("--profile", " "), "--profile is ' ', which is none"),
        (("--external-id", ""), "--external-id is '', which is none"),
    ],
)
def test_person_who_is_not_named_is_an_error(shop: Shop, home: Path, arguments: tuple[str, ...], said: str) -> None:
    for command in ("erase", "export"):
        assert said in cli(command, *arguments, exit_code=2).output


def test_erase_without_a_secret_is_refused(shop: Shop, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KLAVIYO_PRIVACY_SECRET")
    assert "KLAVIYO_PRIVACY_SECRET is not set" in cli("erase", "--email", OTHER, exit_code=2).output


def test_stage_that_a_run_has_open_is_reported(shop: Shop, home: Path) -> None:
    shop.load("profiles")
    staged = shop.fetch("profiles").staged
    assert "Runs have 1 stages open" in cli("erase", "--email", OTHER, "--yes", exit_code=1).output
    staged.drop()
    cli("erase", "--email", OTHER, "--yes")


def test_export_does_not_write_over_a_file(shop: Shop, home: Path) -> None:
    shop.load("profiles")
    (shop.folder / "mine.json").write_text("mine")
    assert "exists" in cli("export", "--email", OTHER, "--output", "mine.json", exit_code=2).output
    assert (shop.folder / "mine.json").read_text() == "mine"
