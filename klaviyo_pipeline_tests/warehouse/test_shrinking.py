"""A landing that would take away too much fails, changes nothing and needs consent; any other lands the truth."""

from __future__ import annotations

import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.errors import ShrinkError
from klaviyo_pipeline.warehouse.landing import LandRequest, Sweep, land
from klaviyo_pipeline.warehouse.shrinking import ShrinkLimits
from klaviyo_pipeline.warehouse.tables import Column, Table
from klaviyo_pipeline.warehouse.write_modes import WriteMode
from klaviyo_pipeline_tests.breadth import broad
from klaviyo_pipeline_tests.soaking import examples
from klaviyo_pipeline_tests.warehouse.helpers import contents, day, digest, event, ids, put, query

LIMITS = ShrinkLimits()
LEDGER_LINES = "SELECT count(*) FROM klaviyo_pipeline.ledger"


def events(*numbers: int, at: int = 1) -> list[dict[str, Any]]:
    return [event(f"e{number:03}", at) for number in numbers]


# before, now, whether it takes consent
SIZES = [
    (1, 0, True),
    (3, 0, True),
    (50, 0, True),
    (50, 1, True),
    (50, 39, True),
    (50, 40, False),
    (3, 1, False),
    (10, 1, False),
    (11, 1, False),
    (12, 1, True),
    (60, 49, False),
    (60, 48, False),
    (60, 47, True),
    (0, 0, False),
    (0, 5, False),
    (5, 9, False),
]


@pytest.mark.parametrize(("size", "mode"), broad(product(SIZES, ("merge", "replace", "replace_on_new_data"))))
def test_whole_read_of_fewer_rows_takes_consent_from_a_size_on(
    database: Database, mode: str, size: tuple[int, int, bool]
) -> None:
    before, now, refused = size
    sweep = Sweep() if mode == "merge" else None
    put(database, events(*range(before)), mode, sweep=sweep)
    state, lines = digest(database), query(database, LEDGER_LINES)
    nothing_happens = mode == "replace_on_new_data" and now == 0

    if refused and not nothing_happens:
        with pytest.raises(ShrinkError) as refusal:
            put(database, events(*range(now)), mode, sweep=sweep, shrink=LIMITS)
        does = "mark as deleted" if mode == "merge" else "clear"
        assert f"has {now} rows, and landing it would {does} {before - now} of the {before} rows" in str(refusal.value)
        assert (digest(database), query(database, LEDGER_LINES)) == (state, lines)
    consent = None if refused else LIMITS
    put(database, events(*range(now)), mode, sweep=sweep, shrink=consent)

    living = ids(database, "_deleted_at IS NULL") if mode == "merge" else ids(database)
    assert living == [f"e{number:03}" for number in range(before if nothing_happens else now)]


def test_other_rows_of_the_same_number_are_a_shrink_too(database: Database) -> None:
    put(database, events(*range(50)), "replace")

    with pytest.raises(ShrinkError, match="clear 50 of the 50 rows"):
        put(database, events(*range(100, 150)), "replace", shrink=LIMITS)


def test_rows_that_were_marked_before_do_not_count(database: Database) -> None:
    put(database, events(*range(50)), sweep=Sweep())
    put(database, events(*range(4)), sweep=Sweep())

    assert put(database, events(*range(3)), sweep=Sweep(), shrink=LIMITS).deleted == 1


def test_partition_that_comes_back_empty_is_a_shrink_and_other_partitions_do_not_count(database: Database) -> None:
    put(database, [*events(*range(50)), *events(*range(50, 400), at=2)], "replace")
    day_one = {"partition_key": "at", "partitions": ((day(1), day(2)),), "shrink": LIMITS}
    state = digest(database)

    with pytest.raises(ShrinkError, match=r"this read \(at 2024-01-01.* to 2024-01-02.*clear 50 of the 50 rows"):
        put(database, [], "replace", **day_one)
    assert digest(database) == state

    put(database, [], "replace", **{**day_one, "shrink": None})
    assert len(ids(database)) == 350


def test_row_that_moved_to_another_partition_with_the_read_is_not_gone(database: Database) -> None:
    put(database, events(*range(20)), "replace")

    put(
        database,
        events(*range(20), at=2),
        "replace",
        partition_key="at",
        partitions=((day(1), day(3)),),
        shrink=LIMITS,
    )

    assert {row["at"] for row in contents(database)} == {day(2)}


def test_incremental_merge_and_append_are_not_looked_at(database: Database) -> None:
    put(database, events(*range(50)))

    put(database, [], shrink=LIMITS)
    put(database, [], "append", extract_id="other", shrink=LIMITS)

    assert len(ids(database)) == 50


BOUNDS = [(0.2, 10, True), (0.5, 10, False), (0.2, 30, False), (0, 0, True)]


@pytest.mark.parametrize(("share", "rows", "refused"), BOUNDS)
def test_limits_are_settings(database: Database, share: float, rows: int, refused: bool) -> None:
    put(database, events(*range(100)), sweep=Sweep())
    limits = ShrinkLimits(share, rows)

    if refused:
        with pytest.raises(ShrinkError, match=f"more than {rows} that are more than {share:.0%}"):
            put(database, events(*range(75)), sweep=Sweep(), shrink=limits)
    else:
        assert put(database, events(*range(75)), sweep=Sweep(), shrink=limits).deleted == 25


def test_all_rows_always_take_consent_whatever_the_settings(database: Database) -> None:
    put(database, events(1, 2), sweep=Sweep())

    with pytest.raises(ShrinkError):
        put(database, [], sweep=Sweep(), shrink=ShrinkLimits(1, 1_000))


# Lists

MEMBERS = Table(
    "klaviyo",
    "list_profiles",
    (Column("id", "VARCHAR"), Column("list_id", "VARCHAR"), Column("profile_id", "VARCHAR")),
    primary_key=("id",),
)
BY_LIST = ShrinkLimits(by="list_id")


def put_members(database: Database, members: dict[str, int], mode: str = "merge", **options: Any) -> None:
    rows = [
        {"id": f"{name}:{number}", "list_id": name, "profile_id": str(number)}
        for name, count in members.items()
        for number in range(count)
    ]
    schema = pa.schema([(name, pa.string()) for name in ("id", "list_id", "profile_id")])
    load = {"source": "list_profiles", "run_id": "run", "extract_id": "extract", "sweep": Sweep(), **options}
    if mode != "merge":
        load["sweep"] = options.get("sweep")
    land(database, LandRequest(table=MEMBERS, rows=pa.Table.from_pylist(rows, schema), mode=WriteMode(mode), **load))


def members(database: Database) -> dict[str, int]:
    marked = query(database, "SELECT count(*) FROM duckdb_columns() WHERE column_name = '_deleted_at'")[0][0]
    where = "WHERE _deleted_at IS NULL" if marked else ""
    return dict(query(database, f"SELECT list_id, count(*) FROM klaviyo.list_profiles {where} GROUP BY 1"))


@pytest.mark.parametrize("mode", ["merge", "replace"])
@pytest.mark.parametrize(
    ("now", "named"),
    [
        ({"big": 1000}, "list_id news: 15 of 15"),
        ({"big": 1000, "news": 4}, "list_id news: 11 of 15"),
        ({"big": 1000, "news": 15, "few": 0}, None),
        ({"big": 1000, "news": 5, "few": 4}, None),
        ({}, "list_id big: 1,000 of 1,000; list_id news: 15 of 15"),
    ],
)
def test_each_list_is_looked_at_as_well(database: Database, mode: str, now: dict[str, int], named: str | None) -> None:
    before = {"big": 1000, "news": 15, "few": 4}
    put_members(database, before, mode)

    if named:
        with pytest.raises(ShrinkError, match=named):
            put_members(database, now, mode, shrink=BY_LIST)
        assert members(database) == before
    else:
        put_members(database, now, mode, shrink=BY_LIST)
        assert members(database) == {name: count for name, count in now.items() if count}


@pytest.mark.parametrize("mode", ["merge", "replace"])
def test_members_of_a_list_that_is_known_to_be_gone_do_not_count(database: Database, mode: str) -> None:
    put_members(database, {"gone": 1000, "news": 15}, mode)

    put_members(database, {"news": 15}, mode, shrink=ShrinkLimits(by="list_id", known_gone=("gone",)))

    assert members(database) == {"news": 15}


def test_replace_of_some_lists_clears_only_theirs(database: Database) -> None:
    put_members(database, {"a": 20, "b": 20}, "replace")

    put_members(database, {"a": 19}, "replace", sweep=Sweep("list_id", ("a",)), shrink=BY_LIST)

    assert members(database) == {"a": 19, "b": 20}


FEW = examples(25, settings(suppress_health_check=[HealthCheck.too_slow]))
SETS = st.sets(st.integers(0, 25), max_size=26)


@FEW
@given(SETS, SETS, st.sampled_from(["merge", "replace", "replace_on_new_data"]), st.booleans())
def test_any_read_equals_the_truth_or_fails_and_changes_nothing(
    before: set[int], now: set[int], mode: str, partitioned: bool
) -> None:
    options: dict[str, Any] = {"sweep": Sweep()} if mode == "merge" else {}
    if partitioned and mode != "merge":
        options |= {"partition_key": "at", "partitions": ((day(1), day(2)),)}
    other_day = {999} if "partitions" in options else set()
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "store.duckdb")
        put(database, [*events(*sorted(before)), *events(*other_day, at=2)])
        state = digest(database)
        try:
            put(database, events(*sorted(now)), mode, shrink=LIMITS, **options)
        except ShrinkError:
            gone = len(before - now)
            assert gone == len(before) or (gone > LIMITS.rows and gone > LIMITS.share * len(before))
            assert digest(database) == state
            return
        marked = any(name == "_deleted_at" for row in contents(database, system=True) for name in row)
        living = ids(database, "_deleted_at IS NULL") if marked else ids(database)
    kept = before if mode == "replace_on_new_data" and not now else now
    assert living == [f"e{number:03}" for number in sorted(kept | other_day)]
