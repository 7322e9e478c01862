"""The commands erase and export: over databases, stages, exports and Dagster's records."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from klaviyo_pipeline.cli import main
from klaviyo_pipeline_tests.incremental.support import Project
from klaviyo_pipeline_tests.orchestration.conftest import World
from klaviyo_pipeline_tests.privacy.people_in_a_shop import Shop, files_with
from klaviyo_pipeline_tests.privacy.planted import EXTERNAL, NATIONAL, OTHER, TRACES, plant

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
