"""The database under contention, through Dagster: wait patiently with a limit, or fail in one sentence; never half."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest

from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
from klaviyo_pipeline.warehouse import ledger, write_modes
from klaviyo_pipeline_tests.breadth import few
from klaviyo_pipeline_tests.forking import PROCESSES
from klaviyo_pipeline_tests.incremental.support import loads
from klaviyo_pipeline_tests.orchestration.conftest import World, failure_text
from klaviyo_pipeline_tests.warehouse.processes import OUTSIDER, holding

DAY = "2026-11-18"
ROOT = Path(__file__).parents[2]

# A run of ours, killed just before its commit, with everything written.
KILLED_RUN = """
import sys
from pathlib import Path
from types import SimpleNamespace
from klaviyo_pipeline.warehouse import ledger
from klaviyo_pipeline_tests.orchestration.conftest import World, failure_text
record = ledger.record
def record_and_wait(con, entry):
    record(con, entry)
    print("ready", flush=True)
    sys.stdin.readline()
ledger.record = record_and_wait
print(failure_text(World(SimpleNamespace(url=sys.argv[1]), Path(sys.argv[2])).run(sys.argv[3], days=sys.argv[4])))
"""


def _start(world: World, *arguments: str) -> subprocess.Popen[str]:
    """``dagster asset materialize`` in a process of its own."""
    environment = {
        **os.environ,
        "KLAVIYO_API_KEY": "pk_sandbox",
        "KLAVIYO_BASE_URL": world.sandbox.url,
        "KLAVIYO_DUCKDB_PATH": str(world.path),
        "DAGSTER_HOME": "",
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "klaviyo_pipeline.definitions"]
    return subprocess.Popen(
        [*command, *arguments],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _run(url: str, path: Path, name: str, day: str) -> None:
    result = World(SimpleNamespace(url=url), path).run(name, days=day or None)  # type: ignore[arg-type]
    assert result.success, failure_text(result)


@pytest.mark.long
def test_eight_materializations_at_once_into_one_file_then_all_succeed(world: World) -> None:
    days = ("2026-11-15", "2026-11-16", "2026-11-17", "2026-11-18")
    wanted = [("events", day) for day in days] + [("profiles", DAY), ("campaigns", DAY), ("lists", ""), ("metrics", "")]
    processes = [PROCESSES.Process(target=_run, args=(world.sandbox.url, world.path, *each)) for each in wanted]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)

    assert [process.exitcode for process in processes] == [0] * 8
    expected = world.ids("events", "2026-11-15", "2026-11-19")
    assert sorted(world.column("SELECT id FROM klaviyo.events")) == expected
    for name in ("profiles", "campaigns"):
        assert sorted(world.column(f"SELECT id FROM klaviyo.{name}")) == world.ids(name, DAY, "2026-11-19")
    for name in ("lists", "metrics"):
        assert sorted(world.column(f"SELECT id FROM klaviyo.{name}")) == world.ids(name)
    assert world.sql("SELECT count(*), count(DISTINCT entry) FROM klaviyo_pipeline.ledger") == [(8, 8)]


@pytest.fixture
def loaded(world: World) -> World:
    assert world.run("events", days="2026-11-17").success
    return world


def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that do not wait for others."""
    warehouse = KlaviyoDuckDBResource.warehouse

    def hurried(self: KlaviyoDuckDBResource) -> object:
        object.__setattr__(self, "lock_timeout_s", 0.2)
        return warehouse(self)

    monkeypatch.setattr(KlaviyoDuckDBResource, "warehouse", hurried)


@pytest.mark.parametrize("how", ["read", "write"])
def test_outsider_that_keeps_the_file_open_then_fails_naming_it_and_nothing_has_changed(
    loaded: World, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    before = loaded.state()
    _impatient(monkeypatch)

    with holding(OUTSIDER, loaded.path, how) as outsider:
        result = loaded.run("events", days=DAY)

    text = failure_text(result)
    assert f"held by process {outsider.pid}" in text
    assert "lock timeout" in text
    assert "\n" not in text
    assert loaded.state() == before
    assert len(loads(loaded, "events")) == 1


@pytest.mark.long
def test_outsider_that_closes_the_file_then_the_waiting_run_lands(loaded: World) -> None:
    with holding(OUTSIDER, loaded.path, "read") as outsider:
        waiting = _start(loaded, "--select", "klaviyo/events", "--partition", DAY)
        assert waiting.stdout is not None
        # It has fetched everything when it says so: then let it in.
        for line in waiting.stdout:
            if "Reading events" in line:
                break
        outsider.communicate("\n")
        output, _ = waiting.communicate(timeout=120)

    assert waiting.returncode == 0, output[-3000:]
    assert sorted(loaded.column("SELECT id FROM klaviyo.events")) == loaded.ids("events", "2026-11-17", "2026-11-19")


def test_writer_killed_before_its_commit_then_nothing_of_it_is_there_and_the_next_run_lands(loaded: World) -> None:
    before = loaded.state()

    with holding(KILLED_RUN, loaded.sandbox.url, loaded.path, "events", DAY):
        pass

    assert loaded.state() == before
    assert loaded.run("events", days=DAY).success
    assert sorted(loaded.column("SELECT id FROM klaviyo.events")) == loaded.ids("events", "2026-11-17", "2026-11-19")


def test_table_of_another_shape_then_says_which_column_and_nothing_has_changed(world: World) -> None:
    with duckdb.connect(str(world.path)) as connection:
        connection.execute("CREATE SCHEMA klaviyo; CREATE TABLE klaviyo.events (id VARCHAR, datetime INTEGER)")
        connection.execute("INSERT INTO klaviyo.events VALUES ('mine', 1)")

    result = world.run("events", days=DAY)

    text = failure_text(result)
    assert "klaviyo.events exists with column 'datetime' of type INTEGER" in text
    assert "Nothing was changed" in text
    assert world.sql("FROM klaviyo.events") == [("mine", 1)]


def test_table_without_the_key_then_says_so_and_nothing_has_changed(world: World) -> None:
    with duckdb.connect(str(world.path)) as connection:
        connection.execute("CREATE SCHEMA klaviyo; CREATE TABLE klaviyo.lists AS SELECT 42 AS answer")

    result = world.run("lists")

    assert "without the key column 'id'" in failure_text(result)
    assert world.sql("FROM klaviyo.lists") == [(42,)]


def test_view_of_the_same_name_then_one_sentence(world: World) -> None:
    with duckdb.connect(str(world.path)) as connection:
        connection.execute("CREATE SCHEMA klaviyo; CREATE VIEW klaviyo.lists AS SELECT 'a' AS id")

    result = world.run("lists")

    assert not result.success
    assert world.sql("FROM klaviyo.lists") == [("a",)]


def test_file_that_is_no_database_then_says_so_and_leaves_it(world: World) -> None:
    world.path.write_bytes(b"a spreadsheet, perhaps" * 1000)
    before = world.path.read_bytes()

    result = world.run("lists")

    assert "is not a DuckDB database" in failure_text(result)
    assert world.path.read_bytes() == before


def test_folder_that_can_not_be_written_then_says_so_before_anything_is_requested(world: World) -> None:
    world.path = Path("/proc/warehouse.duckdb")  # refuses even root
    world.sandbox.reset_counts()

    result = world.run("lists")

    text = failure_text(result)
    assert "/proc" in text
    assert "KLAVIYO_STAGING_DIR" in text or "Choose a" in text or "another path" in text
    assert "\n" not in text


@pytest.mark.parametrize("mode", few(["append", "merge", "replace", "replace_on_new_data"], 2))
def test_disk_full_in_the_middle_of_a_landing_then_says_so_and_nothing_has_changed(
    loaded: World, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    before, write = loaded.state(), write_modes._write

    def write_until_full(job: write_modes.Job, chosen: str) -> int:
        write(job, chosen)
        raise duckdb.IOException("Could not write file: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(write_modes, "_write", write_until_full)
        result = loaded.run("events", days=DAY, config={"write_mode": mode})

    text = failure_text(result)
    assert "is full; nothing was changed" in text
    assert loaded.state() == before
    assert loaded.run("events", days=DAY, config={"write_mode": mode}).success


def test_value_of_a_megabyte_without_a_space_does_not_hold_up_the_landing(world: World) -> None:
    """The preview's search for mail addresses once took minutes over one such template."""
    world.sandbox.store.put("templates", [{"id": "A00001", "html": "0a" * 500_000}])

    assert world.run("templates").success

    assert world.column("SELECT length(html) FROM klaviyo.templates WHERE id = 'A00001'") == [1_000_000]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of four megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a disk takes more rights than these")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def test_disk_that_really_fills_up_then_one_sentence_and_the_table_as_it_was(world: World, small_disk: Path) -> None:
    staging = world.path.parent / "staging"
    world.path = small_disk / "warehouse.duckdb"
    assert world.run("lists").success
    before = world.state()
    big = [{"id": f"T{n:03d}", "html": os.urandom(60_000).hex()} for n in range(60)]
    world.sandbox.store.put("templates", big)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KLAVIYO_STAGING_DIR", str(staging))
        result = world.run("templates")

    said = failure_text(result)
    assert "full" in said
    assert "\n" not in said.split("DuckDB said")[0]
    assert world.state() == before
    assert world.run("lists").success


def test_staging_folder_on_a_full_disk_then_one_sentence_and_the_table_as_it_was(
    world: World, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert world.run("lists").success
    before = world.state()
    monkeypatch.setenv("KLAVIYO_STAGING_DIR", str(small_disk))
    big = [{"id": f"T{n:03d}", "html": os.urandom(60_000).hex()} for n in range(60)]
    world.sandbox.store.put("templates", big)

    result = world.run("templates")

    text = failure_text(result)
    assert "the disk is full" in text
    assert "KLAVIYO_STAGING_DIR" in text
    assert world.state() == before


def test_several_runs_in_one_process_when_their_windows_overlap_then_rows_are_there_once(world: World) -> None:
    from concurrent.futures import ThreadPoolExecutor

    days = [("2026-11-15", "2026-11-18"), ("2026-11-16", "2026-11-19"), ("2026-11-17", "2026-11-20")]
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda span: world.run("events", days=span), days))

    assert all(result.success for result in results)
    ids = world.column("SELECT id FROM klaviyo.events")
    assert sorted(ids) == world.ids("events", "2026-11-15", "2026-11-21")
    assert len(ledger.history(KlaviyoDuckDBResource(database=str(world.path)).warehouse())) == 3
