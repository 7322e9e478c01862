"""Several processes that land at once, in the same table and in others; some of them are killed."""

from __future__ import annotations

import random
import threading

import pytest

from klaviyo_pipeline.warehouse import ledger
from klaviyo_pipeline_tests.lake import destinations
from klaviyo_pipeline_tests.warehouse.helpers import event, ids, put, query
from klaviyo_pipeline_tests.warehouse.processes import LANDING, LANDING_ANYWHERE, start, told


def test_landing_when_processes_do_it_at_once_then_all_succeed(database, kind):
    writers, turns = (4, 5) if kind == destinations.FILE else (8, 3)
    processes = [start(LANDING, told(database), str(number), str(turns)) for number in range(writers)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0] * writers
    assert len(ids(database)) == writers * turns * 50 + 1
    numbers = [entry.entry for entry in ledger.history(database)]
    assert len(set(numbers)) == len(numbers) == writers * turns


@pytest.mark.parametrize("kind", destinations.SHARED, indirect=True)
def test_writers_when_killed_at_random_moments_then_every_landing_is_whole_or_absent_and_readers_never_wait(
    database,
):
    """What a process has said that it landed is there, once; of what it was landing all or nothing is."""
    chance = random.Random(20)
    put(database, [event("first")])
    reading, seen, refused = threading.Event(), [1], list[BaseException]()

    def read() -> None:
        while not reading.is_set():
            try:
                seen.append(len(ids(database)))
            except BaseException as error:
                refused.append(error)
                raise

    reader = threading.Thread(target=read)
    reader.start()
    landed = set[str]()
    try:
        processes = [start(LANDING_ANYWHERE, told(database), str(number)) for number in range(6)]
        for process in processes[:3]:
            # Each says what it has landed. The moment of its end is one of the next landing, wherever that is then.
            for _ in range(chance.randint(1, 3)):
                landed.add(process.stdout.readline().strip())
            threading.Event().wait(chance.uniform(0, 0.2))
            process.kill()
            landed |= set(process.communicate()[0].split())
        for process in processes[3:]:
            landed |= set(process.communicate()[0].split())
            assert process.returncode == 0
    finally:
        reading.set()
        reader.join()
    assert not refused
    assert seen == sorted(seen)  # a reader saw whole snapshots, each at least as new as the one before
    _check_whole(database, landed)


def _check_whole(database, landed):
    entries = [each for each in ledger.history(database, limit=1000) if each.extract_id != "extract"]
    assert landed <= {each.extract_id for each in entries}
    assert len({each.entry for each in entries}) == len(entries)
    for table in {each.table_name for each in entries}:
        expected = {each.extract_id for each in entries if each.table_name == table}
        rows = query(database, f"SELECT split_part(id, '/', 1), count(*), count(DISTINCT id) FROM {table} "
                               "WHERE contains(id, '/') GROUP BY ALL")  # fmt: skip
        assert {each for each, _, _ in rows} == expected
        assert {(count, keys) for _, count, keys in rows} == {(40, 40)}
        # Every landing merged this key, which was new for the first one.
        assert query(database, f"SELECT count(*) FROM {table} WHERE id = 'common'") == [(1,)]
