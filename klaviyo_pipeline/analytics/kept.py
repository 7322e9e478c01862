"""The data that a table keeps between builds: its steps, in a DuckDB file beside the database.

Nobody else waits for this file. You can delete it at any time: the next build creates it again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote as in_a_path
from zoneinfo import ZoneInfo

from klaviyo_pipeline.analytics.loaded import MACROS, Fingerprint, Fingerprints
from klaviyo_pipeline.analytics.metric_roles import ROLES
from klaviyo_pipeline.analytics.steps import CAMPAIGN_MESSAGES, DAYS, Step, sql_of
from klaviyo_pipeline.warehouse.database import file_like
from klaviyo_pipeline.warehouse.errors import DatabaseFileError
from klaviyo_pipeline.warehouse.interface import transaction
from klaviyo_pipeline.warehouse.local_days import whole_rules
from klaviyo_pipeline.warehouse.sql import quote, quoted_list

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from klaviyo_pipeline.analytics.tables import AnalyticsTable
    from klaviyo_pipeline.warehouse.interface import Warehouse

_FORMAT = 1
"""Raised when files of older builds can't be read any more."""
_CAME, _STREAM = "_came", "_stream"


def kept_folder(database: Warehouse) -> Path:
    """The folder of these files of a database."""
    return Path(f"{database.local}.analytics")


@contextmanager
def opened(database: Warehouse, table: AnalyticsTable, schema: str, zone: ZoneInfo) -> Iterator[Kept]:
    """Open the file of a table, alone. Empties it if its definition or time zone changed.

    Raises:
        WarehouseError: if the file cannot be written.
    """
    file = kept_folder(database) / in_a_path(schema, safe="") / f"{table.name}.duckdb"
    definition = _definition(table, zone)
    beside = file_like(database, file)
    if file.exists() and _definition_in(beside) != definition:
        file.unlink(missing_ok=True)
        Path(f"{file}.wal").unlink(missing_ok=True)
    with beside.writing() as con:
        yield Kept(con, table, definition)


def _definition_in(beside: Warehouse) -> str | None:
    """The definition in a file; None if the file is damaged or incomplete."""
    import duckdb

    try:
        with beside.reading() as con:
            rows = con.execute("SELECT value FROM notes WHERE name = 'definition'").fetchall()
    except (DatabaseFileError, duckdb.Error):
        return None
    return rows[0][0] if rows else None


def _definition(table: AnalyticsTable, zone: ZoneInfo) -> str:
    """A hash of everything that decides the rows, except the loaded tables."""
    texts = [str(_FORMAT), zone.key, whole_rules(zone), repr(DAYS), repr(table.columns), repr(ROLES), *MACROS]
    return hashlib.sha256("\0".join([*texts, *map(sql_of, table.files)]).encode()).hexdigest()


class Kept:
    """The steps of one table, from the last copy of each day."""

    def __init__(self, con: duckdb.DuckDBPyConnection, table: AnalyticsTable, definition: str) -> None:
        self._con, self._table = con, table
        con.execute("CREATE TABLE IF NOT EXISTS notes (name VARCHAR, value VARCHAR)")
        con.execute("CREATE TABLE IF NOT EXISTS fingerprints (source VARCHAR, day DATE, rows BIGINT, hashes VARCHAR)")
        con.execute("CREATE TABLE IF NOT EXISTS touched (key VARCHAR)")
        self.note("definition", definition)

    def note(self, name: str, value: str) -> None:
        """Keep a value by its name."""
        self._con.execute("DELETE FROM notes WHERE name = ?", [name])
        self._con.execute("INSERT INTO notes VALUES (?, ?)", [name, value])

    def noted(self, name: str) -> str | None:
        """The value that was kept by a name."""
        rows = self._con.execute("SELECT value FROM notes WHERE name = ?", [name]).fetchall()
        return rows[0][0] if rows else None

    def fingerprints(self, source: str) -> Fingerprints:
        """The fingerprints of the days that are kept."""
        found = self._con.execute("SELECT day, rows, hashes FROM fingerprints WHERE source = ?", [source]).fetchall()
        return {day: Fingerprint(rows, hashes) for day, rows, hashes in found}

    def change_roles(self, roles: dict[str, str], stale: Iterable[date | None]) -> None:
        """Note the roles of metrics, and that these days were made by others."""
        with transaction(self._con):
            self.note("roles", json.dumps(roles))
            for day in stale:
                self._con.execute("UPDATE fingerprints SET hashes = '' WHERE day IS NOT DISTINCT FROM ?", [day])

    @property
    def roles(self) -> dict[str, str]:
        """The roles of metrics by which the days were made."""
        roles: dict[str, str] = json.loads(self.noted("roles") or "{}")
        return roles

    def lacks(self, step: Step) -> bool:
        """Whether there is no table for the step's rows yet."""
        return not self._con.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [step.name]).fetchall()

    def prepare(self, step: Step, rows: pa.RecordBatchReader) -> None:
        """Make the table for a step's rows, by some rows of it or none."""
        with self._arriving(step, rows):
            pass

    @property
    def is_settled(self) -> bool:
        """Whether all that is kept has been swapped in."""
        return self.noted("unsettled") is None

    def replace_whole(self, step: Step, rows: pa.RecordBatchReader) -> None:
        """Replace all rows of a step, and note what those touch that came or went."""
        with self._arriving(step, rows) as kept, transaction(self._con):
            changes = [f"(FROM {one} EXCEPT ALL FROM {other})" for one, other in ((kept, _CAME), (_CAME, kept))]
            if not any(self._con.execute(f"SELECT 1 FROM {rows} LIMIT 1").fetchall() for rows in changes):
                return
            self.note("unsettled", "")
            for changed in changes:
                self._touch(step, changed)
            self._con.execute(f"DELETE FROM {kept}")
            self._con.execute(f"INSERT INTO {kept} FROM {_CAME}")

    def replace_days(
        self,
        source: str,
        first: date | None,
        last: date | None,
        came: Iterable[tuple[Step, pa.RecordBatchReader]],
        fingerprints: Fingerprints,
    ) -> None:
        """Replace the days from first to last in each step of a loaded table, and note what they touch."""
        among, bounds = ("day IS NULL", []) if first is None else ("day BETWEEN ? AND ?", [first, last])
        with transaction(self._con):
            self.note("unsettled", "")
            for step, rows in came:
                with self._arriving(step, rows) as kept:
                    self._touch(step, f"(FROM {kept} WHERE {among})", bounds)
                    self._touch(step, _CAME)
                    self._con.execute(f"DELETE FROM {kept} WHERE {among}", bounds)
                    self._con.execute(f"INSERT INTO {kept} BY NAME FROM {_CAME}")
            self._con.execute(f"DELETE FROM fingerprints WHERE source = ? AND {among}", [source, *bounds])
            self._con.register(_STREAM, _as_rows(source, fingerprints))
            self._con.execute(f"INSERT INTO fingerprints BY NAME FROM {_STREAM}")
            self._con.unregister(_STREAM)

    def make(self, *, whole: bool) -> None:
        """Make the table's rows as ``fresh``, those that were touched or all; ``scope`` has the touched keys."""
        table, scoped = self._table, not whole and self._table.part_key is not None
        self._con.execute("CREATE OR REPLACE TEMP TABLE scope AS SELECT DISTINCT key FROM touched")
        if table.part:
            self._make_part(table.part, table.part_key or "")
        for view in table.views:
            self._con.execute(f"CREATE OR REPLACE TEMP VIEW {quote(view)} AS {sql_of(view)}")
        within = "wanted IN (SELECT key FROM scope)" if scoped and not table.part else "true"
        self._con.execute(f"CREATE OR REPLACE TEMP MACRO in_scope(wanted) AS {within}")
        names = quoted_list(column.name for column in table.columns)
        self._con.execute(f"CREATE OR REPLACE TEMP TABLE fresh AS SELECT {names} FROM ({table.sql})")

    def settle(self, build: str) -> None:
        """Note that the rows have been swapped in, by which build."""
        with transaction(self._con):
            self._con.execute("DELETE FROM touched")
            self._con.execute("DELETE FROM notes WHERE name = 'unsettled'")
            self.note("build", build)

    def rows(self, table: str) -> pa.RecordBatchReader:
        """The rows of ``fresh`` or ``scope``."""
        return self._con.sql(f"FROM {quote(table)}").to_arrow_reader()

    def _make_part(self, part: str, key: str) -> None:
        """Make the touched keys of a part anew. A message that was touched touches its campaign."""
        if CAMPAIGN_MESSAGES in self._table.steps:
            self._con.execute(
                "INSERT INTO scope SELECT DISTINCT campaign_id FROM campaign_messages "
                "WHERE message_id IN (SELECT key FROM touched) AND campaign_id NOT IN (SELECT key FROM touched)"
            )
        self._con.execute("CREATE OR REPLACE TEMP MACRO in_scope(wanted) AS wanted IN (SELECT key FROM scope)")
        with transaction(self._con):
            self._con.execute(f"CREATE TABLE IF NOT EXISTS {part} AS FROM ({sql_of(part)}) LIMIT 0")
            self._con.execute(f"DELETE FROM {part} WHERE {key} IN (SELECT key FROM scope)")
            self._con.execute(f"INSERT INTO {part} {sql_of(part)}")

    def _touch(self, step: Step, rows: str, bounds: Sequence[Any] = ()) -> None:
        for column in step.touches:
            self._con.execute(
                f"INSERT INTO touched SELECT DISTINCT {column} FROM {rows} "
                f"WHERE {column} IS NOT NULL AND {column} NOT IN (SELECT key FROM touched)",
                list(bounds),
            )

    @contextmanager
    def _arriving(self, step: Step, rows: pa.RecordBatchReader) -> Iterator[str]:
        """Rows as ``_came``, and the name of the table that keeps the step's."""
        self._con.register(_STREAM, rows)
        self._con.execute(f"CREATE OR REPLACE TEMP TABLE {_CAME} AS FROM {_STREAM}")
        self._con.unregister(_STREAM)
        self._con.execute(f"CREATE TABLE IF NOT EXISTS {step.name} AS FROM {_CAME} LIMIT 0")
        yield step.name
        self._con.execute(f"DROP TABLE {_CAME}")


def _as_rows(source: str, fingerprints: Fingerprints) -> pa.Table:
    import pyarrow as pa

    found = fingerprints.values()
    return pa.table(
        {
            "source": pa.array([source] * len(found), pa.string()),
            "day": pa.array(fingerprints, pa.date32()),
            "rows": pa.array([each.rows for each in found], pa.int64()),
            "hashes": pa.array([each.hashes for each in found], pa.string()),
        }
    )
