"""The rehearsal of a load: it fails where a load fails, and leaves nothing behind."""

from __future__ import annotations

import duckdb
import pytest

from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.errors import DatabaseFileError, TableShapeError
from klaviyo_pipeline.warehouse.rehearsal import rehearse
from klaviyo_pipeline_tests.warehouse.helpers import EVENTS, digest, event, put, query
from klaviyo_pipeline_tests.warehouse.test_storage_versions import FORMATS, made_by_duckdb

_ALL = "SELECT schema_name, table_name FROM duckdb_tables() UNION ALL SELECT schema_name, '' FROM duckdb_schemas()"


@pytest.mark.parametrize("version", [*FORMATS, None])
def test_rehearsal_when_a_load_works_then_passes_and_changes_nothing(tmp_path, version):
    database = made_by_duckdb(tmp_path / "theirs.duckdb", version)
    before = sorted(query(database, _ALL))

    rehearse(database, EVENTS)

    assert sorted(query(database, _ALL)) == before


def test_rehearsal_when_there_are_rows_then_they_stay(database):
    put(database, [event("there"), event("other")])
    before, ledger = digest(database), query(database, "SELECT * FROM klaviyo_pipeline.ledger")

    rehearse(database, EVENTS)

    assert (digest(database), query(database, "SELECT * FROM klaviyo_pipeline.ledger")) == (before, ledger)


def test_rehearsal_when_there_is_no_file_then_makes_none(tmp_path):
    rehearse(Database(tmp_path / "data" / "new" / "store.duckdb"), EVENTS)
    assert list(tmp_path.iterdir()) == []


def test_rehearsal_when_a_setting_is_refused_then_says_so_without_a_file(tmp_path):
    with pytest.raises(duckdb.Error, match="v9"):
        rehearse(Database(tmp_path / "store.duckdb", storage_version="v9.9.9"), EVENTS)
    assert list(tmp_path.iterdir()) == []


def test_rehearsal_when_a_load_cannot_work_then_fails_as_it_would(tmp_path):
    (tmp_path / "text.duckdb").write_text("no database, whatever its name says; and long enough to be looked at\n" * 99)
    with pytest.raises(DatabaseFileError):
        rehearse(Database(tmp_path / "text.duckdb"), EVENTS)


def test_rehearsal_when_something_stands_in_the_way_of_the_ledger_then_fails(tmp_path):
    database = made_by_duckdb(tmp_path / "theirs.duckdb", None)
    with duckdb.connect(str(database.file)) as con:
        con.execute("CREATE SCHEMA klaviyo_pipeline; CREATE VIEW klaviyo_pipeline.ledger AS SELECT 1 AS entry")
    with pytest.raises(TableShapeError, match=r"klaviyo_pipeline\.ledger is a view"):
        rehearse(database, EVENTS)
