"""The events of a range of partitions, written together to Dagster's SQLite event log.

Dagster notes two events for each partition of a range, and its SQLite storage opens a database three times for each:
a year of days takes longer to note than to load. Dagster hands events over in batches if it is asked to
(DAGSTER_EVENT_BATCH_SIZE), but its SQLite storage then writes them one by one all the same. Here it gets what the
base class leaves open: a ``store_event_batch`` of its own, two transactions a batch. Other storages (Postgres) are
not touched.

Materializations of a range are noted within the same millisecond. Dagster's Events tab takes those for one, so each
gets a millisecond of its own.

Dagster also notes, for each check that a run of a range intends to make, a row for each partition, even where the
check has no partitions and is made once: thousands of rows for a year. Those become one row each.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import groupby

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.events import ASSET_EVENTS
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.base import EventLogStorage
from dagster._core.storage.sqlalchemy_compat import db_result

EVENT_BATCH_SIZE = 500


_MILLISECOND = 0.001
_made_once: set[dg.AssetCheckKey] = set()
_latest: dict[str, float] = {}
"""The time of the last materialization of the run whose events are being stored."""


def write_events_in_batches(checks: Iterable[dg.AssetsDefinition] = ()) -> None:
    """Have Dagster batch events, unless the environment or a newer Dagster sees to that itself.

    Args:
        checks: Those of these that have no partitions are noted as intended once a run.
    """
    _made_once.update(
        spec.key for each in checks for spec in each.check_specs if getattr(spec, "partitions_def", None) is None
    )
    if SqliteEventLogStorage.store_event_batch is EventLogStorage.store_event_batch:
        SqliteEventLogStorage.store_event_batch = _store_event_batch  # type: ignore[method-assign, assignment]
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(EVENT_BATCH_SIZE))


def _store_event_batch(storage: SqliteEventLogStorage, events: Sequence[EventLogEntry]) -> None:
    """Store events; those about assets together, others one by one."""
    events = [_at_its_own_time(_for_all_partitions(event)) for event in events]
    for (run_id, is_about_an_asset), group in groupby(events, key=lambda event: (event.run_id, _is_of_an_asset(event))):
        batch = list(group)
        if is_about_an_asset:
            _store_asset_events(storage, run_id, batch)
        else:
            for event in batch:
                storage.store_event(event)


def _store_asset_events(storage: SqliteEventLogStorage, run_id: str, events: Sequence[EventLogEntry]) -> None:
    statements = [storage.prepare_insert_event(event) for event in events]
    with storage.run_connection(run_id) as connection:
        for statement in statements:
            connection.execute(statement)
    with storage.index_transaction() as connection:
        ids = []
        for statement in statements:
            with db_result(connection, statement) as result:
                ids.append(result.inserted_primary_key[0])
        storage._store_asset_event_tags(connection, events, ids)
        # The asset's own row holds what was latest: the last event of each asset and kind decides.
        latest = {(event.get_dagster_event().asset_key, event.dagster_event_type): i for i, event in enumerate(events)}
        for i in sorted(latest.values()):
            storage._store_asset_event(connection, events[i], ids[i])


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
