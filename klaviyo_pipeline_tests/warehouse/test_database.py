"""Opening the file: alone, patiently, and with words for whatever is wrong."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path

import duckdb
import pytest

from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.errors import (
    DatabaseBusyError,
    DatabaseFileError,
    DatabaseMissingError,
    DatabasePathError,
    StorageFullError,
    WarehouseError,
)
from klaviyo_pipeline.warehouse.rehearsal import rehearse
from klaviyo_pipeline_tests.warehouse.helpers import EVENTS, event, ids, put, query
from klaviyo_pipeline_tests.warehouse.processes import OUTSIDER, holding

IMPATIENT_S = 0.3


@pytest.fixture
def database(file: Database) -> Database:
    return file


@pytest.mark.parametrize("how", ["read", "write"])
def test_writing_when_another_process_holds_the_file_then_gives_up_naming_it(tmp_path, how):
    path = tmp_path / "store.duckdb"
    put(Database(path), [event("a")])
    with holding(OUTSIDER, path, how) as process:
        with pytest.raises(DatabaseBusyError, match=rf"held by process {process.pid} .*0\.3 s") as raised:
            put(Database(path, lock_timeout_s=IMPATIENT_S), [event("b")])
        assert "Close the notebook" in str(raised.value)
    assert ids(Database(path)) == ["a"]


def test_writing_when_the_other_process_lets_go_then_lands(tmp_path):
    path = tmp_path / "store.duckdb"
    put(Database(path), [event("a")])
    with holding(OUTSIDER, path, "read") as process:
        landed = threading.Thread(target=put, args=(Database(path, lock_timeout_s=60), [event("b")]))
        landed.start()
        process.stdin.write("go\n")
        process.stdin.flush()
        landed.join()
    assert ids(Database(path)) == ["a", "b"]


def test_reading_when_a_writer_holds_the_file_then_waits_and_gives_up_clearly(tmp_path):
    path = tmp_path / "store.duckdb"
    put(Database(path), [event("a")])
    with holding(OUTSIDER, path, "write") as process, pytest.raises(DatabaseBusyError, match=str(process.pid)):
        ids(Database(path, lock_timeout_s=IMPATIENT_S))


def test_reading_when_an_outsider_reads_then_reads_too(tmp_path):
    path = tmp_path / "store.duckdb"
    put(Database(path), [event("a")])
    with holding(OUTSIDER, path, "read"):
        assert ids(Database(path, lock_timeout_s=IMPATIENT_S)) == ["a"]


def test_writing_when_this_process_has_it_open_elsewhere_then_gives_up_clearly(tmp_path):
    path = tmp_path / "store.duckdb"
    with duckdb.connect(str(path)), pytest.raises(DatabaseBusyError, match="another process or connection"):
        put(Database(path, lock_timeout_s=IMPATIENT_S), [event("a")])


def test_writing_when_a_session_of_ours_is_open_then_waits_for_its_lock(database):
    with database.writing(), pytest.raises(DatabaseBusyError):
        put(Database(database.path, lock_timeout_s=IMPATIENT_S), [event("a")])
    put(database, [event("a")])


def test_landing_when_threads_do_it_at_once_then_all_succeed(database):
    threads = [threading.Thread(target=put, args=(database, [event(str(n))])) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids(database)) == 6


def test_writing_when_the_folder_is_missing_then_creates_it(tmp_path):
    put(Database(tmp_path / "deep" / "er" / "store.duckdb"), [event("a")])
    assert (tmp_path / "deep" / "er" / "store.duckdb").exists()


def test_writing_when_closed_then_leaves_nothing_beside_the_file_but_its_lock(tmp_path):
    put(Database(tmp_path / "store.duckdb"), [event("a")])
    names = {path.name for path in tmp_path.iterdir()}
    assert names - {"store.duckdb.lock"} == {"store.duckdb"}


def test_reading_when_the_file_is_missing_then_does_not_create_it(database):
    with pytest.raises(DatabaseMissingError), database.reading():
        pass
    assert list(database.file.parent.iterdir()) == []


def test_reading_when_it_tries_to_write_then_can_not(database):
    put(database, [event("a")])
    with pytest.raises(duckdb.InvalidInputException, match="read-only"):
        query(database, "CREATE TABLE t (a INT)")


@pytest.mark.parametrize(
    ("path", "said"), [(":memory:", "needs a file"), (":memory:shared", "needs a file"), ("", "blank"), (" ", "blank")]
)
def test_path_when_in_memory_then_says_a_file_is_needed(path, said):
    with pytest.raises(DatabasePathError, match=said):
        Database(path)


def test_path_when_a_folder_then_says_so(tmp_path):
    with pytest.raises(DatabasePathError, match="is a folder"):
        Database(tmp_path)


def test_path_when_below_a_file_then_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabasePathError, match=r"lies in .*file, which is a file and not a folder"):
        put(Database(tmp_path / "file" / "store.duckdb"), [event("a")])


def test_path_when_its_folder_can_not_be_written_then_says_so(tmp_path, monkeypatch):
    import filelock

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with pytest.raises(DatabasePathError, match=r"store\.duckdb\.lock can't be written \(Permission denied\)"):
        put(Database(tmp_path / "store.duckdb"), [event("a")])


def test_reading_when_its_folder_can_not_be_written_then_reads_all_the_same(database, monkeypatch):
    import filelock

    put(database, [event("a")])

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    assert ids(database) == ["a"]


@pytest.mark.parametrize("content", [b"id,name\n1,x\n" * 2000, b"\0" * 20_000])
def test_file_when_no_database_then_says_so_and_leaves_it(tmp_path, content):
    path = tmp_path / "store.duckdb"
    path.write_bytes(content)
    with pytest.raises(DatabaseFileError, match="not a DuckDB database"):
        put(Database(path), [event("a")])
    assert path.read_bytes() == content


def sqlite_file(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as con:
        con.execute("CREATE TABLE theirs AS SELECT 1")
        con.commit()


def truncated(path: Path) -> None:
    put(Database(path), [event("a")])
    path.write_bytes(path.read_bytes()[:20_000])


@pytest.mark.parametrize("make", [sqlite_file, truncated])
def test_file_when_duckdb_would_fail_in_its_own_words_then_fails_in_ours_and_leaves_it(tmp_path, make):
    path = tmp_path / "store.duckdb"
    make(path)
    content = path.read_bytes()
    with pytest.raises(DatabaseFileError, match="not a DuckDB database, or it is damaged"):
        put(Database(path), [event("a")])
    with pytest.raises(DatabaseFileError):
        rehearse(Database(path), EVENTS)
    assert path.read_bytes() == content


def test_file_when_read_only_then_is_read(database):
    put(database, [event("a")])
    Path(f"{database.file}.lock").unlink()
    database.file.chmod(0o444)
    assert ids(database) == ["a"]


def test_file_when_reached_by_a_link_then_is_one_file_with_one_lock(tmp_path):
    (tmp_path / "link.duckdb").symlink_to("made/store.duckdb")
    put(Database(tmp_path / "link.duckdb"), [event("a")])
    assert ids(Database(tmp_path / "made" / "store.duckdb")) == ["a"]
    assert [path.name for path in tmp_path.rglob("*.lock")] == ["store.duckdb.lock"]


def test_file_when_it_has_two_names_then_is_written_by_neither_and_loses_nothing(tmp_path):
    path, other = tmp_path / "store.duckdb", tmp_path / "other.duckdb"
    put(Database(path), [event("a")])
    other.hardlink_to(path)
    for name in (path, other):
        with pytest.raises(DatabasePathError, match=rf"{name.name} is one of 2 hard links"):
            put(Database(name), [event("b")])
        assert ids(Database(name)) == ["a"]
        with pytest.raises(DatabasePathError, match="hard links"):
            rehearse(Database(name), EVENTS)
    other.unlink()
    put(Database(path), [event("b")])
    assert ids(Database(path)) == ["a", "b"]


def test_path_when_a_link_to_itself_then_says_so(tmp_path):
    (tmp_path / "store.duckdb").symlink_to("store.duckdb")
    with pytest.raises(DatabasePathError, match="a link to itself"):
        Database(tmp_path / "store.duckdb")


def test_file_when_damaged_then_says_so(database):
    put(database, [event("a")])
    damaged = bytearray(database.file.read_bytes())
    damaged[20] ^= 255
    database.file.write_bytes(damaged)
    with pytest.raises(DatabaseFileError, match="damaged"):
        ids(database)


def test_disk_when_full_then_says_so_and_changes_nothing(database):
    put(database, [event("a")])
    with pytest.raises(StorageFullError, match=r"disk of .* is full"), database.writing():
        raise duckdb.IOException('Could not write file "store.duckdb": No space left on device')


def test_errors_when_any_then_have_one_base():
    assert issubclass(DatabaseBusyError, WarehouseError)


def test_session_when_opened_then_is_in_utc_and_installs_nothing(database):
    with database.writing() as con:
        settings = "SELECT current_setting('TimeZone'), current_setting('autoinstall_known_extensions'), "
        assert con.execute(settings + "current_setting('autoload_known_extensions')").fetchall() == [
            ("UTC", False, False)
        ]


def test_settings_when_given_then_are_used(tmp_path):
    database = Database(tmp_path / "s.duckdb", settings={"threads": 1}, temp_directory=tmp_path / "spill")
    with database.writing() as con:
        assert con.execute("SELECT current_setting('threads'), current_setting('temp_directory')").fetchall() == [
            (1, str(tmp_path / "spill"))
        ]


def test_file_when_new_then_is_readable_by_the_chosen_version(tmp_path):
    for version in ("v1.5.0", "v1.2.0"):
        database = Database(tmp_path / f"{version[1]}{version[3]}.duckdb", storage_version=version)
        put(database, [event("a")])
        with database.reading() as con:
            tags = con.execute("SELECT tags FROM duckdb_databases() WHERE NOT internal AND path IS NOT NULL").fetchall()
        assert tags[0][0]["storage_version"].startswith(version)


def test_path_when_relative_then_is_found_from_the_same_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(Database("data/klaviyo.duckdb"), [event("a")])
    assert Path("data/klaviyo.duckdb").exists()
