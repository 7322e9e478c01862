"""Random sequences of loads in every mode: the table equals a simple model in Python."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.landing import Sweep, TimeRange
from klaviyo_pipeline_tests.soaking import examples
from klaviyo_pipeline_tests.warehouse.helpers import arrow, contents, day, event, put

DAYS = range(1, 6)
FEW = examples(12, settings(suppress_health_check=[HealthCheck.too_slow]))

rows_strategy = st.lists(
    st.builds(
        event,
        id=st.sampled_from("abcdef"),
        at=st.sampled_from(DAYS),
        updated=st.sampled_from(DAYS),
        value=st.integers(0, 2),
        props=st.sampled_from(["{}", '{"a": 1}', "[]"]),
    ),
    max_size=8,
)
span_strategy = (
    st.tuples(st.sampled_from(DAYS), st.sampled_from(DAYS)).map(sorted).map(lambda span: (span[0], span[1] + 1))
)
load_strategy = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["append", "replace", "replace_on_new_data", "merge"]),
        "rows": rows_strategy,
        "partition": st.none() | span_strategy,
        "trim": st.none() | span_strategy,
        "versioned": st.booleans(),
        "sweep": st.booleans(),
        "extract": st.integers(0, 20),
    }
)


class Model:
    """The same rules as the warehouse, told the slow and plain way."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.deleted: set[str] = set()
        self.extracts: set[int] = set()

    def land(self, load: dict[str, Any]) -> None:
        if load["mode"] == "append" and load["extract"] in self.extracts:
            return
        self.extracts.add(load["extract"])
        batch = self._batch(load)
        if load["mode"] == "append":
            self.rows += batch.values()
        elif load["mode"] == "merge":
            self._merge(batch, versioned=load["versioned"])
        elif batch or load["mode"] == "replace":
            self._replace(batch, load["partition"])
        if load["mode"] == "merge" and load["sweep"]:
            self.deleted |= {row["id"] for row in self.rows} - set(batch)

    def _batch(self, load: dict[str, Any]) -> dict[str, dict[str, Any]]:
        batch: dict[str, dict[str, Any]] = {}
        for row in load["rows"]:
            spans = [load["trim"], load["partition"] if load["mode"].startswith("replace") else None]
            if any(span and not day(span[0]) <= row["at"] < day(span[1]) for span in spans):
                continue
            other = batch.get(row["id"])
            if not (other and load["versioned"] and other["updated"] > row["updated"]):
                batch[row["id"]] = row
        return batch

    def _merge(self, batch: dict[str, dict[str, Any]], *, versioned: bool) -> None:
        for key, row in batch.items():
            there = [other for other in self.rows if other["id"] == key]
            if not (there and versioned and max(other["updated"] for other in there) > row["updated"]):
                self.rows = [other for other in self.rows if other["id"] != key] + [row]
            self.deleted.discard(key)

    def _replace(self, batch: dict[str, dict[str, Any]], partition: tuple[int, int] | None) -> None:
        def cleared(row: dict[str, Any]) -> bool:
            inside = partition is None or day(partition[0]) <= row["at"] < day(partition[1])
            return inside or row["id"] in batch

        self.rows = [row for row in self.rows if not cleared(row)] + list(batch.values())
        self.deleted = {key for key in self.deleted if any(row["id"] == key for row in self.rows)} - set(batch)


def apply(database: Database, load: dict[str, Any]) -> None:
    options: dict[str, Any] = {"extract_id": str(load["extract"])}
    if load["partition"] and load["mode"].startswith("replace"):
        options |= {"partition_key": "at", "partitions": (tuple(day(bound) for bound in load["partition"]),)}
    if load["trim"]:
        options["trim"] = TimeRange("at", day(load["trim"][0]), day(load["trim"][1]))
    if load["versioned"]:
        options["version_column"] = "updated"
    if load["sweep"] and load["mode"] == "merge":
        options["sweep"] = Sweep()
    put(database, load["rows"], load["mode"], **options)


def in_order(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted(tuple(row[name] for name in ("id", "at", "updated", "value", "props")) for row in rows)


@FEW
@given(st.lists(load_strategy, min_size=1, max_size=6))
def test_any_sequence_of_loads_when_landed_then_no_row_is_lost_doubled_or_stale(loads):
    model = Model()
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "store.duckdb")
        for load in loads:
            if load["mode"] == "merge" and load["sweep"]:
                load["trim"] = None
            model.land(load)
            apply(database, load)
            assert in_order(contents(database)) == in_order(model.rows)
        rows = contents(database, system=True)
    marked = {row["id"] for row in rows if row.get("_deleted_at")}
    unmarked = {row["id"] for row in rows if not row.get("_deleted_at")}
    # An appended copy of a marked row is not marked itself.
    assert marked | (model.deleted & unmarked) == model.deleted


@FEW
@given(rows_strategy, st.integers(1, 4))
def test_any_rows_when_merged_in_pieces_then_the_table_is_as_if_merged_at_once(rows, size):
    with tempfile.TemporaryDirectory() as folder:
        whole, pieces = Database(Path(folder) / "whole.duckdb"), Database(Path(folder) / "pieces.duckdb")
        put(whole, rows, version_column="updated")
        put(pieces, arrow([]))
        for start in range(0, len(rows), size):
            put(pieces, rows[start : start + size], version_column="updated")
        assert contents(whole) == contents(pieces)
