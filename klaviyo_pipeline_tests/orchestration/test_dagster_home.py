"""DAGSTER_HOME: new folders get our settings, and eight processes may be the first in one at once."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import dagster as dg
import pytest
import yaml

from klaviyo_pipeline.orchestration import dagster_home
from klaviyo_pipeline.orchestration.dagster_home import SETTINGS
from klaviyo_pipeline.orchestration.dagster_storage import LockedSqliteStorage
from klaviyo_pipeline.private_files import FOLDER_MODE
from klaviyo_pipeline_tests.docs.documents import ROOT

EIGHT = """
import multiprocessing as mp
import sys

from dagster._core.storage import sqlite_storage  # the imports come before the barrier

from klaviyo_pipeline.orchestration import dagster_home

def first(barrier):
    barrier.wait()
    with dagster_home.kept_instance() as instance:
        instance.get_runs_count()
        instance.all_instigator_state()

context = mp.get_context("fork")
barrier = context.Barrier(8)
processes = [context.Process(target=first, args=(barrier,)) for _ in range(8)]
for each in processes:
    each.start()
for each in processes:
    each.join()
print([each.exitcode for each in processes])
"""


def test_home_when_eight_processes_use_it_first_at_once_then_none_fails(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EIGHT],
        env={"DAGSTER_HOME": str(tmp_path / "new" / "home")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.strip() == str([0] * 8), done.stderr


def test_home_when_new_then_only_its_owner_reads_it_and_it_has_our_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("DAGSTER_HOME", str(home))

    with dagster_home.instance() as instance:
        assert instance.get_ref().storage_data.class_name == LockedSqliteStorage.__name__
        assert instance.telemetry_enabled is False

    assert (home / "dagster.yaml").read_bytes() == dagster_home.SETTINGS.read_bytes()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert not list(home.glob(".dagster.yaml.*"))


def test_home_when_it_has_settings_then_keeps_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: true}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))

    with dagster_home.instance() as instance:
        assert instance.telemetry_enabled is True

    assert (tmp_path / "dagster.yaml").read_text() == "telemetry: {enabled: true}\n"


def test_home_when_none_is_named_then_a_command_that_keeps_records_makes_one_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", "")

    with dagster_home.instance() as forgetful:
        assert forgetful.is_ephemeral
    assert not (tmp_path / ".dagster").exists()
    with dagster_home.kept_instance() as instance:
        assert instance.root_directory == str(tmp_path / ".dagster")


def test_settings_of_a_clone_are_those_of_a_home_but_for_the_folders() -> None:
    of_home, of_clone = (yaml.safe_load(path.read_text()) for path in (SETTINGS, ROOT / "dagster.yaml"))

    assert of_home.pop("storage") != of_clone.pop("storage")
    assert of_clone.pop("compute_logs")
    assert of_clone.pop("local_artifact_storage")
    assert of_home == of_clone


@dg.asset
def _asset() -> int:
    return 1


def test_home_that_is_a_clone_has_the_records_of_its_hidden_folder_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))

    with dagster_home.kept_instance() as instance:
        done = dg.materialize([_asset], instance=instance)

    assert {path.name for path in tmp_path.iterdir()} == {"dagster.yaml", ".dagster"}
    assert stat.S_IMODE((tmp_path / ".dagster").stat().st_mode) == FOLDER_MODE
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / ".dagster"))
    with dagster_home.kept_instance() as instance:
        assert [run.run_id for run in instance.get_runs()] == [done.run_id]


def test_code_location_has_one_name_in_production_and_under_dg_whatever_the_folder_is_called() -> None:
    dg_project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    (loaded,) = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]

    assert dg_project["code_location_name"] == loaded["python_module"]["location_name"]
