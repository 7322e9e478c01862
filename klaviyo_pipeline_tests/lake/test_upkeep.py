"""`maintain` of a lake leaves fewer files and the same rows, and a reader that began before it reads to the end."""

import threading

import pytest

from klaviyo_pipeline.warehouse import lake_upkeep
from klaviyo_pipeline.warehouse.lake_upkeep import tidy
from klaviyo_pipeline_tests.lake import destinations
from klaviyo_pipeline_tests.warehouse.helpers import event, ids, put, query


@pytest.mark.parametrize("kind", destinations.LAKES)
def test_upkeep_when_many_loads_have_landed_then_files_are_few_and_rows_are_the_same(kind, tmp_path):
    lake = destinations.destination(kind, tmp_path)
    for turn in range(4):
        put(lake, [event(f"{turn}-{n}", 1 + n % 2) for n in range(20)], extract_id=str(turn), fixed_time="at")
    before, snapshots = ids(lake), query(lake, "SELECT count(*) FROM ducklake_snapshots('lake')")

    tried = tidy(lake, 30, dry_run=True)
    done = tidy(lake, 30)

    assert tried.files_before == tried.files_after == done.files_before
    assert done.files_after < done.files_before
    assert (done.snapshots, done.removed) == (0, 0)  # none is old enough
    assert ids(lake) == before
    assert query(lake, "SELECT count(*) FROM ducklake_snapshots('lake')") >= snapshots
    put(lake, [event("0-0", value=1), event("next")], extract_id="next", fixed_time="at")
    assert len(ids(lake)) == len(before) + 1


@pytest.mark.parametrize("kind", destinations.SHARED)
def test_upkeep_when_a_reader_is_in_the_middle_then_it_reads_on(kind, tmp_path):
    lake = destinations.destination(kind, tmp_path)
    for turn in range(3):
        put(lake, [event(f"{turn}-{n}") for n in range(20)], extract_id=str(turn))
    with lake.reading() as con:
        con.begin()
        count = "SELECT count(*) FROM klaviyo.events WHERE value = 0"
        assert con.execute(count).fetchall() == [(60,)]
        tidy(lake, 1)
        assert con.execute(count).fetchall() == [(60,)]
        con.commit()
    with lake.reading() as con:
        assert con.execute(count).fetchall() == [(60,)]


@pytest.mark.lake
def test_upkeep_when_a_load_holds_another_table_then_merges_the_tables_that_are_free(tmp_path, monkeypatch):
    lake = destinations.destination(destinations.POSTGRES, tmp_path, lock_timeout_s=200)
    for turn in range(3):
        put(lake, [event(f"{turn}-{n}") for n in range(20)], extract_id=str(turn))
    merge, merged, finished = lake_upkeep._merge, threading.Event(), threading.Event()

    def merging(con, schema, name):
        merge(con, schema, name)
        merged.set()

    monkeypatch.setattr(lake_upkeep, "_merge", merging)
    tidying = threading.Thread(target=lambda: (tidy(lake, 30), finished.set()))
    with lake.writing("klaviyo.later"):
        tidying.start()
        assert merged.wait(200)  # of events; for the ledger it has to be alone
        assert not finished.is_set()
    tidying.join()
    assert finished.is_set()
    assert len(ids(lake)) == 60
