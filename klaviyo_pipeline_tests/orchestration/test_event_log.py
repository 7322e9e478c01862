"""Events of a range of partitions are written together, and nothing that Dagster reads of them is lost."""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage

from klaviyo_pipeline.orchestration import event_log
from klaviyo_pipeline.orchestration.dagster_storage import LockedSqliteStorage

DAYS = dg.DailyPartitionsDefinition("2026-01-01")
RANGE = {"dagster/asset_partition_range_start": "2026-01-03", "dagster/asset_partition_range_end": "2026-03-01"}


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def counted() -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata={"rows": 7}, tags={"made": "here"})


def _instance(folder: Path) -> AbstractContextManager[dg.DagsterInstance]:
    """An instance with the storage that our dagster.yaml names."""
    custom = {"module": LockedSqliteStorage.__module__, "class": LockedSqliteStorage.__name__}
    storage = {"storage": {"custom": {**custom, "config": {"base_dir": str(folder)}}}}
    return dg.DagsterInstance.local_temp(str(folder), overrides=storage)


def _run(folder: Path) -> tuple[dict[str, object], int]:
    """What Dagster knows after a range was materialized, and how often the storage was opened to note it."""
    folder.mkdir()
    opened = 0
    original = SqliteEventLogStorage._connect

    def counting(self: SqliteEventLogStorage, shard: str) -> object:
        nonlocal opened
        opened += 1
        return original(self, shard)

    with pytest.MonkeyPatch.context() as patch, _instance(folder) as instance:
        patch.setattr(SqliteEventLogStorage, "_connect", counting)
        result = dg.materialize([counted], instance=instance, tags=RANGE)
        times = opened
        event = instance.get_latest_materialization_event(counted.key)
        assert event is not None
        assert event.asset_materialization is not None
        known = {
            "partitions": sorted(instance.get_materialized_partitions(counted.key)),
            "events": [each.event_type_value for each in result.all_events],
            "stored": sorted(
                str(each.dagster_event_type) for each in instance.all_logs(result.run_id) if each.is_dagster_event
            ),
            "rows": event.asset_materialization.metadata["rows"].value,
            "tags": event.asset_materialization.tags["made"],
            "latest": event.asset_materialization.partition,
        }
        return known, times


def test_range_when_events_are_batched_then_dagster_knows_the_same_for_far_fewer_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "0")
    one_by_one, many = _run(tmp_path / "one")
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "25")

    batched, few = _run(tmp_path / "batched")

    assert batched == one_by_one
    assert len(batched["partitions"]) == 58  # type: ignore[arg-type]
    assert few < many / 3


def test_range_when_dagster_has_not_what_a_batch_needs_then_its_own_event_log_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "_NEEDED", ("a_method_of_another_dagster",))
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "0")
    with _instance(tmp_path) as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage
        dg.materialize([counted], instance=instance, tags=RANGE)
        assert len(instance.get_materialized_partitions(counted.key)) == 58


def test_materializations_of_a_range_have_times_of_their_own_to_the_millisecond(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "25")
    with _instance(tmp_path) as instance:
        dg.materialize([counted], instance=instance, tags=RANGE)
        records = instance.fetch_materializations(counted.key, limit=100, ascending=True).records
    # The Events tab gets times in milliseconds, and shows one materialization for each.
    times = [int(each.timestamp * 1000) for each in records]
    assert len(set(times)) == len(records) == 58
    assert times == sorted(times)


def test_range_when_a_check_has_no_partitions_then_it_is_noted_once_and_decided(tmp_path: Path) -> None:
    @dg.asset_check(asset=counted)
    def counts() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    event_log.record_once([counts])
    with _instance(tmp_path) as instance:
        dg.materialize([counted, counts], instance=instance, tags=RANGE)
        key = dg.AssetCheckKey(counted.key, "counts")
        noted = instance.event_log_storage.get_asset_check_execution_history(key, limit=100)
    assert [(each.status.value, each.partition) for each in noted] == [("SUCCEEDED", None)]


def test_file_of_a_run_when_copied_from_the_first_one_then_is_as_dagster_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    original = SqliteEventLogStorage._initdb

    def counting(self: SqliteEventLogStorage, engine: Any, for_index_shard: bool = False) -> None:
        made.append(Path(str(engine.url.database)).name)
        original(self, engine, for_index_shard)

    monkeypatch.setattr(SqliteEventLogStorage, "_initdb", counting)
    with _instance(tmp_path) as instance:
        first, second, third = (dg.materialize([counted], instance=instance, partition_key="2026-01-03") for _ in "123")
        assert [each.event_type_value for each in third.all_events] == [
            str(each.dagster_event_type and each.dagster_event_type.value)
            for each in instance.all_logs(third.run_id)
            if each.is_dagster_event
        ][-len(third.all_events) :]
        storage = instance.event_log_storage
        files = [Path(storage.path_for_shard(each.run_id)) for each in (first, second)]
    assert made.count(files[0].name) == 1
    assert files[1].name not in made
    about = "SELECT type, name, sql FROM sqlite_schema ORDER BY name", "SELECT * FROM alembic_version"
    read = []
    for file in files:
        with closing(sqlite3.connect(file)) as con:
            read.append([con.execute(query).fetchall() for query in (*about, "PRAGMA journal_mode")])
    assert read[0] == read[1]
    assert not list(files[0].parent.glob("*.part"))


def test_file_of_a_run_when_processes_make_it_at_once_then_is_made_once(tmp_path: Path) -> None:
    with _instance(tmp_path) as instance:
        dg.materialize([counted], instance=instance, partition_key="2026-01-03")
        storage = instance.event_log_storage
        model = next(Path(storage._base_dir).glob(".new-run.*"))
        event_log._copy(model, tmp_path / "run.db")
        with pytest.raises(FileExistsError):
            event_log._copy(model, tmp_path / "run.db")
    assert sorted(each.name for each in tmp_path.glob("run.db*")) == ["run.db"]
