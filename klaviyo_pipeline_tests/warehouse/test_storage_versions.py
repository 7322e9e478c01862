"""Files of every format that DuckDB can make: a load leaves out what the format cannot hold."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from klaviyo_pipeline.warehouse.capabilities import storage_version
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline_tests.warehouse.helpers import contents, day, event, put, query

FORMATS = ["v0.10.2", "v1.0.0", "v1.2.0", "v1.5.0", "latest"]
MODES = ["append", "replace", "replace_on_new_data", "merge"]


def made_by_duckdb(path: Path, version: str | None) -> Database:
    """A file that somebody else made: with a given storage version, or as ``duckdb.connect`` makes it."""
    with duckdb.connect(":memory:" if version else str(path)) as con:
        if version:
            con.execute(f"ATTACH '{path}' AS made (STORAGE_VERSION '{version}')")
        con.execute(f"CREATE TABLE {'made.' if version else ''}main.theirs AS SELECT 1 AS one")
    return Database(path, lock_timeout_s=20)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("version", [*FORMATS, None])
def test_load_when_another_made_the_file_then_lands_whatever_its_format(tmp_path, version, mode):
    database = made_by_duckdb(tmp_path / "theirs.duckdb", version)

    put(database, [event("a", props='{"x": 1}')], mode, extract_id="first")
    added = pa.array(['{"y": [2]}'], pa.string())
    rows = pa.Table.from_pylist([event("b", 2)]).append_column("more", added)
    kept = put(database, rows, mode, extract_id="second")
    nested = pa.table({"id": ["c"], "at": pa.array([day(3)], pa.timestamp("us", "UTC")), "parts": [{"z": 3}]})
    put(database, nested, mode, extract_id="third")

    assert kept.added_columns == ("more",)
    found = {row["id"]: row for row in contents(database)}
    assert found["c"]["parts"] == '{"z":3}'
    if mode in ("append", "merge"):
        assert (found["a"]["props"], found["b"]["more"]) == ('{"x": 1}', '{"y": [2]}')
    assert query(database, "SELECT count(*) FROM klaviyo_pipeline.ledger") == [(3,)]
    assert query(database, "SELECT one FROM main.theirs") == [(1,)]


@pytest.mark.parametrize(
    ("version", "stated", "codec"),
    [("v1.0.0", (1, 0), False), ("v1.1.0", (1, 0), False), ("v1.2.0", (1, 2), True), ("v1.5.0", (1, 5), True)],
)
def test_json_when_the_format_can_hold_zstd_then_is_compressed_by_it(tmp_path, version, stated, codec):
    database = made_by_duckdb(tmp_path / "theirs.duckdb", version)

    put(database, [event(str(number), props='{"word": "a text of some length"}') for number in range(5000)])

    with database.reading() as con:
        assert storage_version(con) == stated
        used = con.execute(
            "SELECT DISTINCT compression FROM pragma_storage_info('klaviyo.events') WHERE column_name = 'props'"
        ).fetchall()
    assert (("ZSTD",) in used) is codec
