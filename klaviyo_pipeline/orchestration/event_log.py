"""Dagster's SQLite event log, which writes the events of a range of partitions together.

Dagster records two events for each partition of a range, and its own SQLite event log opens a database three times
for each: a year of days takes longer to record than to load. Dagster hands events over in batches if
DAGSTER_EVENT_BATCH_SIZE asks for it, but its own event log then writes them one by one all the same. The class here
writes a batch in two transactions.

Dagster's Events tab shows one materialization for each millisecond. So each one gets a millisecond of its own.

For each check that a run of a range intends to make, Dagster also records a row for each partition, even where the
check has no partitions and is made once. The class here records one row for such a check.

Dagster keeps the events of each run in a file of its own, and reads ninety scripts of migrations twice to make one
(0.2 s of CPU time). The class here makes the first file so, and copies it for later runs.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.events import ASSET_EVENTS
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.base import EventLogStorage
from dagster._core.storage.sqlalchemy_compat import db_result

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

_BATCH_SIZE = 500
_MILLISECOND = 0.001
_NEEDED = (
    "prepare_insert_event",
    "run_connection",
    "index_transaction",
    "_store_asset_event_tags",
    "_store_asset_event",
    "_initdb",
)
"""Methods of Dagster's own event log that a batch uses."""
_made_once: set[dg.AssetCheckKey] = set()
_latest: dict[str, float] = {}
"""The time of the last materialization of the run whose events are being stored."""


def record_once(checks: Iterable[dg.AssetsDefinition]) -> None:
    """Have those of these checks that have no partitions recorded as intended once a run, not once a partition."""
    _made_once.update(
        spec.key for each in checks for spec in each.check_specs if getattr(spec, "partitions_def", None) is None
    )


class BatchedSqliteEventLog(SqliteEventLogStorage):
    """Dagster's SQLite event log with a ``store_event_batch`` of its own."""

    def __init__(self, base_dir: str) -> None:
        super().__init__(base_dir)
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(_BATCH_SIZE))

    def _initdb(self, engine: Engine, for_index_shard: bool = False) -> None:
        """Make the file of a run or of all assets, unless it is there."""
        file = engine.url.database
        if for_index_shard or not file or Path(file).exists():
            super()._initdb(engine, for_index_shard)
            return
        # Another Dagster may have other tables.
        model = Path(self._base_dir) / f".new-run.{dg.__version__}"
        if not model.exists():
            super()._initdb(engine)
            _copy(file, model)
        else:
            with suppress(FileExistsError):  # another process of the run was faster
                _copy(model, file)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events: those about assets together, others one by one."""
        prepared = [_at_its_own_time(_for_all_partitions(event)) for event in events]
        for (run_id, is_about_an_asset), group in groupby(prepared, lambda each: (each.run_id, _is_of_an_asset(each))):
            batch = list(group)
            if is_about_an_asset:
                self._store_asset_events(run_id, batch)
            else:
                for event in batch:
                    self.store_event(event)

    def _store_asset_events(self, run_id: str, events: Sequence[EventLogEntry]) -> None:
        statements = [self.prepare_insert_event(event) for event in events]
        with self.run_connection(run_id) as connection:
            for statement in statements:
                connection.execute(statement)
        with self.index_transaction() as connection:
            ids = []
            for statement in statements:
                with db_result(connection, statement) as result:
                    ids.append(result.inserted_primary_key[0])
            self._store_asset_event_tags(connection, events, ids)
            # The asset's own row holds what was latest: the last event of each asset and kind decides.
            latest = {
                (event.get_dagster_event().asset_key, event.dagster_event_type): i for i, event in enumerate(events)
            }
            for i in sorted(latest.values()):
                self._store_asset_event(connection, events[i], ids[i])


def can_batch() -> bool:
    """Whether this Dagster has the methods that the class builds on, and no batches of its own."""
    theirs = SqliteEventLogStorage
    return theirs.store_event_batch is EventLogStorage.store_event_batch and all(
        hasattr(theirs, each) for each in _NEEDED
    )


def _copy(source: str | Path, target: str | Path) -> None:
    """Copy an SQLite file. The copy appears as a whole.

    Raises:
        FileExistsError: There is such a file.
    """
    part = Path(f"{target}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(source)) as theirs, closing(sqlite3.connect(part)) as ours:
            theirs.backup(ours)
            ours.execute("PRAGMA journal_mode = WAL")  # as Dagster has it
        Path(target).hardlink_to(part)
    finally:
        part.unlink(missing_ok=True)


def _is_of_an_asset(event: EventLogEntry) -> bool:
    return event.is_dagster_event and event.dagster_event_type in ASSET_EVENTS


def _at_its_own_time(event: EventLogEntry) -> EventLogEntry:
    """A materialization, at least a millisecond after the run's last one."""
    if event.dagster_event_type is not dg.DagsterEventType.ASSET_MATERIALIZATION:
        return event
    earliest = _latest.get(event.run_id, 0.0) + _MILLISECOND
    event = event._replace(timestamp=max(event.timestamp, earliest))
    _latest.clear()
    _latest[event.run_id] = event.timestamp
    return event


def _for_all_partitions(event: EventLogEntry) -> EventLogEntry:
    """An intended check without partitions, said to be without."""
    about = event.dagster_event
    planned = about.event_specific_data if about else None
    if not isinstance(planned, AssetCheckEvaluationPlanned) or planned.asset_check_key not in _made_once:
        return event
    assert about is not None
    once = AssetCheckEvaluationPlanned(asset_key=planned.asset_key, check_name=planned.check_name)
    return event._replace(dagster_event=about._replace(event_specific_data=once))
