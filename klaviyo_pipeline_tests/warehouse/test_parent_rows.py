"""Rows that name others: each is joined to the one that it names, whatever the parts that the join is cut into."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_pipeline.grammar import LEAST_MEMORY_MB
from klaviyo_pipeline.warehouse import parent_rows, parts
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.errors import TableMissingError
from klaviyo_pipeline.warehouse.parent_rows import ParentRows
from klaviyo_pipeline.warehouse.reading import Selection
from klaviyo_pipeline_tests.soaking import examples
from klaviyo_pipeline_tests.warehouse.helpers import day, event, put

OURS = pa.schema([("id", pa.string()), ("at", pa.int64()), ("key", pa.string())])
THEIRS = pa.schema([("event_id", pa.string()), ("key", pa.string()), ("name", pa.string())])
CARRIES = (("event_id", "id"), ("event_at", "at"))
NOWHERE = Database(Path("nowhere") / "none.duckdb", memory_limit=f"{LEAST_MEMORY_MB}MB")

rows_strategy = st.lists(st.tuples(st.integers(0, 9), st.sampled_from([None, "", "a", "b", "c", "d"])), max_size=30)


def reader(rows, schema):
    columns = [{name: row[name] for name in schema.names} for row in rows]
    return pa.RecordBatchReader.from_batches(schema, pa.Table.from_pylist(columns, schema).to_batches(3))


def all_of(batches):
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]


@examples(20)
@given(rows_strategy, st.sets(st.sampled_from("abcd")), st.integers(1, 5))
def test_rows_when_joined_in_parts_then_each_has_the_row_that_it_names_or_is_left(found, there, at_once):
    ours = [{"id": str(number), "at": at, "key": key} for number, (at, key) in enumerate(found)]
    theirs = [{"event_id": None, "key": key, "name": key.upper()} for key in sorted(there)]
    rows = ParentRows(NOWHERE, pa.Table.from_pylist(ours, OURS), OURS.names, "key")
    with (
        mock.patch.object(parts, "rows_at_once", return_value=at_once),
        mock.patch.object(parent_rows, "KEYS_AT_ONCE", 2),
        rows.opened() as opened,
    ):
        groups = list(opened.key_groups())
        joined = all_of(opened.joined(lambda: reader(theirs, THEIRS), CARRIES))
        left = all_of(opened.unmatched(reader(theirs, pa.schema([THEIRS.field("key")]))))
    assert Counter(joined) == Counter(
        (row["key"], row["key"].upper(), row["id"], row["at"]) for row in ours if row["key"] in there
    )
    assert Counter(left) == Counter(tuple(row.values()) for row in ours if row["key"] not in there)
    assert sorted(key for group in groups for key in group) == sorted({row["key"] for row in ours if row["key"]})
    assert all(group == sorted(group) for group in groups)


def test_rows_when_they_exceed_the_least_memory_then_all_are_joined(tmp_path):
    number = pa.array(range(400_000))
    names = pc.binary_join_element_wise("key", pc.cast(pc.divide(number, 4), pa.string()), "x" * 60, "-")
    ours = pa.table([pc.cast(number, pa.string()), number, names], schema=OURS)
    others = ours.slice(0, 200_000).filter(pc.equal(pc.bit_wise_and(number.slice(0, 200_000), 3), 0))
    columns = [pa.nulls(len(others), pa.string()), others["key"], pc.binary_repeat(others["key"], 5)]
    theirs = pa.table(columns, schema=THEIRS)
    database = Database(tmp_path / "none.duckdb", memory_limit=f"{LEAST_MEMORY_MB}MB")
    with ParentRows(database, ours, OURS.names, "key").opened() as opened:
        assert sum(len(group) for group in opened.key_groups()) == 100_000
        joined = [batch.column("event_at") for batch in opened.joined(lambda: theirs.to_reader(1_000), CARRIES)]
        left = [batch.column("at") for batch in opened.unmatched(theirs.select(["key"]).to_reader(1_000))]
    found = [[time for batch in batches for time in batch.to_pylist()] for batches in (joined, left)]
    assert [sorted(each) for each in found] == [list(range(200_000)), list(range(200_000, 400_000))]


def test_rows_of_a_table_when_opened_then_those_of_the_range_are_copied_and_the_database_is_free(tmp_path):
    database = Database(tmp_path / "store.duckdb", lock_timeout_s=1)
    put(database, [event("a", 1), event("b", 2), event("c", 3)])
    chosen = Selection(database, "klaviyo", "events", ["id", "value"], "at", [(day(1), day(2)), (day(3), day(4))])
    with ParentRows(database, chosen, ["id"], "id").opened() as opened:
        put(database, [event("d", 3)])
        assert list(opened.key_groups()) == [["a", "c"]]


def test_rows_of_a_table_when_it_is_missing_then_the_error_has_the_advice(tmp_path):
    database = Database(tmp_path / "store.duckdb")
    rows = ParentRows(database, Selection(database, "klaviyo", "events", ["id"]), ["id"], "id", advice="Load events.")
    with pytest.raises(TableMissingError, match="Load events"), rows.opened():
        pass
