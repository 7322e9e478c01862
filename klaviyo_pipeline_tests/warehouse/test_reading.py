"""Reading tables back."""

from __future__ import annotations

import pytest

from klaviyo_pipeline.warehouse.errors import DatabaseMissingError, TableMissingError, TableShapeError
from klaviyo_pipeline.warehouse.reading import read_table
from klaviyo_pipeline_tests.warehouse.helpers import day, event, put


def test_read_when_the_table_is_there_then_returns_a_frame(database):
    put(database, [event("a", value=1, props='{"x": 1}')])
    frame = read_table(database, "klaviyo", "events")
    assert frame.loc[0, ["id", "value", "props"]].tolist() == ["a", 1, '{"x": 1}']
    assert str(frame["at"].dt.tz) == "UTC"


def test_read_when_columns_and_ranges_are_given_then_reads_only_those(database):
    put(database, [event(str(n), n) for n in range(1, 8)])
    spans = [(day(2), day(3)), (day(5), day(7))]
    frame = read_table(database, "klaviyo", "events", columns=["id"], partition_key="at", ranges=spans)
    assert sorted(frame["id"]) == ["2", "5", "6"]
    assert frame.columns.tolist() == ["id"]
    assert read_table(database, "klaviyo", "events", partition_key="at", ranges=[]).empty


def test_read_when_the_database_is_missing_then_says_so_and_creates_nothing(database):
    with pytest.raises(DatabaseMissingError, match="Materialize an asset first"):
        read_table(database, "klaviyo", "events")
    assert not database.exists()


def test_read_when_the_table_is_missing_then_says_so(database):
    put(database, [event("a")])
    with pytest.raises(TableMissingError, match=r"no table klaviyo\.nope"):
        read_table(database, "klaviyo", "nope")


def test_read_when_a_column_is_missing_then_tells_which_there_are(database):
    put(database, [event("a")])
    with pytest.raises(TableShapeError, match=r"no column 'nope'.*It has: id, at"):
        read_table(database, "klaviyo", "events", columns=["id", "nope"])
