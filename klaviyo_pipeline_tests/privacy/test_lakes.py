"""In a lake a person is erased, and rules are applied, to the last byte: also in older files and in the catalog."""

from __future__ import annotations

from pathlib import Path

import pytest

from klaviyo_pipeline.klaviyo.privacy.parsing import rules_of
from klaviyo_pipeline.loads.ruling import apply_rules
from klaviyo_pipeline.people import Person
from klaviyo_pipeline.warehouse.erasing import erase
from klaviyo_pipeline.warehouse.lake import Lake
from klaviyo_pipeline.warehouse.sql import qualified
from klaviyo_pipeline_tests.lake import destinations
from klaviyo_pipeline_tests.privacy.people_in_a_shop import SECRET, Shop, files_with
from klaviyo_pipeline_tests.privacy.planted import EXTERNAL, TRACES, load_all, plant


@pytest.fixture
def in_lake(shop: Shop, kind: str, tmp_path: Path) -> Shop:
    lake = destinations.destination(kind, tmp_path)
    assert isinstance(lake, Lake)
    shop.lake = lake
    return shop


def said_by(shop: Shop) -> str:
    """All that the tables say, and DuckLake's own ones."""
    with shop.database.reading() as con:
        tables = con.execute(
            "SELECT database_name, schema_name, table_name FROM duckdb_tables() "
            "WHERE database_name IN ('lake', '__ducklake_metadata_lake')"
        ).fetchall()
        found = [con.execute(f"FROM {qualified(*names)}").fetchall() for names in tables]
    return str(found).casefold()


@pytest.mark.parametrize("kind", [destinations.lake("postgres"), destinations.lake("lake-file", long=True)])
def test_person_is_in_no_table_no_file_and_no_snapshot_of_a_lake_and_does_not_come_back(in_lake: Shop) -> None:
    id_ = plant(in_lake)
    load_all(in_lake)
    people = in_lake.sql("SELECT count(*) FROM klaviyo.profiles")[0][0]
    assert EXTERNAL in said_by(in_lake)
    traces = (*TRACES, id_.lower())

    done = erase(in_lake.database, Person(external_ids=frozenset({EXTERNAL})), SECRET.encode())

    assert done.profiles == 1
    assert [trace for trace in traces if trace in said_by(in_lake)] == []
    assert files_with(in_lake.folder, *traces) == []
    assert in_lake.sql("SELECT count(*) FROM ducklake_snapshots('lake')") == [(1,)]
    assert in_lake.sql("SELECT count(*) FROM klaviyo.profiles") == [(people - 1,)]
    load_all(in_lake)
    assert in_lake.sql("SELECT count(*), count(DISTINCT id) FROM klaviyo.profiles") == [(people - 1, people - 1)]
    assert [trace for trace in traces if trace in said_by(in_lake)] == []


@pytest.mark.parametrize("kind", [destinations.lake("lake-file"), destinations.lake("postgres", long=True)])
def test_rules_that_are_applied_later_leave_no_old_value_in_a_lake(in_lake: Shop) -> None:
    in_lake.load("profiles")
    addresses = [each for (each,) in in_lake.sql("SELECT lower(email) FROM klaviyo.profiles WHERE email IS NOT NULL")]
    rules = rules_of({"profiles.email": "hash", "profiles.properties": "drop"}, "privacy", SECRET)

    changed = apply_rules(in_lake.database, "klaviyo", rules)

    assert changed["klaviyo.profiles"] >= len(addresses) > 20
    assert [each for each in addresses if each in said_by(in_lake)] == []
    assert files_with(in_lake.folder, *addresses) == []
    assert apply_rules(in_lake.database, "klaviyo", rules) == {}
