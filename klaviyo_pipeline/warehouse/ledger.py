"""What has been landed: one row for each load, written in the transaction that landed its rows.

So "where the last run ended" can never disagree with the data, and travels with the file. The ledger is the
table ``klaviyo_pipeline.ledger`` of the same database.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline import clock
from klaviyo_pipeline.times import from_microseconds
from klaviyo_pipeline.warehouse.capabilities import capabilities_of
from klaviyo_pipeline.warehouse.tables import Column, Table, existing_columns, full_name, has_table, shape

if TYPE_CHECKING:
    import duckdb

    from klaviyo_pipeline.warehouse.interface import Warehouse

LEDGER = Table(
    "klaviyo_pipeline",
    "ledger",
    (
        Column("entry", "BIGINT", "Grows; the order in which the entries of a table were made"),
        Column("landed_at", "TIMESTAMPTZ", "When the load was committed"),
        Column("kind", "VARCHAR", "load, or rewind: the next run starts at window_end"),
        Column("source", "VARCHAR", "The source's name, as given to the load"),
        Column("table_name", "VARCHAR", "The table as schema.name"),
        Column("write_mode", "VARCHAR", "append, replace, replace_on_new_data or merge"),
        Column("filter_field", "VARCHAR", "The field that the window filters by"),
        Column("window_start", "TIMESTAMPTZ", "Inclusive start of the window; null: from the beginning"),
        Column("window_end", "TIMESTAMPTZ", "Exclusive end of the window; null: a read without a window"),
        Column("partitions", "JSON", "The partitions' [start, end] pairs, ISO 8601"),
        Column("rows_fetched", "BIGINT", "Rows fetched"),
        Column("rows_outside_window", "BIGINT", "Of these, rows outside the window or the partitions: not landed"),
        Column("rows_repeated", "BIGINT", "Of these, rows with the key of another fetched row: landed once"),
        Column("inserted", "BIGINT", "Rows that were new (in replace modes: all rows written)"),
        Column("updated", "BIGINT", "Rows rewritten because they had changed"),
        Column("unchanged", "BIGINT", "Rows not changed: equal, or the table had a newer version"),
        Column("deleted", "BIGINT", "Rows cleared by a replace, or marked deleted by a sweep"),
        Column("revived", "BIGINT", "Rows marked deleted that the load fetched again"),
        Column("total_rows", "BIGINT", "Rows in the table afterwards"),
        Column("requests", "BIGINT", "Requests that it took"),
        Column("run_id", "VARCHAR", "The run"),
        Column("extract_id", "VARCHAR", "The extract; one extract is appended to a table at most once"),
        Column("revision", "VARCHAR", "The API revision that answered"),
        Column("duration_s", "DOUBLE", "Seconds that the fetch took"),
        Column("details", "JSON", "More details of the load"),
        Column("data_source", "VARCHAR", "The data source of the rows"),
        Column("account", "VARCHAR", "Klaviyo's public id of the account, if it is known"),
        Column("account_key", "VARCHAR", "A hash of the API key and the address"),
    ),
    comment="The loads of klaviyo_pipeline into this database, one row for each load",
)


@dataclass(frozen=True)
class Entry:
    """One row of the ledger. Times are aware UTC; see the ledger table's column comments for the meanings."""

    kind: str
    source: str
    table_name: str | None = None
    write_mode: str | None = None
    filter_field: str | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    partitions: Sequence[tuple[datetime, datetime]] = ()
    rows_fetched: int | None = None
    rows_outside_window: int | None = None
    rows_repeated: int | None = None
    inserted: int | None = None
    updated: int | None = None
    unchanged: int | None = None
    deleted: int | None = None
    revived: int | None = None
    total_rows: int | None = None
    requests: int | None = None
    run_id: str | None = None
    extract_id: str | None = None
    revision: str | None = None
    duration_s: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    data_source: str | None = None
    account: str | None = None
    account_key: str | None = None
    landed_at: datetime | None = None
    entry: int | None = None

    @property
    def chosen(self) -> Mapping[str, str] | None:
        """What the load was limited to, ids with their names, such as metrics; None for a load of all rows."""
        found: Mapping[str, str] | None = self.details.get(CHOSEN)
        return found

    def is_about(self, filter_field: str | None, one: str | None = None) -> bool:
        """Whether the window is over this field, or over everything; and of all rows, or those of ``one``."""
        over = filter_field is None or self.filter_field in (None, filter_field)
        chosen = self.chosen
        return over and (chosen is None or (one is not None and (one in chosen or one in chosen.values())))


_GAP = 1 << 30
"""The entry column has room for eight thousand million such steps."""
Span = tuple[datetime | None, datetime]
"""A landed window, half-open; a start of None is from ever."""
_TIMES = ("landed_at", "window_start", "window_end")
PART = "part"
"""Under this name a line's details say which part of which load it is."""
CHOSEN = "chosen"
"""Under this name they say what the load was limited to."""
# Most lines say nothing of it: a search for the name is cheaper than reading the JSON of all of them.
_CHOSEN_OF = f"(CASE WHEN contains(details::VARCHAR, '\"{CHOSEN}\"') THEN details->'$.{CHOSEN}' END)"


def record(con: duckdb.DuckDBPyConnection, entry: Entry) -> None:
    """Writes one entry within the caller's transaction, creating the ledger where it is missing."""
    shape(con, LEDGER, LEDGER.columns)
    name = full_name(con, LEDGER.schema, LEDGER.name)
    names = [column.name for column in LEDGER.columns]
    values = {column: getattr(entry, column) for column in names if column != "entry"}
    values["landed_at"] = entry.landed_at or clock.now()
    values["partitions"] = json.dumps([[a.isoformat(), b.isoformat()] for a, b in entry.partitions])
    values["details"] = json.dumps(dict(entry.details), default=str)
    # What others commit meanwhile cannot be seen, so a gap leaves room for them: no two get the same number.
    step = 1 if capabilities_of(con).is_exclusive else 1 + secrets.randbelow(_GAP)
    con.execute(
        f"INSERT INTO {name} BY NAME SELECT ? AS entry, " + ", ".join(f"? AS {column}" for column in values),
        [_newest(con) + step, *values.values()],
    )


def entries(con: duckdb.DuckDBPyConnection) -> int:
    """How many entries there are, which every landing and rewind increases; 0 without a ledger."""
    if not has_table(con, LEDGER.schema, LEDGER.name):
        return 0
    return int(con.execute(f"SELECT count(*) FROM {full_name(con, LEDGER.schema, LEDGER.name)}").fetchall()[0][0])


def _newest(con: duckdb.DuckDBPyConnection) -> int:
    name = full_name(con, LEDGER.schema, LEDGER.name)
    return int(con.execute(f"SELECT coalesce(max(entry), 0) FROM {name}").fetchall()[0][0])


def was_landed(con: duckdb.DuckDBPyConnection, table: Table, extract_id: str) -> bool:
    """Whether this extract is in this table already."""
    if not has_table(con, LEDGER.schema, LEDGER.name):
        return False
    name = full_name(con, LEDGER.schema, LEDGER.name)
    found = con.execute(
        f"SELECT count(*) FROM {name} WHERE kind = 'load' AND table_name = ? AND extract_id = ?",
        [table.plain_name, extract_id],
    ).fetchall()
    return bool(found[0][0])


@dataclass(frozen=True)
class LastWindow:
    """Where the last window ended, and when its load was committed; None for a person's order to read from there."""

    end: datetime
    landed_at: datetime | None


@dataclass(frozen=True)
class Loads:
    """The loads of a source into a table since the last rewind that decide something, in order; and that rewind.

    ``earlier`` are such loads before the rewind.
    """

    entries: Sequence[Entry]
    rewound: Entry | None = None
    earlier: Sequence[Entry] = ()

    def last_end(
        self, filter_field: str | None = None, not_after: datetime | None = None, *, one: str | None = None
    ) -> datetime | None:
        """Where the next incremental run starts: the end of the `last_window`."""
        last = self.last_window(filter_field, not_after, one=one)
        return last.end if last is not None else None

    def last_window(
        self, filter_field: str | None = None, not_after: datetime | None = None, *, one: str | None = None
    ) -> LastWindow | None:
        """The window with the latest end.

        Args:
            filter_field: Count only windows over this field: a window over another says nothing about it.
            not_after: Count only loads that end by this time, the ``now`` with which the loads were read: one that
                ends after the present was made under a clock that was wrong, and says nothing about what has been read.
            one: Count loads of all rows, and those limited to this one, such as a metric, by id or name; None: only
                loads of all rows.

        Returns:
            The window of the loads; without such a load the rewind's target; without any of them None: everything is
            still to be read. Never limited to the present: that is the caller's job. A rewind says nothing of ``one``
            that was not loaded before it.
        """
        windows = [
            LastWindow(entry.window_end, entry.landed_at)
            for entry in self.entries
            if entry.window_end is not None and entry.is_about(filter_field, one)
            if not_after is None or entry.window_end <= not_after
        ]
        if windows:
            return max(windows, key=lambda window: window.end)
        target = self.rewound.window_end if self.rewound else None
        if one is not None and self.earlier and not any(entry.is_about(filter_field, one) for entry in self.earlier):
            return None
        return LastWindow(target, None) if target is not None else None

    def cut_off(self, of: str) -> Entry | None:
        """The last part that landed of a load that did not come to its end; None if there is no such load.

        A load that lands in parts says so in its lines' ``details``, under PART: of which load (``of``), and whether
        the part is the ``last``.
        """
        last = self._last_part(of)
        return last if last is not None and not last.details[PART]["last"] else None

    def ended(self, of: str) -> str | None:
        """The extract that was the last part of a load which came to its end; None if there is no such load."""
        last = self._last_part(of)
        return last.extract_id if last is not None and last.details[PART]["last"] else None

    def _last_part(self, of: str) -> Entry | None:
        found = [entry for entry in self.entries if entry.details.get(PART, {}).get("of") == of]
        return found[-1] if found else None


def loads_in(con: duckdb.DuckDBPyConnection, source: str, table: str, now: datetime | None = None) -> Loads:
    """The loads of a source into a table (``schema.name``), as far as they decide something.

    These are the parts of loads, and for each filter field, and for each set that loads were limited to, the loads
    whose windows end last: of all, and of those that end by ``now`` (aware); since the last rewind, and before it. So
    the cost does not grow with the age of the ledger; Klaviyo is never asked for less.
    """
    groups = f"entry >= rewound, filter_field, {_CHOSEN_OF}, window_end > $now"
    entries = _read(
        con,
        f"""
        WITH mine AS (
            SELECT *, coalesce(max(entry) FILTER (kind = 'rewind') OVER (), 0) AS rewound
            FROM {{ledger}} WHERE source = $source AND coalesce(table_name, $table) = $table
        )
        SELECT {{columns}} FROM mine
        WHERE entry = rewound OR (entry > rewound AND contains(details::VARCHAR, '"{PART}"')) OR entry IN (
            SELECT entry FROM mine WHERE kind = 'load' AND window_end IS NOT NULL
            QUALIFY row_number() OVER (PARTITION BY {groups} ORDER BY window_end DESC, entry) = 1
        )
        ORDER BY entry
        """,
        {"source": source, "table": table, "now": now or clock.now()},
    )
    position = next((place for place, entry in enumerate(entries) if entry.kind == "rewind"), None)
    if position is None:
        return Loads(entries)
    return Loads(entries[position + 1 :], entries[position], entries[:position])


def rewind(database: Warehouse, source: str, to: datetime, *, table: str | None = None) -> None:
    """Makes the next incremental run of a source start at ``to`` (aware), whatever was landed before.

    Args:
        database: The database; created if it is missing.
        source: The source's name.
        to: Where to start again.
        table: Only for this table (``schema.name``); by default for every table of the source.
    """
    database.transacting(lambda con: record(con, Entry("rewind", source, table_name=table, window_end=to)))


def history(database: Warehouse, source: str | None = None, *, limit: int = 100) -> list[Entry]:
    """The latest entries, newest first; of one source or of all. Empty where nothing was landed yet."""
    query = "SELECT {columns} FROM {ledger} WHERE source = coalesce($source, source) ORDER BY entry DESC LIMIT $limit"
    with database.reading_if_made() as con:
        return [] if con is None else _read(con, query, {"source": source, "limit": limit})


def coverage(
    database: Warehouse,
    source: str,
    table: str | None = None,
    *,
    filter_field: str | None = None,
    chosen: Collection[str] | None = None,
) -> list[Span]:
    """As `covered_in`, in a session of its own; none where there is no database yet."""
    with database.reading_if_made() as con:
        return [] if con is None else covered_in(con, source, table, filter_field=filter_field, chosen=chosen)


def covered_in(
    con: duckdb.DuckDBPyConnection,
    source: str,
    table: str | None = None,
    *,
    filter_field: str | None = None,
    chosen: Collection[str] | None = None,
    account_key: str | None = None,
) -> list[Span]:
    """The windows that were landed, merged where they touch or overlap, in order; a start of None: from ever.

    With a ``filter_field`` only windows over that field count, and reads of everything. With ``chosen`` ids or names,
    what has landed of every one of them; without, only loads that were limited to none count. With an
    ``account_key`` only loads of that key count.
    """
    if not existing_columns(con, LEDGER.schema, LEDGER.name):
        return []
    # As microseconds, and merged as such: there may be a line for each hour of many years.
    query = (
        "SELECT epoch_us(window_start) AS low, epoch_us(window_end) AS high "
        f"FROM {full_name(con, LEDGER.schema, LEDGER.name)} WHERE kind = 'load' AND source = $source "
        "AND table_name = coalesce($table, table_name) AND window_end IS NOT NULL "
        "AND coalesce(filter_field = $field OR $field IS NULL, true) AND coalesce(account_key = $key, $key IS NULL) "
        f"AND ({_CHOSEN_OF} IS NULL OR list_contains(json_keys({_CHOSEN_OF}), $one) "
        f"OR list_contains(json_extract_string(details, '$.{CHOSEN}.*'), $one)) ORDER BY low NULLS FIRST, high"
    )
    given = {"source": source, "table": table, "field": filter_field, "key": account_key}
    spans, *others = (_merged(con.execute(query, {**given, "one": one}).fetchall()) for one in (chosen or (None,)))
    for more in others:
        spans = _common(spans, more)
    return [(None if low is None else from_microseconds(low), from_microseconds(high)) for low, high in spans]


_Window = tuple[int | None, int]
"""A landed window in microseconds since 1970."""


def _merged(windows: Sequence[_Window]) -> list[_Window]:
    merged = list[_Window]()
    for low, high in windows:
        if merged and (low is None or low <= merged[-1][1]):
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return merged


def _common(some: Sequence[_Window], others: Sequence[_Window]) -> list[_Window]:
    """What lies in both."""
    found = (
        (other if one is None else one if other is None else max(one, other), min(end, other_end))
        for one, end in some
        for other, other_end in others
    )
    return [(start, end) for start, end in found if start is None or start < end]


def _read(con: duckdb.DuckDBPyConnection, query: str, parameters: Mapping[str, Any]) -> list[Entry]:
    """The entries of a query over ``{ledger}`` that selects ``{columns}``; none without a ledger."""
    there = {column.name for column in existing_columns(con, LEDGER.schema, LEDGER.name)}
    names = [column.name for column in LEDGER.columns if column.name in there]
    if not names:
        return []
    # As microseconds: fetching TIMESTAMPTZ as a Python value would need pytz.
    columns = ", ".join(f"epoch_us({name}) AS {name}" if name in _TIMES else name for name in names)
    rows = con.execute(
        query.format(columns=columns, ledger=full_name(con, LEDGER.schema, LEDGER.name)), parameters
    ).fetchall()
    return [_entry(dict(zip(names, row, strict=True))) for row in rows]


def _entry(values: dict[str, Any]) -> Entry:
    for name in _TIMES:
        microseconds = values.get(name)
        values[name] = None if microseconds is None else from_microseconds(microseconds)
    values["partitions"] = tuple(
        (datetime.fromisoformat(a), datetime.fromisoformat(b)) for a, b in json.loads(values.get("partitions") or "[]")
    )
    values["details"] = json.loads(values.get("details") or "{}")
    return Entry(**values)
