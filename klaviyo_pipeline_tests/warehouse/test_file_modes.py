"""Who may read a database: never more users than its mode says, at no moment, and whatever the umask is."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from klaviyo_pipeline import environment
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.file_modes import no_wider_than
from klaviyo_pipeline_tests.warehouse.helpers import event, ids, put

UMASKS = [0o000, 0o022, 0o077]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.fixture(params=UMASKS, ids=lambda mask: f"umask {mask:03o}")
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.parametrize("wanted", [0o600, 0o640, 0o644, 0o660])
def test_database_when_new_then_it_and_all_beside_it_have_its_mode(tmp_path: Path, umask: int, wanted: int) -> None:
    path = tmp_path / "store.duckdb"
    database = Database(path, file_mode=wanted, memory_limit="60MB")
    with database.writing() as con:
        assert mode(path) == wanted, "from the start"
        # Rows that are committed and not yet in the file stand in the WAL; what does not fit in memory is spilled.
        con.execute("SET wal_autocheckpoint = '1GB'")
        con.execute("CREATE TABLE t AS SELECT range AS n FROM range(10)")
        con.execute("CREATE TEMP TABLE big AS SELECT range AS n, repeat('x', 200) || range AS s FROM range(600_000)")
        beside = {each: (mode(each), each.is_dir()) for each in tmp_path.rglob("*")}
    names = {each.name for each in beside}
    assert {"store.duckdb.wal", "store.duckdb.tmp", "store.duckdb.lock"} <= names
    assert any(each.parent.name == "store.duckdb.tmp" for each in beside)
    folder_mode = wanted | (wanted & 0o444) >> 2 | 0o700
    for each, (found, is_folder) in beside.items():
        allowed = folder_mode if is_folder else wanted
        assert found & ~allowed == 0, f"{each.name} has {found:o}"
        assert found & 0o600 == 0o600
    assert current_umask() == umask


@pytest.mark.parametrize("kept", [0o600, 0o664])
def test_database_when_it_exists_then_keeps_its_mode_and_what_is_beside_it_follows(
    tmp_path: Path, umask: int, kept: int
) -> None:
    path = tmp_path / "store.duckdb"
    put(Database(path), [event("a")])
    path.chmod(kept)
    database = Database(path, file_mode=0o640)
    with database.writing() as con:
        con.execute("CREATE TABLE t AS SELECT 1 AS n")
        wal = mode(tmp_path / "store.duckdb.wal")
    assert wal & ~kept == 0
    assert ids(database) == ["a"]
    assert mode(path) == kept


def test_database_when_made_then_is_never_wider_for_a_moment(
    tmp_path: Path, umask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "chmod", lambda *_: None)  # what the file has before it is given its exact mode
    path = tmp_path / "store.duckdb"
    with Database(path, file_mode=0o640).writing():
        assert mode(path) & ~0o640 == 0


def test_umask_when_many_threads_have_databases_open_then_is_as_before_in_the_end(umask: int) -> None:
    seen: list[int] = []
    inside = threading.Barrier(8, action=lambda: seen.append(current_umask()))

    def hold(number: int) -> None:
        with no_wider_than(0o600 if number % 2 else 0o644):
            inside.wait()

    threads = [threading.Thread(target=hold, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [umask | 0o077], "as narrow as the narrowest"
    assert current_umask() == umask


def test_umask_when_a_session_fails_then_is_as_before(umask: int) -> None:
    with pytest.raises(RuntimeError), no_wider_than(0o600):
        raise RuntimeError
    assert current_umask() == umask


@pytest.mark.parametrize(("text", "wanted"), [("", 0o640), ("0600", 0o600), ("644", 0o644), ("0o660", 0o660)])
def test_setting_when_given_then_new_databases_have_that_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, wanted: int
) -> None:
    monkeypatch.setenv("KLAVIYO_DATABASE_MODE", text)
    database = KlaviyoDuckDBResource(database=str(tmp_path / "store.duckdb")).warehouse()
    put(database, [event("a")])
    assert mode(tmp_path / "store.duckdb") == wanted


@pytest.mark.parametrize("text", ["640a", "0440", "0777", "0641", "rw-r-----", "-0640", "416", "06400", "٠٦٤٠"])
def test_setting_when_wrong_then_says_what_is_allowed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("KLAVIYO_DATABASE_MODE", text)
    with pytest.raises(ConfigurationError, match=r"KLAVIYO_DATABASE_MODE is .* must be a file mode in octal"):
        environment.DATABASE_MODE.value  # noqa: B018 - parsed
