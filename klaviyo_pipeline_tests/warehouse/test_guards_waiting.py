"""A session that waits for an outsider: it is seen to try again before the outsider lets go, and then works."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from klaviyo_pipeline.warehouse import database as database_module
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.errors import DatabaseBusyError
from klaviyo_pipeline_tests.warehouse.helpers import event, ids, put
from klaviyo_pipeline_tests.warehouse.processes import OUTSIDER, holding

PATIENCE_S = 60.0
TRIES = 3


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Counts how often DuckDB told a session that somebody else holds the file."""
    seen = threading.Semaphore(0)
    is_lock_conflict = database_module._is_lock_conflict

    def counting(error: Any) -> bool:
        found = is_lock_conflict(error)
        if found:
            seen.release()
        return found

    monkeypatch.setattr(database_module, "_is_lock_conflict", counting)
    return seen


class Session(threading.Thread):
    """Work in a thread of its own, whose result or error is kept."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.result: Any = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self._work()
        except BaseException as error:
            self.error = error


@pytest.mark.parametrize(("outsider", "ours"), [("read", "write"), ("write", "write"), ("write", "read")])
def test_session_when_an_outsider_holds_the_file_then_tries_again_and_works_once_it_lets_go(
    tmp_path, outsider, ours, refused
):
    database = Database(tmp_path / "store.duckdb", lock_timeout_s=PATIENCE_S)
    put(database, [event("a")], run_id="before")
    work = {"write": lambda: put(database, [event("b")], run_id="waited"), "read": lambda: ids(database)}[ours]
    with holding(OUTSIDER, database.file, outsider) as process:
        session = Session(work)
        for _ in range(TRIES):
            assert refused.acquire(timeout=PATIENCE_S), "the session tries again"
        assert session.is_alive()
        process.stdin.write("go\n")
        process.stdin.flush()
        assert process.stdout.readline() == "closed\n"
        session.join(PATIENCE_S)
    assert session.error is None
    if ours == "write":
        assert session.result.lock_wait_s > 0
        assert session.result.duration_s < PATIENCE_S
    assert ids(database) == (["a", "b"] if ours == "write" else ["a"])
    assert ids(database, "_run_id = 'waited'") == (["b"] if ours == "write" else [])


def test_sessions_when_several_wait_for_an_outsider_then_each_works_once_it_lets_go(tmp_path, refused):
    database = Database(tmp_path / "store.duckdb", lock_timeout_s=PATIENCE_S)
    put(database, [event("a")])
    with holding(OUTSIDER, database.file, "write") as process:
        sessions = [Session(lambda n=n: put(database, [event(f"b{n}")], extract_id=str(n))) for n in range(3)]
        assert refused.acquire(timeout=PATIENCE_S)
        process.stdin.write("go\n")
        process.stdin.flush()
        for session in sessions:
            session.join(PATIENCE_S)
    assert [session.error for session in sessions] == [None] * 3
    assert ids(database) == ["a", "b0", "b1", "b2"]


def test_session_when_it_gave_up_then_holds_nothing_and_the_next_one_works(tmp_path, refused):
    path = tmp_path / "store.duckdb"
    put(Database(path), [event("a")])
    with holding(OUTSIDER, path, "write"), pytest.raises(DatabaseBusyError):
        put(Database(path, lock_timeout_s=0.2), [event("b")])
    assert refused.acquire(blocking=False)
    put(Database(path, lock_timeout_s=PATIENCE_S), [event("c")])
    assert ids(Database(path)) == ["a", "c"]
