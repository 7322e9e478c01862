"""Large batches land in parts: the result is that of one part, and the least memory that is allowed suffices."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from klaviyo_pipeline.grammar import LEAST_MEMORY_MB
from klaviyo_pipeline.warehouse import parts
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.errors import ShrinkError
from klaviyo_pipeline.warehouse.landing import Sweep
from klaviyo_pipeline.warehouse.parts import Span, spans_of, spans_of_rows
from klaviyo_pipeline.warehouse.shrinking import ShrinkLimits
from klaviyo_pipeline.warehouse.tables import Column, Table, shape
from klaviyo_pipeline_tests.soaking import examples
from klaviyo_pipeline_tests.warehouse.helpers import arrow, contents, day, event, put

LEAST = f"{LEAST_MEMORY_MB}MB"
MEMBERS = Table("klaviyo", "members", (Column("id", "VARCHAR"), Column("props", "JSON")), primary_key=("id",))
LIMITS = ShrinkLimits(share=0.9, rows=8, by="value")

rows_strategy = st.lists(
    st.builds(
        event,
        id=st.sampled_from("abcdefghijkl"),
        at=st.integers(1, 3),
        updated=st.integers(1, 3),
        value=st.integers(0, 1),
        props=st.sampled_from(['{"a": 1, "b": 2}', '{"b": 2, "a": 1}', "[]"]),
    ),
    max_size=20,
)
load_strategy = st.fixed_dictionaries(
    {
        "rows": rows_strategy,
        "mode": st.sampled_from(["merge", "merge", "merge", "append", "replace"]),
        "lacks": st.sampled_from([(), ("value",), ("props", "value")]),
        "version_column": st.none() | st.just("updated"),
        "sweep": st.sampled_from([None, Sweep(), Sweep("value", ("0",))]),
    }
)


@contextmanager
def rows_at_once(rows: int):
    with mock.patch.object(parts, "rows_at_once", return_value=rows):
        yield


def land(database, load, number):
    """What a landing says it did, or its refusal."""
    options = {"version_column": load["version_column"], "extract_id": str(number), "partition_key": "at"}
    options["count_ranges"] = ((day(1), day(2)), (day(2), day(4)))
    if load["mode"] == "replace":
        options |= {"partitions": ((day(1), day(3)),), "shrink": LIMITS}
    if load["mode"] == "merge":
        options |= {"sweep": load["sweep"], "shrink": LIMITS}
    try:
        result = put(database, arrow(load["rows"]).drop_columns(list(load["lacks"])), load["mode"], **options)
    except ShrinkError as error:
        return str(error)
    return {name: value for name, value in vars(result).items() if name not in ("duration_s", "lock_wait_s")}


def rows_of(database):
    """All rows in order, with the marks of those that are gone."""
    rows = [dict(row, _deleted_at=bool(row.get("_deleted_at"))) for row in contents(database, system=True)]
    return sorted(repr(sorted((name, row[name]) for name in row if name != "_loaded_at")) for row in rows)


@examples(6, settings(suppress_health_check=[HealthCheck.too_slow]))
@given(st.lists(load_strategy, min_size=1, max_size=4), st.integers(1, 5))
def test_loads_when_landed_in_parts_then_all_is_as_in_one_part(loads, rows):
    with tempfile.TemporaryDirectory() as folder:
        whole, cut = (Database(Path(folder) / name / "store.duckdb", memory_limit=LEAST) for name in ("whole", "cut"))
        for number, load in enumerate([{**loads[0], "mode": "append"}, *loads]):
            expected = land(whole, load, number)
            with rows_at_once(rows):
                assert land(cut, load, number) == expected
            assert rows_of(cut) == rows_of(whole)


def members(first=0, spelling="", suffix=""):
    """Rows with keys of 2,048 bytes. The batch alone is as large as the memory."""
    with duckdb.connect() as con:
        return con.sql(
            "SELECT repeat(md5(CAST(i AS VARCHAR)), 64) AS id, '{\"a\":' || ? || i || ? || '}' AS props "
            "FROM range(?, 30000) AS r(i)",
            params=[spelling, suffix, first],
        ).to_arrow_table()


def test_rows_when_read_again_at_the_least_memory_then_they_land(tmp_path):
    database = Database(tmp_path / "store.duckdb", memory_limit=LEAST)

    def merge(rows, sweep=None):
        result = put(database, rows, table=MEMBERS, sweep=sweep)
        return result.inserted, result.updated, result.unchanged, result.deleted, result.revived

    assert merge(members()) == (30_000, 0, 0, 0, 0)
    assert merge(members(spelling=" ")) == (0, 0, 30_000, 0, 0)
    assert merge(members(first=15_000, suffix="0"), Sweep()) == (0, 15_000, 0, 15_000, 0)
    assert merge(members()) == (0, 15_000, 15_000, 0, 15_000)


def test_columns_when_many_come_to_a_large_table_at_the_least_memory_then_they_are_added(tmp_path):
    database = Database(tmp_path / "store.duckdb", memory_limit=LEAST)
    put(database, members().slice(0, 1), table=MEMBERS)
    with database.writing() as con:
        con.execute("INSERT INTO klaviyo.members (id) SELECT i FROM range(1000000) AS r(i)")
    more = tuple(Column(f"more_{number}", "VARCHAR") for number in range(15))
    landed = put(database, members().slice(1, 1), table=replace(MEMBERS, columns=(*MEMBERS.columns, *more)))
    assert landed.added_columns == tuple(column.name for column in more)
    assert landed.total_rows == 1_000_002


def test_column_when_it_alone_exceeds_the_memory_then_it_is_added(tmp_path):
    rows = Table("klaviyo", "numbers", (Column("n", "BIGINT"),))
    with Database(tmp_path / "store.duckdb").writing() as con:
        con.execute("CREATE SCHEMA klaviyo; CREATE TABLE klaviyo.numbers AS SELECT i AS n FROM range(6000000) AS r(i)")
        con.execute("CHECKPOINT")
        con.execute("SET memory_limit = '16MB'")
        limit = parts.memory_limit(con)
        con.begin()
        _columns, added = shape(con, rows, (*rows.columns, Column("more", "VARCHAR")), may_commit=True)
        con.commit()
        assert added == ("more",)
        assert con.execute("SELECT count(*), count(more) FROM klaviyo.numbers").fetchall() == [(6_000_000, 0)]
        assert parts.memory_limit(con) == pytest.approx(limit, rel=0.01)


@pytest.fixture(scope="module")
def con():
    with duckdb.connect() as con:
        yield con


@given(numbers=st.lists(st.integers(0, 1_000_000), max_size=60), rows=st.integers(1, 70))
def test_spans_when_cut_then_each_number_is_in_one_and_none_has_too_many(con, numbers, rows):
    con.execute("CREATE OR REPLACE TABLE t AS SELECT unnest(?::BIGINT[]) AS n", [numbers])
    for spans in (spans_of_rows(con, "t", "n", rows), spans_of(max(numbers, default=0), max(rows, 20_000))):
        counts = [con.execute(f"SELECT count(*) FROM t WHERE {each.condition('n')}").fetchall()[0][0] for each in spans]
        assert sum(counts) == len(numbers)


def test_numbers_when_cut_then_each_span_is_full_but_the_last():
    assert spans_of(9, 5) == [Span(None, 5), Span(5, None)]
    assert spans_of(10, 5) == [Span(None, 5), Span(5, 10), Span(10, None)]
    assert spans_of(4, 5) == [Span()]


def test_rows_when_they_just_fit_then_are_one_span():
    with duckdb.connect() as con:
        con.execute("CREATE TABLE t AS SELECT unnest([0, 1, 2, 3, 4, 5]) AS n")
        assert spans_of_rows(con, "t", "n", 3) == [Span(None, 3), Span(3, None)]


@pytest.mark.parametrize(("unit", "size"), [("KiB", 2**10), ("MiB", 2**20), ("GiB", 2**30), ("TiB", 2**40)])
def test_memory_limit_whatever_its_unit_says_how_many_rows_fit(unit, size):
    amount = 900 if unit == "KiB" else 2
    with duckdb.connect() as con:
        con.execute(f"SET memory_limit = '{amount}{unit}'")
        assert parts.rows_at_once(con) == amount * size // 8 // parts.ROW_BYTES
