"""A time that never changes for a key bounds the search for keys in a large table: the same result at less cost."""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from klaviyo_pipeline.loads.quality import key_findings, landed_table
from klaviyo_pipeline.warehouse import deciding, parts
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline_tests.warehouse.helpers import arrow, contents, day, event, put

TIMES = {"a": 1, "b": 2, "c": 2, "d": 3, "e": 4, "f": None}

rows_strategy = st.lists(
    st.builds(event, id=st.sampled_from([*TIMES]), updated=st.integers(1, 3), value=st.integers(0, 1)), max_size=8
)


def dated(rows):
    """Each row at the time of its key; one key has none."""
    return [row | {"at": TIMES[row["id"]] and day(TIMES[row["id"]])} for row in rows]


def land(database, rows, number, fixed_time):
    result = put(database, dated(rows), fixed_time=fixed_time, version_column="updated", extract_id=str(number))
    return result.inserted, result.updated, result.unchanged, result.rows_repeated, contents(database)


def every_table_is_large():
    return mock.patch.object(deciding, "SMALL_TABLE_ROWS", 0)


@settings(max_examples=10, deadline=None)
@given(st.lists(rows_strategy, min_size=2, max_size=4), st.none() | st.integers(1, 3))
def test_merge_when_the_time_is_fixed_then_is_the_same_merge(loads, at_once):
    with tempfile.TemporaryDirectory() as folder:
        free, bound = (Database(Path(folder) / name / "store.duckdb") for name in ("free", "bound"))
        for number, rows in enumerate(loads):
            expected = land(free, rows, number, None)
            with every_table_is_large(), mock.patch.object(parts, "rows_at_once", return_value=at_once or 1000):
                assert land(bound, rows, number, "at") == expected


def test_merge_when_the_time_is_fixed_then_looks_around_its_rows_only_and_a_check_of_all_rows_finds_others(database):
    put(database, [event("a", at=1), event("b", at=1)], extract_id="1")
    with every_table_is_large():
        put(database, [event("a", at=3), event("c", at=4)], extract_id="2", run_id="second", fixed_time="at")

    with database.reading() as con:
        within = {"ledger_name": "events", "partition_key": "at"}
        landed, whole = (landed_table(con, "klaviyo", "events", run_id=run, **within) for run in ("second", "none"))
        assert landed.looked_at == "the rows that this run read"
        assert key_findings(landed, ("id",), "at").repeated == 0
        assert key_findings(landed, ("id",)).repeated == key_findings(whole, ("id",), "at").repeated == 1
        assert key_findings(whole, ("id", "at")).repeated == 0


def test_merge_when_rows_lack_the_fixed_time_then_looks_everywhere(database):
    put(database, [event("a", at=1)], extract_id="1")
    with every_table_is_large():
        put(database, arrow([event("a"), event("b")]).drop_columns(["at"]), extract_id="2", fixed_time="at")
        put(database, dated([event("f"), event("a", value=1)]), extract_id="3", fixed_time="at")
    assert [(row["id"], row["value"]) for row in contents(database)] == [("a", 1), ("b", 0), ("f", 0)]


def test_replace_when_counted_by_range_then_says_what_it_cleared_of_each(database):
    put(database, [event("a", 1), event("b", 1), event("c", 2)], extract_id="1")
    ranges = ((day(1), day(2)), (day(2), day(3)))
    options = {"partition_key": "at", "partitions": (ranges[0],), "count_ranges": ranges, "extract_id": "2"}
    counts = put(database, [event("a", 1), event("d", 1)], "replace", **options).by_range
    assert [(each.deleted, each.inserted, each.total_rows) for each in counts] == [(2, 2, 2), (0, 0, 1)]
