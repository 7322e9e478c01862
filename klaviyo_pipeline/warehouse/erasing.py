"""Erases a person from a database: their rows, what other rows say of them, and every byte of both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline import clock
from klaviyo_pipeline.people import Kind, Person, tokens
from klaviyo_pipeline.warehouse import erased, ledger
from klaviyo_pipeline.warehouse.interface import Warehouse, transaction
from klaviyo_pipeline.warehouse.person_rows import Found, Held, PlainTable, find, resolve
from klaviyo_pipeline.warehouse.purging import check_purgeable, purge
from klaviyo_pipeline.warehouse.rewriting import set_texts

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Erased:
    """What was erased from a database, or would be.

    Attributes:
        profiles: How many profiles the person had.
        rows: Rows that were removed, by table (``schema.name``).
        values: Values of other rows that were replaced by ``[erased]``, by table.
        person: The identifiers by which other places are searched.
    """

    profiles: int
    rows: dict[str, int]
    values: dict[str, int]
    person: Person = field(repr=False)


def erase(database: Warehouse, asked: Person, secret: bytes, *, dry_run: bool = False) -> Erased:
    """Erase a person in one transaction, then purge the database, so that no byte is left.

    Args:
        database: The database.
        asked: The identifiers that are known. The tables tell more.
        secret: The key of the hashes by which later loads leave the person out.
        dry_run: Only count.

    Raises:
        PrivacySecretError: The secret is not that of earlier hashes.
        StorageFullError: The disk has no room for a copy of the database. The person is erased, but old bytes stay.
        WarehouseError: The database cannot be purged, read or written.
    """
    check_purgeable(database)
    if dry_run:
        with database.reading() as con:
            held = resolve(con, asked, secret)
            return _counted(held, list(find(con, held, secret)))
    with database.writing() as con, transaction(con):
        held = resolve(con, asked, secret)
        found = list(find(con, held, secret))
        for each in found:
            _apply(con, each)
        erased.remember(con, secret, _tokens(held), clock.now())
        done = _counted(held, found)
        counts = {"tables": len(found), "rows": sum(done.rows.values()), "values": sum(done.values.values())}
        ledger.record(con, ledger.Entry("erase", "erase", deleted=counts["rows"], details=counts))
    purge(database)
    return done


def known_of(database: Warehouse, asked: Person, secret: bytes) -> Person:
    """The person with the identifiers that the tables tell, but for the ids of the accounts' own systems.

    Raises:
        WarehouseError: The database cannot be read.
    """
    with database.reading() as con:
        return resolve(con, asked, secret).person


def held_of(database: Warehouse, asked: Person, secret: bytes | None) -> dict[str, list[dict[str, Any]]]:
    """All rows of a person, and all that mention them, by table: column to value.

    Raises:
        WarehouseError: The database cannot be read.
    """
    with database.reading() as con:
        found = list(find(con, resolve(con, asked, secret), secret))
        return {_name(each.table): list(_rows(con, each)) for each in found}


def _rows(con: duckdb.DuckDBPyConnection, found: Found) -> Iterator[dict[str, Any]]:
    rows = con.execute(
        f"SELECT * FROM {found.table.full} WHERE rowid IN (SELECT unnest(?))", [[*found.mine, *found.mentions]]
    )
    names = [column[0] for column in rows.description or ()]
    yield from (dict(zip(names, row, strict=True)) for row in rows.fetchall())


def _apply(con: duckdb.DuckDBPyConnection, found: Found) -> None:
    full = found.table.full
    changes: dict[str, list[tuple[int, str | None]]] = {}
    for row, cells in found.mentions.items():
        for name, text in cells.items():
            changes.setdefault(name, []).append((row, text))
    for name, rows in changes.items():
        set_texts(con, full, name, rows)
    if found.mine:
        con.execute(f"DELETE FROM {full} WHERE rowid IN (SELECT unnest(?))", [found.mine])


def _tokens(held: Held) -> Iterator[tuple[str, str | None]]:
    for token in held.person.tokens:
        yield token, None
    for schema, ids in held.external_ids.items():
        for id_ in ids:
            yield from ((token, schema) for token in tokens(Kind.EXTERNAL, id_))


def _counted(held: Held, found: list[Found]) -> Erased:
    everything = held.person
    for ids in held.external_ids.values():
        everything |= Person(external_ids=ids)
    return Erased(
        profiles=len(held.person.profiles),
        rows={_name(each.table): len(each.mine) for each in found if each.mine},
        values={_name(each.table): sum(map(len, each.mentions.values())) for each in found if each.mentions},
        person=everything,
    )


def _name(table: PlainTable) -> str:
    return f"{table.schema}.{table.name}"
