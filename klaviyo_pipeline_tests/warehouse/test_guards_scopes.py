"""What a load may clear, drop or add: partitions without a range, a merge over partitions, our own columns in rows."""

from __future__ import annotations

from datetime import date, datetime

import pyarrow as pa
import pytest

from klaviyo_pipeline.warehouse.tables import Column, Table, existing_columns
from klaviyo_pipeline_tests.warehouse.helpers import arrow, contents, day, event, ids, put, query

SPAN = ((day(2), day(3)),)


@pytest.mark.parametrize("mode", ["replace", "replace_on_new_data"])
def test_replace_when_it_has_a_partition_key_and_no_partitions_then_the_table_is_what_was_fetched(database, mode):
    put(database, [event("a", 1), event("b", 2)], "append")
    result = put(database, [event("c", 3)], mode, partition_key="at")
    assert (result.deleted, result.inserted) == (2, 1)
    assert ids(database) == ["c"]


@pytest.mark.parametrize("mode", ["merge", "append"])
def test_rows_when_they_lie_outside_the_partitions_then_only_the_replace_modes_drop_them(database, mode):
    put(database, [event("a", 2)], "append", extract_id="before")
    put(database, [event("a", 2, value=1), event("b", 9)], mode, partition_key="at", partitions=SPAN)
    assert ("b", day(9)) in [(row["id"], row["at"]) for row in contents(database)]
    assert len(ids(database)) == (2 if mode == "merge" else 3)


@pytest.mark.parametrize("mode", ["append", "replace", "merge"])
def test_rows_when_they_carry_our_own_columns_then_ours_are_written_anew_and_none_is_added(database, mode):
    theirs = {"_run_id": pa.array(["theirs"]), "_loaded_at": pa.array([day(1)]), "_deleted_at": pa.array([day(1)])}
    rows = arrow([event("a")])
    for name, values in theirs.items():
        rows = rows.append_column(name, values)

    result = put(database, rows, mode, run_id="ours", table=Table("klaviyo", "events", (), ("id",)))

    assert result.added_columns == ()
    with database.reading() as con:
        names = [column.name for column in existing_columns(con, "klaviyo", "events")]
    assert names == ["id", "at", "updated", "value", "props", "_extra", "_loaded_at", "_run_id"]
    ((run_id, loaded_at),) = query(database, "SELECT _run_id, epoch(_loaded_at) FROM klaviyo.events")
    assert run_id == "ours"
    assert loaded_at > day(2).timestamp()


def test_cells_when_the_declared_type_is_another_than_that_of_the_rows_then_hold_the_same_value(database):
    declared = {
        "id": "VARCHAR",
        "at": "VARCHAR",
        "number": "DOUBLE",
        "day": "TIMESTAMP",
        "nested": "JSON",
        "listed": "JSON",
    }
    table = Table("klaviyo", "typed", tuple(Column(name, kind) for name, kind in declared.items()), ("id",))
    rows = pa.table(
        {
            "id": [7, 8],
            "at": pa.array([datetime(2024, 1, 2, 3)] * 2, pa.timestamp("us")),  # noqa: DTZ001 - a naive column
            "number": [1, None],
            "day": pa.array([date(2024, 1, 2), None]),
            "nested": [{"a": [1, None], "b": "ü"}, None],
            "listed": [["x"], None],
        }
    )
    for mode in ("replace", "merge"):
        put(database, rows, mode, table=table)
        assert query(database, "SELECT * EXCLUDE (_loaded_at, _run_id) FROM klaviyo.typed ORDER BY id") == [
            ("7", "2024-01-02 03:00:00", 1.0, datetime(2024, 1, 2), '{"a":[1,null],"b":"ü"}', '["x"]'),  # noqa: DTZ001
            ("8", "2024-01-02 03:00:00", None, None, None, None),
        ]


@pytest.mark.parametrize("mode", ["append", "replace", "replace_on_new_data"])
def test_counts_when_rows_are_only_inserted_or_cleared_then_the_others_are_zero_in_result_and_ledger(database, mode):
    put(database, [event("a")], mode, extract_id="first")
    results = [put(database, rows, mode, extract_id=str(len(rows))) for rows in ([event("b"), event("c")], [])]

    inserted, deleted = [2, 0], {"append": [0, 0], "replace": [1, 2], "replace_on_new_data": [1, 0]}[mode]
    expected = list(zip(inserted, [0, 0], [0, 0], deleted, [0, 0], strict=True))
    assert [(each.inserted, each.updated, each.unchanged, each.deleted, each.revived) for each in results] == expected
    counts = "SELECT inserted, updated, unchanged, deleted, revived FROM klaviyo_pipeline.ledger ORDER BY entry"
    assert query(database, counts) == [(1, 0, 0, 0, 0), *expected]
