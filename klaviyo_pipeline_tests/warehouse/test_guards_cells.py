"""What a load leaves in the cells, the shape and the ledger, where a count alone would not tell."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest

from klaviyo_pipeline.warehouse import ledger
from klaviyo_pipeline.warehouse.errors import TableShapeError
from klaviyo_pipeline.warehouse.landing import Sweep
from klaviyo_pipeline.warehouse.tables import Column, Table, existing_columns
from klaviyo_pipeline_tests.warehouse.helpers import (
    EVENTS,
    arrow,
    contents,
    day,
    digest,
    event,
    ids,
    loads_of,
    put,
    query,
)

BY_VERSION: dict[str, Any] = {"sweep": Sweep(), "version_column": "updated"}


def system(database, id: str) -> tuple[Any, ...]:
    (row,) = query(
        database,
        f"SELECT value, _deleted_at IS NULL, _run_id, epoch_us(_loaded_at) FROM klaviyo.events WHERE id = '{id}'",
    )
    return row


# Back to life


@pytest.mark.parametrize("swept", [True, False])
@pytest.mark.parametrize(
    ("comes", "value"),
    [
        (event("a", updated=4, value=4), 5),
        (event("a", updated=5, value=5), 5),
        (event("a", updated=5, value=6), 6),
        (event("a", updated=6, value=7), 7),
        (event("a", updated=6, value=5), 5),
    ],
    ids=["older", "equal", "same version, other content", "newer", "newer, same value"],
)
def test_row_when_it_was_gone_and_comes_back_then_its_mark_is_null_and_it_names_the_run(database, comes, value, swept):
    put(database, [event("a", updated=5, value=5), event("b")], run_id="1", **BY_VERSION)
    put(database, [event("b")], run_id="2", **BY_VERSION)
    *before, landed_at = system(database, "a")
    assert before == [5, False, "1"]
    untouched = system(database, "b")

    options = BY_VERSION if swept else {"version_column": "updated"}
    result = put(database, [comes, event("b")], run_id="3", **options)

    *after, again_at = system(database, "a")
    assert after == [value, True, "3"]
    assert again_at > landed_at
    assert result.revived == 1
    assert system(database, "b") == untouched
    assert ids(database, "_deleted_at IS NULL") == ["a", "b"]


def test_row_when_it_stays_away_then_keeps_the_time_of_its_first_absence_and_its_content(database):
    put(database, [event("a", value=5), event("b")], run_id="1", **BY_VERSION)
    put(database, [event("b")], run_id="2", **BY_VERSION)
    marked = "SELECT epoch_us(_deleted_at), _run_id, value FROM klaviyo.events WHERE id = 'a'"
    first = query(database, marked)
    put(database, [event("b"), event("c")], run_id="3", **BY_VERSION)
    assert query(database, marked) == first
    assert first[0][1:] == ("1", 5)


def test_row_when_it_is_there_twice_and_only_one_copy_is_marked_then_one_living_row_remains(database):
    put(database, [event("a", value=1)], sweep=Sweep())
    put(database, [], sweep=Sweep())
    put(database, [event("a", value=2)], "append", extract_id="appended")
    result = put(database, [event("a", value=3)], sweep=Sweep())
    assert (result.updated, result.revived, result.total_rows) == (1, 0, 1)
    assert system(database, "a")[:2] == (3, True)


def test_update_when_the_rows_lack_a_column_then_the_mark_of_other_rows_stays(database):
    put(database, [event("a", value=1), event("b", value=2), event("c", value=3)], **BY_VERSION)
    put(database, [event("a", value=1), event("b", value=2)], **BY_VERSION)
    put(database, arrow([event("a", props="[1]"), event("b")]).drop_columns(["value"]))
    assert query(database, "SELECT id, value, props, _deleted_at IS NULL FROM klaviyo.events ORDER BY id") == [
        ("a", 1, "[1]", True),
        ("b", 2, "{}", True),
        ("c", 3, "{}", False),
    ]


# A skipped load


def shape_of(database) -> Any:
    with database.reading() as con:
        table = con.execute("SELECT comment FROM duckdb_tables() WHERE table_name = 'events'").fetchall()
        return existing_columns(con, "klaviyo", "events"), table


GROWN = Table("klaviyo", "events", (*EVENTS.columns, Column("flow", "VARCHAR", "The flow")), ("id",), "Other words")


@pytest.mark.parametrize(
    ("mode", "extract_id"), [("replace_on_new_data", "another"), ("append", "extract")], ids=["nothing new", "repeated"]
)
def test_load_when_skipped_then_the_tables_shape_and_rows_are_left_alone(database, mode, extract_id):
    put(database, [event("a")], mode)
    shape, rows = shape_of(database), digest(database)
    new = arrow([event("b")] if mode == "append" else []).append_column(
        "channel", pa.array(["sms"] * (mode == "append"))
    )

    result = put(database, new, mode, table=GROWN, extract_id=extract_id)

    assert result.skipped
    assert result.added_columns == ()
    assert shape_of(database) == shape
    assert digest(database) == rows
    assert (result.inserted, result.deleted, result.total_rows) == (0, 0, 1)


def test_load_when_skipped_and_the_next_one_is_not_then_it_brings_the_new_columns(database):
    put(database, [event("a")], "replace_on_new_data")
    put(database, [], "replace_on_new_data", table=GROWN)
    assert put(database, [event("b")], "replace_on_new_data", table=GROWN).added_columns == ("flow",)
    assert ids(database) == ["b"]


def test_load_when_nothing_new_comes_and_there_is_no_table_then_makes_an_empty_one(database):
    result = put(database, [], "replace_on_new_data")
    assert result.skipped
    assert contents(database) == []
    assert query(database, "SELECT inserted, deleted, total_rows FROM klaviyo_pipeline.ledger") == [(0, 0, 0)]


# Types widen one way


INTEGERS = ["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"]
WIDER = [*pairwise(INTEGERS), ("TINYINT", "HUGEINT"), ("FLOAT", "DOUBLE"), ("INTEGER", "DOUBLE"), ("JSON", "VARCHAR")]


def typed(kind: str) -> Table:
    return Table("klaviyo", "typed", (Column("id", "VARCHAR"), Column("v", kind)), ("id",))


def one_of(kind: str, id: str, value: int) -> pa.Table:
    return pa.table({"id": [id], "v": [str(value)] if kind in ("JSON", "VARCHAR") else [value]})


def cells(database) -> list[tuple[Any, ...]]:
    return query(database, "SELECT id, v::VARCHAR::DOUBLE, typeof(v) FROM klaviyo.typed ORDER BY id")


@pytest.mark.parametrize(("narrow", "wide"), WIDER)
def test_column_when_the_one_there_is_wider_then_rows_land_in_it_and_it_keeps_its_type(database, narrow, wide):
    put(database, one_of(wide, "a", 7), table=typed(wide))
    put(database, one_of(narrow, "b", 8), table=typed(narrow))
    assert cells(database) == [("a", 7.0, wide), ("b", 8.0, wide)]


@pytest.mark.parametrize(("narrow", "wide"), [*WIDER, ("BIGINT", "DOUBLE"), ("HUGEINT", "DOUBLE")])
def test_column_when_the_one_there_is_narrower_then_the_load_is_refused_and_nothing_changes(database, narrow, wide):
    put(database, one_of(narrow, "a", 7), table=typed(narrow))
    with pytest.raises(TableShapeError, match=rf"'v' of type {narrow}, but these rows need {wide}"):
        put(database, one_of(wide, "b", 8), table=typed(wide))
    assert cells(database) == [("a", 7.0, narrow)]


@pytest.mark.parametrize("wide", ["BIGINT", "HUGEINT"])
def test_column_when_its_numbers_would_lose_digits_then_the_load_is_refused(database, wide):
    put(database, one_of("DOUBLE", "a", 7), table=typed("DOUBLE"))
    with pytest.raises(TableShapeError, match=rf"'v' of type DOUBLE, but these rows need {wide}"):
        put(database, one_of(wide, "b", 2**53 + 1), table=typed(wide))


# Where the last run ended


def end(database) -> Any:
    return loads_of(database, "events", "klaviyo.events").last_end()


def test_rewind_when_a_second_one_goes_further_back_then_that_one_counts(database):
    put(database, [], window=(None, day(9)))
    for to in (day(5), day(3)):
        ledger.rewind(database, "events", to)
    assert end(database) == day(3)


def test_rewind_when_a_second_one_goes_less_far_back_then_that_one_counts(database):
    put(database, [], window=(None, day(9)))
    for to in (day(3), day(5)):
        ledger.rewind(database, "events", to)
    assert end(database) == day(5)


def test_rewind_when_a_second_one_follows_a_load_then_only_loads_after_it_count(database):
    put(database, [], window=(None, day(9)))
    ledger.rewind(database, "events", day(5))
    put(database, [], window=(day(5), day(20)))
    ledger.rewind(database, "events", day(2))
    assert end(database) == day(2)
    put(database, [], window=(day(2), day(4)))
    assert end(database) == day(4)


def test_rewind_when_one_is_for_all_tables_and_one_for_another_then_the_last_that_is_about_a_table_counts(database):
    put(database, [], window=(None, day(9)))
    ledger.rewind(database, "events", day(6))
    ledger.rewind(database, "events", day(2), table="klaviyo.other")
    ledger.rewind(database, "profiles", day(1))
    assert end(database) == day(6)
    assert loads_of(database, "events", "klaviyo.other").last_end() == day(2)
    ledger.rewind(database, "events", day(7))
    assert loads_of(database, "events", "klaviyo.other").last_end() == day(7)


@pytest.mark.parametrize("inner", [(day(3), day(4)), (day(1), day(4)), (day(3), day(9)), (day(1), day(9))])
def test_coverage_when_a_part_is_read_again_then_does_not_shrink(database, inner):
    put(database, [], window=(day(1), day(9)))
    put(database, [], window=inner)
    assert ledger.coverage(database, "events") == [(day(1), day(9))]
    assert end(database) == day(9)


def test_coverage_when_parts_of_an_open_beginning_are_read_again_then_does_not_shrink(database):
    for window in ((None, day(9)), (day(2), day(3)), (None, day(4)), (day(12), day(20)), (day(13), day(14))):
        put(database, [], window=window)
    assert ledger.coverage(database, "events") == [(None, day(9)), (day(12), day(20))]


def test_coverage_when_there_is_a_gap_then_it_stays(database):
    for window in ((day(1), day(2)), (day(2, 1), day(3))):
        put(database, [], window=window)
    assert ledger.coverage(database, "events") == [(day(1), day(2)), (day(2, 1), day(3))]


@pytest.mark.parametrize("table", [None, "klaviyo.events"])
def test_coverage_when_there_are_rewinds_and_loads_without_a_window_then_they_cover_nothing(database, table):
    put(database, [event("a")])
    put(database, [], window=(day(1), day(2)))
    for to in (day(9), day(1, 12)):
        ledger.rewind(database, "events", to, table=table)
    assert ledger.coverage(database, "events", table) == [(day(1), day(2))]
    assert ledger.coverage(database, "events", "klaviyo.other") == []


def test_coverage_when_windows_are_over_several_fields_then_only_those_of_the_field_count(database):
    put(database, [], window=(day(1), day(2)), filter_field="datetime")
    put(database, [], window=(day(5), day(6)), filter_field="created")
    put(database, [], window=(None, day(1)))
    assert ledger.coverage(database, "events", filter_field="datetime") == [(None, day(2))]
    assert ledger.coverage(database, "events", filter_field="created") == [(None, day(1)), (day(5), day(6))]
