"""Sessions take over the DuckDB instance of an earlier session, and notice nothing of it."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest

from klaviyo_pipeline.warehouse import instances
from klaviyo_pipeline.warehouse.database import Database

SETTINGS = "SELECT name, value FROM duckdb_settings() WHERE name <> 'temp_directory' ORDER BY name"


def instance_of(con: duckdb.DuckDBPyConnection) -> set[str]:
    """The marks that sessions left in an instance."""
    return {
        name for (name,) in con.execute("SELECT view_name FROM duckdb_views() WHERE view_name LIKE 'mark%'").fetchall()
    }


@pytest.fixture(autouse=True)
def none_waits() -> None:
    instances.close_waiting()


def test_session_when_the_one_before_changed_settings_then_has_those_of_its_database(tmp_path: Path) -> None:
    database = Database(tmp_path / "a.duckdb", memory_limit="128MB", settings={"threads": 2})
    with database.writing() as con:
        as_new = con.execute(SETTINGS).fetchall()
        con.execute("CREATE TABLE rows AS SELECT range AS i FROM range(10)")
        con.execute("CREATE VIEW memory.main.mark AS SELECT 1")
    with database.scratch() as con:
        assert instance_of(con) == {"mark"}, "the second session has the instance of the first"
        con.execute("SET threads = 1; SET memory_limit = '64MB'; SET disabled_optimizers = 'join_order'")
        con.execute("SET wal_autocheckpoint = '1GB'; SET TimeZone = 'Asia/Tokyo'; CREATE TEMP TABLE mine AS SELECT 1")
    with database.reading() as con:
        assert instance_of(con) == {"mark"}
        assert con.execute(SETTINGS).fetchall() == as_new
        assert con.execute("SELECT table_name FROM duckdb_tables()").fetchall() == [("rows",)]


def test_session_of_other_settings_or_after_an_error_has_an_instance_of_its_own(tmp_path: Path) -> None:
    with Database(tmp_path / "a.duckdb").writing() as con:
        con.execute("CREATE VIEW memory.main.mark AS SELECT 1")
    with Database(tmp_path / "b.duckdb", memory_limit="100MB").writing() as con:
        assert instance_of(con) == set()
    with pytest.raises(duckdb.BinderException, match="nothing"):  # noqa: PT012, SIM117 - the error ends the session
        with Database(tmp_path / "a.duckdb").reading() as con:
            assert instance_of(con) == {"mark"}
            con.execute("SELECT nothing")
    with Database(tmp_path / "b.duckdb").writing() as con:
        assert instance_of(con) == set()


def test_session_when_the_one_before_spilled_then_spills_beside_its_own_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        database = Database(tmp_path / f"{name}.duckdb", memory_limit="64MB")
        with database.writing() as con:
            con.execute(
                "CREATE TEMP TABLE many AS SELECT range AS i, md5(range::VARCHAR) AS text FROM range(2_000_000)"
            )
            assert Path(f"{database.file}.tmp").is_dir()
        assert sorted(each.name for each in tmp_path.glob("*.tmp")) == []


def test_sessions_at_once_have_different_instances(tmp_path: Path) -> None:
    both = threading.Barrier(2, timeout=60)
    seen: list[set[str]] = []

    def session(name: str) -> None:
        with Database(tmp_path / f"{name}.duckdb").writing() as con:
            con.execute(f"CREATE VIEW memory.main.mark_{name} AS SELECT 1")
            both.wait()
            seen.append(instance_of(con))
            both.wait()

    threads = [threading.Thread(target=session, args=(name,)) for name in ("a", "b")]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(seen, key=sorted) == [{"mark_a"}, {"mark_b"}]


def test_file_when_its_session_has_ended_then_is_whole_and_open_to_another_process(tmp_path: Path) -> None:
    database = Database(tmp_path / "a.duckdb")
    with database.writing() as con:
        con.execute("CREATE TABLE rows AS SELECT range AS i FROM range(10)")
    assert not Path(f"{database.file}.wal").exists()
    reads = "import duckdb, sys; print(duckdb.connect(sys.argv[1]).sql('SELECT count(*) FROM rows').fetchall())"
    command = [sys.executable, "-c", reads, str(database.file)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[(10,)]\n"


def test_instances_that_wait_are_few(tmp_path: Path) -> None:
    for limit in range(100, 110):
        with Database(tmp_path / "a.duckdb", memory_limit=f"{limit}MB").writing() as con:
            con.execute("SELECT 1")
    assert len(instances._waiting) == instances.MOST_WAITING
