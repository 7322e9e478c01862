"""`maintain` removes what this package wrote and nobody needs any more, and nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.utils import make_new_run_id

from klaviyo_pipeline import clock, upkeep
from klaviyo_pipeline.cli import main
from klaviyo_pipeline.klaviyo.staging import manifest
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.warehouse import compacting
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.errors import WarehouseError
from klaviyo_pipeline_tests.warehouse.helpers import event, put, query

FILES = ("history/runs/{}.db", "storage/{}/compute_logs/x.out")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new DAGSTER_HOME, and a database that does not exist yet."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KLAVIYO_DUCKDB_PATH", str(tmp_path / "data" / "warehouse.duckdb"))
    monkeypatch.delenv("KLAVIYO_STAGING_DIR", raising=False)
    return tmp_path / "home"


def in_days(monkeypatch: pytest.MonkeyPatch, days: int) -> datetime:
    later = datetime.now(UTC) + timedelta(days=days)  # Dagster and files know the machine's time only
    monkeypatch.setattr(clock, "now", lambda: later)
    return later


def keep_run(instance: dg.DagsterInstance, home: Path, module: str, status: dg.DagsterRunStatus) -> str:
    """A run as Dagster keeps it, with the files that it has of one."""
    pointer = ModuleCodePointer(module, "defs", None)
    origin = JobPythonOrigin("job", RepositoryPythonOrigin("python", pointer, None, None, None))
    run_id = make_new_run_id()
    kept = instance.add_run(dg.DagsterRun("job", run_id=run_id, status=status, job_code_origin=origin))
    instance.report_engine_event("It began.", kept)
    output = home / "storage" / run_id / "compute_logs" / "x.out"
    output.parent.mkdir(parents=True)
    output.write_text("output")
    return run_id


def run(*arguments: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(main, ["maintain", "--json", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.output)
    return found


def test_old_finished_runs_of_this_package_go_with_their_files_and_all_others_stay(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from klaviyo_pipeline.orchestration.dagster_home import kept_instance

    ours, status = "klaviyo_pipeline.definitions", dg.DagsterRunStatus
    with kept_instance() as instance:
        old = keep_run(instance, home, ours, status.SUCCESS)
        under_way = keep_run(instance, home, ours, status.STARTED)
        of_others = keep_run(instance, home, "klaviyo_pipeline_of_others.definitions", status.FAILURE)
        foreign = home / "storage" / "notes"
        foreign.mkdir()
        in_days(monkeypatch, 31)

        assert run("--keep-days", "40")[0]["freed_bytes"] == 0
        would = run("--dry-run")
        assert instance.get_run_by_id(old)
        done = run()

        assert would == [each | {"text": each["text"].replace("removed", "would be removed")} for each in done]
        assert [bool(instance.get_run_by_id(each)) for each in (old, under_way, of_others)] == [False, True, True]
    left = [each for each in (old, under_way, of_others) for name in FILES if (home / name.format(each)).exists()]
    assert left == [under_way, under_way, of_others, of_others]
    assert not (home / "storage" / old).exists()
    assert foreign.is_dir()


def test_stages_that_no_run_can_resume_go_and_others_and_foreign_files_stay(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    area = StagingArea(home.parent / "data" / ".warehouse.duckdb.staging")
    now = datetime.now(UTC)
    later = in_days(monkeypatch, 31)
    fresh, stale = area.open({"source": "profiles"}, later), area.open({"source": "events"}, now)
    fresh.close(remove=False)
    stale.close(remove=False)
    foreign = area.root / "events-0123456789abcdef"
    foreign.mkdir()
    (foreign / manifest.NAME).write_text("not one of ours")

    assert "1 that no run can resume would be removed" in run("--dry-run")[1]["text"]
    assert stale.folder.is_dir()
    assert "1 that no run can resume removed" in run()[1]["text"]

    assert sorted(path.name for path in area.root.iterdir() if path.is_dir()) == [foreign.name, fresh.folder.name]


def test_database_when_much_of_it_is_free_is_compacted_with_all_rows_comments_and_its_mode(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(home.parent / "data" / "warehouse.duckdb", file_mode=0o600)
    with database.writing() as con:
        con.execute("CREATE TABLE dropped AS SELECT md5(range::VARCHAR) AS text FROM range(100_000)")
    put(database, [event(f"e{number}", props=f'"{number * 7919**9}"') for number in range(9_000)])
    with database.writing() as con:
        con.execute("CREATE VIEW klaviyo.first_events AS SELECT * FROM klaviyo.events WHERE id < 'e2'")
        con.execute("DROP TABLE dropped")
    monkeypatch.setattr(upkeep, "WORTH_BYTES", 100_000)
    described = "SELECT sql, comment FROM duckdb_tables() UNION ALL SELECT sql, comment FROM duckdb_views() WHERE "
    described += "NOT internal UNION ALL SELECT column_name, comment FROM duckdb_columns() ORDER BY ALL"
    before = query(database, "FROM klaviyo.events ORDER BY id"), query(database, described)
    size = database.file.stat().st_size

    would, done = run("--dry-run")[-1], run()[-1]

    assert "would be compacted" in would["text"]
    assert database.file.stat().st_size == size - done["freed_bytes"] < size
    assert (query(database, "FROM klaviyo.events ORDER BY id"), query(database, described)) == before
    assert database.file.stat().st_mode & 0o777 == 0o600
    assert "not worth compacting" in run()[-1]["text"]
    assert put(database, [event("new")]).inserted == 1


def test_database_when_its_copy_lacks_rows_stays_as_it_was(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(home.parent / "data" / "warehouse.duckdb")
    put(database, [event("e1")])
    before = database.file.read_bytes()
    found = iter([[("klaviyo", "events", 1)], [("klaviyo", "events", 0)]])
    monkeypatch.setattr(compacting, "_contents", lambda *_: next(found))

    with pytest.raises(WarehouseError, match="does not have all of its rows"):
        compacting.compact(database)

    assert query(database, "SELECT id FROM klaviyo.events") == [("e1",)]
    assert len(before) == database.file.stat().st_size
    assert [path.name for path in database.file.parent.glob("*compacting*")] == []


def test_maintain_without_a_home_or_a_database_says_so_and_makes_neither(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME")

    done = CliRunner().invoke(main, ["maintain"])

    assert "DAGSTER_HOME is not set" in done.output
    assert "there is none at" in done.output
    assert done.output.endswith("Freed 0.0 MB.\n")
    assert not (home.parent / "data").exists()
