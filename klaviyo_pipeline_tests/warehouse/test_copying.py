"""Copies of everything to another destination and back; the next run continues where the last one ended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from klaviyo_pipeline.warehouse import ledger
from klaviyo_pipeline.warehouse.copying import copy
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.errors import DatabaseMissingError, WarehouseError
from klaviyo_pipeline.warehouse.ownership import Owner
from klaviyo_pipeline_tests.warehouse.helpers import EVENTS, contents, day, digest, event, ids, loads_of, put, query

OTHER = replace(EVENTS, schema="klaviyo", name="others")
BY_DAY = {"events": "at"}


@pytest.fixture
def loaded(tmp_path):
    """A file named like the schema of its tables, which are in main therefore."""
    file = Database(tmp_path / "klaviyo.duckdb", lock_timeout_s=20)
    window = {"window": (day(1), day(3)), "owner": Owner("events", "account", "key")}
    put(file, [event(str(n), 1 + n % 2, props='{"a": [1, "\u00e9"]}') for n in range(50)], **window)
    put(file, [event("gone"), event("x")], table=OTHER, extract_id="other", source="others")
    return file


def test_copy_when_made_then_has_every_row_column_and_comment_and_the_ledger_goes_on(loaded, database):
    done = copy(loaded, database, BY_DAY)

    assert done.rows == {"klaviyo.events": 50, "klaviyo.others": 2, "klaviyo_pipeline.ledger": 2}
    assert digest(database) == digest(loaded)
    assert contents(database, OTHER) == contents(loaded, OTHER)
    assert ledger.history(database) == ledger.history(loaded)
    assert loads_of(database, "events", "klaviyo.events").last_end() == day(3)
    comments = "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'events' ORDER BY 1"
    assert query(database, comments) == query(loaded, comments)

    put(database, [event("0", 1, value=7), event("new", 2)], extract_id="next", window=(day(3), day(4)))
    assert len(ids(database)) == 51
    assert ids(database, "value = 7") == ["0"]
    assert loads_of(database, "events", "klaviyo.events").last_end() == day(4)


def test_copy_when_copied_back_then_is_the_same(loaded, database, tmp_path):
    copy(loaded, database, BY_DAY)
    back = Database(tmp_path / "back" / "klaviyo.duckdb")
    copy(database, back, BY_DAY)

    assert (digest(back), ledger.history(back)) == (digest(loaded), ledger.history(loaded))
    assert query(back, "SELECT DISTINCT schema_name FROM duckdb_tables() WHERE table_name = 'events'") == [("main",)]


def test_copy_when_the_target_has_tables_then_is_refused_and_changes_nothing(loaded, database):
    put(database, [event("mine")])
    with pytest.raises(WarehouseError, match="has tables already"):
        copy(loaded, database, BY_DAY)
    assert ids(database) == ["mine"]


def test_copy_when_there_is_no_source_then_says_so(database, tmp_path):
    with pytest.raises(DatabaseMissingError):
        copy(Database(tmp_path / "none.duckdb"), database, BY_DAY)


def test_copy_when_both_files_have_one_name_then_says_so(loaded, tmp_path):
    with pytest.raises(WarehouseError, match="Rename the file"):
        copy(loaded, Database(tmp_path / "other" / "klaviyo.duckdb"), BY_DAY)
