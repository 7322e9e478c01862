"""Dagster's SQLite storage, for several processes that start at once and for runs over many partitions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from filelock import FileLock

from klaviyo_pipeline.orchestration.event_log import BatchedSqliteEventLog, can_batch
from klaviyo_pipeline.private_files import make_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dagster._serdes import ConfigurableClassData

_WAIT_S = 120


class LockedSqliteStorage(DagsterSqliteStorage):
    """Dagster's SQLite files, opened by one process at a time.

    Dagster creates its tables without a lock: of eight processes that start in an empty DAGSTER_HOME, most fail with
    "table runs already exists" or "database is locked". The lock is held while the files are created or opened, not
    while they are used. The event log is ``BatchedSqliteEventLog`` where this Dagster allows it, else Dagster's own.
    ``dagster.yaml`` names this class.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        make_folder(Path(base_dir))
        with FileLock(Path(base_dir) / ".opening.lock", timeout=_WAIT_S):
            super().__init__(base_dir, inst_data)
            if can_batch():
                theirs = self._event_log_storage
                self._event_log_storage = BatchedSqliteEventLog(theirs._base_dir)
                theirs.dispose()

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        """Dagster's own method returns its own class, whatever ``cls`` is."""
        return cls.from_local(config_value["base_dir"], inst_data)
