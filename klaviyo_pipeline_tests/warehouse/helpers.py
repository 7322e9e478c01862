"""A small table of events, and short ways to land and look at it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from klaviyo_pipeline.warehouse.interface import Warehouse
from klaviyo_pipeline.warehouse.landing import LandingResult, LandRequest, land
from klaviyo_pipeline.warehouse.ledger import Loads, loads_in
from klaviyo_pipeline.warehouse.sql import quote
from klaviyo_pipeline.warehouse.tables import Column, Table, existing_columns, full_name
from klaviyo_pipeline.warehouse.write_modes import WriteMode

EVENTS = Table(
    "klaviyo",
    "events",
    (
        Column("id", "VARCHAR", "The event's id"),
        Column("at", "TIMESTAMPTZ", "When it happened"),
        Column("updated", "TIMESTAMPTZ"),
        Column("value", "BIGINT"),
        Column("props", "JSON"),
        Column("_extra", "JSON"),
    ),
    primary_key=("id",),
    comment="What people did",
)

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("at", pa.timestamp("us", "UTC")),
        ("updated", pa.timestamp("us", "UTC")),
        ("value", pa.int64()),
        ("props", pa.string()),
        ("_extra", pa.string()),
    ]
)


def day(number: int, hour: int = 0) -> datetime:
    return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=number - 1, hours=hour)


def event(id: str | None, at: int = 1, *, updated: int = 1, value: int = 0, props: str = "{}") -> dict[str, Any]:
    return {"id": id, "at": day(at), "updated": day(updated), "value": value, "props": props, "_extra": None}


def arrow(rows: Iterable[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


def load_of(rows: Any, mode: WriteMode | str = "merge", **options: Any) -> LandRequest:
    defaults: dict[str, Any] = {"table": EVENTS, "source": "events", "run_id": "run", "extract_id": "extract"}
    return LandRequest(
        rows=arrow(rows) if isinstance(rows, list) else rows, mode=WriteMode(mode), **{**defaults, **options}
    )


def put(database: Warehouse, rows: Any, mode: WriteMode | str = "merge", **options: Any) -> LandingResult:
    return land(database, load_of(rows, mode, **options))


def query(database: Warehouse, sql: str) -> list[tuple[Any, ...]]:
    with database.reading() as con:
        return con.execute(sql).fetchall()


def contents(database: Warehouse, table: Table = EVENTS, *, system: bool = False) -> list[dict[str, Any]]:
    """All rows, ordered; with ``system`` also the pipeline's own columns."""
    with database.reading() as con:
        names = [column.name for column in existing_columns(con, table.schema, table.name)]
        chosen = [name for name in names if system or name not in ("_loaded_at", "_run_id", "_deleted_at")]
        sql = f"SELECT {', '.join(map(quote, chosen))} FROM {full_name(con, table.schema, table.name)} ORDER BY ALL"
        return [dict(zip(chosen, row, strict=True)) for row in con.execute(sql).fetchall()]


def ids(database: Warehouse, where: str = "true") -> list[str]:
    with database.reading() as con:
        name = full_name(con, EVENTS.schema, EVENTS.name)
        return [row[0] for row in con.execute(f"SELECT id FROM {name} WHERE {where} ORDER BY id").fetchall()]


def digest(database: Warehouse, table: Table = EVENTS) -> str:
    """Of everything in the table, the pipeline's own columns too."""
    return hashlib.sha256(repr(contents(database, table, system=True)).encode()).hexdigest()


def loads_of(database: Warehouse, source: str, table: str, now: datetime | None = None) -> Loads:
    """The loads of a source into a table; none where there is no database yet."""
    if not database.exists():
        return Loads(())
    with database.reading() as con:
        return loads_in(con, source, table, now)
