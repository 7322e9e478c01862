"""What runs of a transfer did: from Dagster's run storage, and from the ledger in the database that it loads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from klaviyo_pipeline.orchestration.failures import reason_of_run
from klaviyo_pipeline.transfers.loading import TAG, ledger_name

if TYPE_CHECKING:
    import dagster as dg

    from klaviyo_pipeline.warehouse.interface import Warehouse
    from klaviyo_pipeline.warehouse.ledger import Entry


@dataclass(frozen=True)
class HistoryRow:
    """One run. What only the ledger or only Dagster knows is None where the other has nothing of the run.

    ``error`` says why it failed; blank if it did not.
    """

    run_id: str
    status: str
    rows: int | None
    inserted: int | None
    updated: int | None
    deleted: int | None
    started: datetime | None
    ended: datetime | None
    window_start: datetime | None
    window_end: datetime | None
    tick: str | None = None
    error: str = ""

    @property
    def duration_s(self) -> float | None:
        """How long the run took."""
        return (self.ended - self.started).total_seconds() if self.started and self.ended else None


def history(name: str, instance: dg.DagsterInstance, database: Warehouse, limit: int = 20) -> list[HistoryRow]:
    """The latest runs of a transfer, newest first.

    Runs that Dagster has no record of, such as runs in CI, come from the ledger alone.
    """
    import dagster as dg

    landed: dict[str, Entry] = {}
    for entry in ledger_entries(name, database, limit):
        if entry.run_id:
            landed.setdefault(entry.run_id, entry)
    by_tag = instance.get_run_records(dg.RunsFilter(tags={TAG: name}), limit=limit)
    known = {record.dagster_run.run_id: record for record in by_tag}
    others = [run_id for run_id in landed if run_id not in known]
    if others:
        known |= {each.dagster_run.run_id: each for each in instance.get_run_records(dg.RunsFilter(run_ids=others))}
    rows = []
    for run_id in {*known, *landed}:
        record, line = known.get(run_id), landed.get(run_id)
        status = record.dagster_run.status.value.lower() if record else "success"
        created = record.create_timestamp if record else None
        rows.append(
            HistoryRow(
                run_id=run_id,
                status=status,
                rows=line.rows_fetched if line else None,
                inserted=line.inserted if line else None,
                updated=line.updated if line else None,
                deleted=line.deleted if line else None,
                started=_time(record.start_time) or created if record else None,
                ended=_time(record.end_time) if record else line.landed_at if line else None,
                window_start=line.window_start if line else None,
                window_end=line.window_end if line else None,
                tick=record.dagster_run.tags.get("klaviyo/tick") if record else None,
                error=reason_of_run(instance, run_id) if status == "failure" else "",
            )
        )
    oldest = datetime(1970, 1, 1, tzinfo=UTC)
    return sorted(rows, key=lambda row: row.started or row.ended or oldest, reverse=True)[:limit]


def ledger_entries(name: str, database: Warehouse, limit: int) -> list[Entry]:
    """A transfer's lines in the ledger, newest first; none without a database."""
    from klaviyo_pipeline.warehouse import ledger

    return [entry for entry in ledger.history(database, ledger_name(name), limit=limit) if entry.kind == "load"]


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
