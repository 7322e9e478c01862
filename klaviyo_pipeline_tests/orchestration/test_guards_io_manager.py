"""Tables that an asset hands over itself: where each goes, how it is written, and what a later asset reads of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest

from klaviyo_pipeline.orchestration.assets.io_manager import KlaviyoDuckDBIOManager
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
from klaviyo_pipeline_tests import instances

Rows = list[tuple[Any, ...]]
DAYS = dg.DailyPartitionsDefinition("2026-11-01", timezone="Europe/Berlin", end_offset=1)
KEYED: Mapping[str, Any] = {"primary_key": "id"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KLAVIYO_SCHEMA", "shop")
    return tmp_path


def materialize(here: Path, *assets: Any, mode: str = "merge", partition: str | None = None) -> Mapping[str, Any]:
    """Materialize assets into one file; the metadata of the last one."""
    database = KlaviyoDuckDBResource(database=str(here / "own.duckdb"), lock_timeout_s=20)
    result = dg.materialize(
        assets,
        resources={"io_manager": KlaviyoDuckDBIOManager(duckdb=database, write_mode=mode)},
        partition_key=partition,
        run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
    )
    found = list(result.get_asset_materialization_events())
    return {name: each.value for name, each in found[-1].materialization.metadata.items()}


def made(rows: Rows, metadata: Mapping[str, Any]) -> Any:
    """An asset that hands over rows of an id and a number."""

    @dg.asset(key_prefix="marts", name="made", metadata=dict(metadata))
    def asset() -> pa.Table:
        return pa.table({"id": [id_ for id_, _ in rows], "n": [n for _, n in rows]})

    return asset


def contents(file: Path, table: str) -> Rows:
    return instances.rows(file, f"SELECT id, n FROM {table} ORDER BY ALL")


BOTH, SECOND, UPDATED = [(1, 1), (1, 5), (2, 2)], [(1, 5)], [(1, 5), (2, 2)]


@pytest.mark.parametrize(
    ("metadata", "mode", "then"),
    [
        ({}, "merge", SECOND),
        ({}, "append", SECOND),
        (KEYED, "merge", UPDATED),
        ({"primary_key": ["id"]}, "merge", UPDATED),
        (KEYED, "append", BOTH),
        (KEYED, "replace", SECOND),
        ({"write_mode": "append"}, "merge", BOTH),
        ({**KEYED, "write_mode": "replace"}, "merge", SECOND),
        ({**KEYED, "write_mode": "merge"}, "append", UPDATED),
    ],
)
def test_table_when_written_twice_then_by_its_own_mode_and_without_a_key_as_a_whole(
    here: Path, metadata: Mapping[str, Any], mode: str, then: Rows
) -> None:
    materialize(here, made([(1, 1), (2, 2)], metadata), mode=mode)
    said = materialize(here, made([(1, 5)], metadata), mode=mode)

    assert contents(here / "own.duckdb", "shop.made") == then
    counts = {name: said[name] for name in ("rows_inserted", "rows_updated", "rows_unchanged", "rows_deleted")}
    if then == UPDATED:
        assert list(counts.values()) == [0, 1, 0, 0]
    else:
        assert list(counts.values()) == [1, 0, 0, 2 if then == SECOND else 0]
    assert said["dagster/row_count"] == len(then)
    assert said["dagster/table_name"].endswith("shop.made")


@pytest.mark.parametrize(
    ("metadata", "file", "table"),
    [
        ({}, "own", "shop.made"),
        ({"schema": "other"}, "own", "other.made"),
        ({"table": "named"}, "own", "shop.named"),
        ({"schema": "other", "table": "named"}, "own", "other.named"),
        ({"database": "another"}, "another", "shop.made"),
    ],
)
def test_place_when_the_asset_names_a_part_then_the_rest_is_the_configurations(
    here: Path, metadata: Mapping[str, Any], file: str, table: str
) -> None:
    given = {**metadata, **({"database": str(here / "another.duckdb")} if "database" in metadata else {})}

    materialize(here, made([(1, 1)], given))

    assert contents(here / f"{file}.duckdb", table) == [(1, 1)]
    assert [each.name for each in here.glob("*.duckdb")] == [f"{file}.duckdb"]


@pytest.mark.parametrize("key", ["partition_key", "partition_expr"])
def test_partition_when_written_then_only_its_day_is_cleared_and_read(here: Path, key: str) -> None:
    seen: dict[str, list[tuple[str, ...]]] = {"columns": [], "rows": []}
    in_days = dg.AssetIn(metadata={"columns": ["n"]})

    def by_day(at: Callable[[], list[datetime]]) -> Any:
        metadata = {key: "at", "write_mode": "replace"}

        @dg.asset(name="made", partitions_def=DAYS, metadata=metadata)
        def asset() -> pa.Table:
            times = at()
            return pa.table({"id": [1] * len(times), "n": [each.day for each in times], "at": times})

        return asset

    @dg.asset(partitions_def=DAYS, ins={"made": in_days})
    def reader(made: pd.DataFrame) -> None:
        seen["columns"].append(tuple(made.columns))
        seen["rows"].append(tuple(str(each) for each in made["n"]))

    # A day in Berlin begins at 23:00 UTC.
    first = [datetime(2026, 11, 2, 23, tzinfo=UTC), datetime(2026, 11, 3, 22, 59, tzinfo=UTC)]
    materialize(here, by_day(lambda: first), reader, partition="2026-11-03")
    materialize(here, by_day(lambda: [datetime(2026, 11, 3, 23, tzinfo=UTC)] * 2), reader, partition="2026-11-04")
    materialize(here, by_day(lambda: first[1:]), reader, partition="2026-11-03")

    assert contents(here / "own.duckdb", "shop.made") == [(1, 3), (1, 3), (1, 3)]
    assert seen["columns"] == [("n",)] * 3
    assert [sorted(each) for each in seen["rows"]] == [["2", "3"], ["3", "3"], ["3"]]


def test_asset_that_hands_over_nothing_then_writes_nothing(here: Path) -> None:
    @dg.asset
    def nothing() -> None:
        return None

    materialize(here, nothing)

    assert not list(here.iterdir())
