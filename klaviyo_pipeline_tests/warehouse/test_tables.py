"""Shapes: additive evolution, clear refusals, quoting, comments, and where a schema lives."""

from __future__ import annotations

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.errors import LoadError, RowsError, TableShapeError
from klaviyo_pipeline.warehouse.reading import read_table
from klaviyo_pipeline.warehouse.tables import Column, Table
from klaviyo_pipeline_tests.warehouse.helpers import EVENTS, arrow, contents, day, event, put, query

NAMES = ["select", 'a"b', "with space", "Ünï", "drop table x;--"]


def test_columns_when_the_rows_bring_new_ones_then_are_added(database):
    put(database, [event("a")])
    rows = arrow([event("b")]).append_column("channel", pa.array(["sms"]))
    result = put(database, rows)
    assert result.added_columns == ("channel",)
    assert query(database, "SELECT id, channel FROM klaviyo.events ORDER BY id") == [("a", None), ("b", "sms")]


def test_columns_when_the_declaration_grows_then_are_added_with_their_comment(database):
    put(database, [event("a")])
    grown = Table("klaviyo", "events", (*EVENTS.columns, Column("flow", "VARCHAR", "The flow")), ("id",))
    assert put(database, [event("b")], table=grown).added_columns == ("flow",)
    comment = "SELECT comment FROM duckdb_columns() WHERE table_name = 'events' AND column_name = 'flow'"
    assert query(database, comment) == [("The flow",)]


def test_columns_when_only_nulls_come_in_an_unknown_one_then_it_waits_for_a_type(database):
    put(database, arrow([event("a")]).append_column("later", pa.nulls(1)))
    assert put(database, arrow([event("a")]).append_column("later", pa.array([3]))).added_columns == ("later",)


def test_columns_when_the_order_differs_then_values_go_by_name(database):
    put(database, arrow([event("a", value=3)]).select(["props", "value", "_extra", "at", "updated", "id"]))
    assert contents(database) == [event("a", value=3)]


def test_columns_when_the_case_differs_then_are_the_same_column(database):
    put(database, arrow([event("a", value=3)]).rename_columns(["ID", "at", "updated", "VALUE", "props", "_extra"]))
    assert contents(database) == [event("a", value=3)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["append", "replace", "merge"])
def test_names_when_odd_then_are_quoted_everywhere(database, name, mode):
    table = Table(name, name, (Column(name, "BIGINT", "it's"), Column(f"{name}2", "TIMESTAMPTZ")), (name,), name)
    rows = pa.table({name: [1], f"{name}2": pa.array([day(1)], pa.timestamp("us", "UTC"))})
    for repeat in range(2):
        put(
            database,
            rows.append_column(f"{name}{repeat}", pa.array(["x"])),
            mode,
            table=table,
            version_column=f"{name}2",
            partition_key=f"{name}2",
            partitions=((day(1), day(2)),),
            extract_id=str(repeat),
        )
    frame = read_table(database, name, name, columns=[name], partition_key=f"{name}2", ranges=[(day(1), day(2))])
    assert frame[name].tolist() == [1] * (2 if mode == "append" else 1)


def test_names_when_two_differ_only_in_case_then_says_so(database):
    rows = pa.table({"id": ["a"], "Zip": [1], "zip": [2]})
    with pytest.raises(TableShapeError, match=r"differ at most in case.*'Zip', 'zip'"):
        put(database, rows)
    declared = Table("klaviyo", "events", (Column("id", "VARCHAR"), Column("ID", "BIGINT")), ("id",))
    with pytest.raises(TableShapeError, match="'id' and 'ID' differ at most in case"):
        put(database, pa.table({"id": ["a"]}), table=declared)


def test_shape_when_a_type_is_incompatible_then_names_both_and_changes_nothing(database):
    put(database, [event("a")])
    other = Table(
        "klaviyo", "events", (Column("new", "BIGINT"), Column("value", "VARCHAR"), EVENTS.columns[0]), ("id",)
    )
    with pytest.raises(TableShapeError, match=r"klaviyo\.events .*'value' of type BIGINT.*VARCHAR.*ALTER TABLE"):
        put(database, pa.table({"id": ["b"]}), table=other)
    assert contents(database) == [event("a")]


def test_shape_when_the_column_there_is_wider_then_lands(database):
    wide = Table("klaviyo", "events", (Column("id", "VARCHAR"), Column("value", "DOUBLE")), ("id",))
    narrow = Table("klaviyo", "events", (Column("id", "VARCHAR"), Column("value", "INTEGER")), ("id",))
    put(database, pa.table({"id": ["a"], "value": [1.5]}), table=wide)
    put(database, pa.table({"id": ["b"], "value": pa.array([2], pa.int32())}), table=narrow)
    assert [row["value"] for row in contents(database)] == [1.5, 2.0]


def test_shape_when_the_table_lacks_the_key_then_says_so(database):
    put(database, pa.table({"x": [1]}), "append", table=Table("klaviyo", "events"))
    with pytest.raises(TableShapeError, match="without the key column 'id'"):
        put(database, [event("a")])


@pytest.mark.parametrize("mode", ["append", "replace", "merge"])
def test_shape_when_a_view_has_the_name_then_says_so(database, mode):
    with database.writing() as con:
        con.execute("CREATE SCHEMA klaviyo; CREATE VIEW klaviyo.events AS SELECT 'a' AS id")
    with pytest.raises(TableShapeError, match=r"klaviyo\.events is a view"):
        put(database, [event("a")], mode)


def test_shape_when_no_column_carries_the_key_then_says_so(database):
    with pytest.raises(LoadError, match="primary key names nope"):
        put(database, pa.table({"x": [1]}), table=Table("klaviyo", "t", (), ("nope",)))


def test_comments_when_created_and_changed_then_are_current(database):
    put(database, [event("a")])
    comments = "SELECT comment FROM duckdb_tables() WHERE table_name = 'events'"
    assert query(database, comments) == [("What people did",)]
    put(database, [event("a")], table=Table("klaviyo", "events", EVENTS.columns, ("id",), "It's new"))
    assert query(database, comments) == [("It's new",)]


@pytest.mark.parametrize(
    ("schema", "name", "path"),
    [
        ("klaviyo", "events", "klaviyo.events"),
        ("klaviyo", "select", '"klaviyo"."select"'),
        ("order", "events", '"order"."events"'),
        ("klaviyo", "Events", '"klaviyo"."Events"'),
        ("klaviyo", "two words", '"klaviyo"."two words"'),
        ("klaviyo", "1st", '"klaviyo"."1st"'),
    ],
)
def test_path_when_a_name_cannot_be_typed_then_is_quoted(database, schema, name, path):
    result = put(database, [event("a")], table=Table(schema, name, EVENTS.columns, ("id",)))
    assert result.table_path == path
    assert query(database, f"SELECT id FROM {path}") == [("a",)]


@pytest.mark.parametrize("file", ["klaviyo.duckdb", "KLAVIYO.duckdb", "klaviyo.db.duckdb"])
def test_schema_when_named_like_the_file_then_users_can_type_it(tmp_path, file):
    database = Database(tmp_path / file)
    for extract in "12":
        result = put(database, [event("a")], "append", extract_id=extract)
    assert result.table_path == "klaviyo.events"
    with duckdb.connect(str(tmp_path / file)) as con:
        assert con.execute(f"SELECT count(*) FROM {result.table_path}").fetchall() == [(2,)]
        assert con.execute("SELECT count(*) FROM klaviyo_pipeline.ledger").fetchall() == [(2,)]


def test_schema_when_the_file_was_renamed_to_its_name_then_the_schema_is_used(tmp_path):
    put(Database(tmp_path / "store.duckdb"), [event("a")])
    (tmp_path / "store.duckdb").rename(tmp_path / "klaviyo.duckdb")
    result = put(Database(tmp_path / "klaviyo.duckdb"), [event("b")])
    assert result.total_rows == 2
    with duckdb.connect(str(tmp_path / "klaviyo.duckdb")) as con:
        assert con.execute(f"SELECT count(*) FROM {result.table_path}").fetchall() == [(2,)]


def test_ledger_when_the_file_has_its_schemas_name_then_works(tmp_path):
    database = Database(tmp_path / "klaviyo_pipeline.duckdb")
    put(database, [event("a")])
    assert query(database, "SELECT count(*) FROM klaviyo_pipeline.ledger") == [(1,)]


@pytest.mark.parametrize(
    "file", ["memory.duckdb", "temp.duckdb", "system.duckdb", "main.duckdb", "no_suffix", "a-b 'c.db"]
)
def test_file_when_oddly_named_then_works(tmp_path, file):
    database = Database(tmp_path / file)
    put(database, [event("a")])
    assert contents(database) == [event("a")]


def test_types_when_undeclared_then_come_from_the_rows(database):
    rows = pa.table(
        {
            "i": [1],
            "naive": pa.array([day(1).replace(tzinfo=None)], pa.timestamp("ns")),
            "aware": pa.array([day(1)], pa.timestamp("us", "UTC")),
            "struct": [{"a": 1}],
            "list": [["x"]],
            "none": pa.array([None], pa.list_(pa.int64())),
            "category": pa.array(["c"]).dictionary_encode(),
        }
    )
    put(database, rows, "append", table=Table("main", "t"))
    sql = "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 't' ORDER BY column_index LIMIT 7"
    assert query(database, sql) == [
        ("i", "BIGINT"),
        ("naive", "TIMESTAMP"),
        ("aware", "TIMESTAMP WITH TIME ZONE"),
        ("struct", "JSON"),
        ("list", "JSON"),
        ("none", "JSON"),
        ("category", "VARCHAR"),
    ]
    assert query(database, 'SELECT struct, "list", none FROM main.t') == [('{"a":1}', '["x"]', None)]


def test_frame_when_it_holds_dicts_then_lands_them_as_they_are(database):
    frame = pd.DataFrame({"id": ["a", "b", "c"], "o": [{"x": 1}, {"y": [None]}, None], "n": [1, None, 3]})
    put(database, frame, table=Table("klaviyo", "frames", (), ("id",)))
    rows = query(database, "SELECT o, n FROM klaviyo.frames ORDER BY id")
    assert rows == [('{"x": 1}', 1.0), ('{"y": [null]}', None), (None, 3.0)]


def test_frame_when_a_column_mixes_types_then_says_which(database):
    with pytest.raises(RowsError, match="mixes types"):
        put(database, pd.DataFrame({"id": ["a", "b"], "m": [1, b"x"]}))


def test_rows_when_of_an_unknown_kind_then_says_what_is_taken(database):
    with pytest.raises(RowsError, match="Rows came as int"):
        put(database, 5)


def test_declared_types_when_special_then_round_trip(database):
    columns = (
        Column("id", "VARCHAR"),
        Column("tags", "VARCHAR[]"),
        Column("price", "DECIMAL(10,2)"),
        Column("d", "DATE"),
    )
    rows = pa.table({"id": ["a"], "tags": [["x", "y"]], "price": ["12.34"], "d": ["2024-02-29"]})
    table = Table("klaviyo", "goods", columns, ("id",))
    put(database, rows, table=table)
    assert put(database, rows, table=table).unchanged == 1
    assert query(database, "SELECT tags, price::VARCHAR, d::VARCHAR FROM klaviyo.goods") == [
        (["x", "y"], "12.34", "2024-02-29")
    ]
