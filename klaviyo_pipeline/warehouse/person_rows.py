"""Everything that a database has of a person: rows that are theirs, and values of other rows that mention them.

A row is a person's if it names their profile, is about one of their events, or has their address or phone number in
a column for it. Of other rows, each text and each JSON value counts that has one of their identifiers in it, in any
spelling. SQL finds the rows that may be meant; Python decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline.people import ERASED as ERASED_TEXT
from klaviyo_pipeline.people import HASH_DIGITS, UNUSUAL, Kind, People, Person, folded, pattern
from klaviyo_pipeline.warehouse.erased import ERASED
from klaviyo_pipeline.warehouse.sql import fold, qualified, quote, quoted_list

if TYPE_CHECKING:
    import duckdb

_INTERNAL = "klaviyo_pipeline"
_CONTACTS = {
    "email": Kind.EMAIL,
    "profile_email": Kind.EMAIL,
    "phone_number": Kind.PHONE,
    "profile_phone_number": Kind.PHONE,
    "external_id": Kind.EXTERNAL,
    "profile_external_id": Kind.EXTERNAL,
}
_OF_A_PERSON = {"profile_id", "first_name", "last_name", "profile_email", "author", "phone_number"}
"""A table with one of these columns has rows about people, so an address in it says whose row it is."""
_BATCH = 2_000
_HASH = re.compile(f"[0-9a-f]{{{HASH_DIGITS}}}")
EVENTS = "temp.main._klaviyo_pipeline_events_of_person"


@dataclass(frozen=True)
class PlainTable:
    """A table of the file: its columns with their types."""

    schema: str
    name: str
    columns: Mapping[str, str]

    @property
    def full(self) -> str:
        """Its quoted name."""
        return qualified(self.schema, self.name)

    @property
    def texts(self) -> list[str]:
        """The columns that may hold text."""
        nested = ("STRUCT", "MAP", "UNION", "ENUM")
        return [
            name
            for name, kind in self.columns.items()
            if kind in ("VARCHAR", "JSON") or kind.endswith("]") or kind.startswith(nested)
        ]

    @property
    def is_about_people(self) -> bool:
        """Whether an address in a row says whose row it is."""
        return bool(_OF_A_PERSON.intersection(self.columns))

    @property
    def contacts(self) -> dict[str, Kind]:
        """The columns that say whose a row is by what they hold."""
        return {name: _CONTACTS[name] for name in self.columns if name in _CONTACTS} if self.is_about_people else {}

    @property
    def id_column(self) -> str | None:
        """The column with the id of a profile, where contacts stand beside it."""
        if not self.contacts:
            return None
        return "profile_id" if "profile_id" in self.columns else "id" if "id" in self.columns else None


@dataclass(frozen=True)
class Held:
    """A person, as a database knows them. External ids count in the schema that they were found in."""

    person: Person
    external_ids: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def in_schema(self, schema: str) -> Person:
        """The person, with the external ids of a schema and of its analytics."""
        ids = [ids for name, ids in self.external_ids.items() if schema in (name, f"{name}_analytics")]
        return replace(self.person, external_ids=self.person.external_ids.union(*ids))


@dataclass
class Found:
    """What a table has of a person: ids of rows that are theirs, and by row the values to be changed, by column."""

    table: PlainTable
    mine: list[int] = field(default_factory=list)
    mentions: dict[int, dict[str, str | None]] = field(default_factory=dict)


def tables_of(con: duckdb.DuckDBPyConnection) -> list[PlainTable]:
    """The tables of the file in use; those with profiles and events before those that name events."""
    rows = con.execute(
        "SELECT c.schema_name, c.table_name, c.column_name, c.data_type FROM duckdb_columns() AS c "
        "SEMI JOIN duckdb_tables() AS t ON t.table_oid = c.table_oid AND t.database_name = c.database_name "
        "WHERE c.database_name = current_database() AND NOT c.internal "
        "ORDER BY c.schema_name, c.table_name, column_index"
    ).fetchall()
    found: dict[tuple[str, str], dict[str, str]] = {}
    for schema, name, column, kind in rows:
        found.setdefault((schema, name), {})[column] = kind
    tables = [
        PlainTable(schema, name, columns)
        for (schema, name), columns in found.items()
        if (schema, name) != (ERASED.schema, ERASED.name)
    ]
    return sorted(tables, key=lambda table: "event_id" in table.columns)


def resolve(con: duckdb.DuckDBPyConnection, asked: Person, secret: bytes | None) -> Held:
    """The person with all identifiers that the tables have of them.

    A profile with the same mailbox or phone number is the same person. An id of the account's own system counts where
    it was asked for, and for the account that it was found in.
    """
    held = Held(asked)
    tables = [table for table in tables_of(con) if table.id_column]
    while True:
        before = held
        for table in tables:
            held = _resolved_in(con, table, held, secret)
        if held == before:
            return held


def _resolved_in(con: duckdb.DuckDBPyConnection, table: PlainTable, held: Held, secret: bytes | None) -> Held:
    people = held.in_schema(table.schema).known(secret)
    contacts = table.contacts
    query = f"SELECT DISTINCT {quoted_list([str(table.id_column), *contacts])} FROM {table.full}"
    rows = con.execute(query)
    found = Person()
    external = set(held.external_ids.get(table.schema, ()))
    for id_, *values in _rows(rows):
        texts = {kind: value for kind, value in zip(contacts.values(), values, strict=True) if isinstance(value, str)}
        is_theirs = isinstance(id_, str) and people.has(Kind.PROFILE, id_)
        if not is_theirs and not any(people.has(kind, value) for kind, value in texts.items()):
            continue
        plain_texts = {kind: text for kind, text in texts.items() if not _HASH.fullmatch(text)}
        found |= Person(
            frozenset({id_} if isinstance(id_, str) else ()),
            frozenset({plain_texts[Kind.EMAIL]} if Kind.EMAIL in plain_texts else ()),
            frozenset({plain_texts[Kind.PHONE]} if Kind.PHONE in plain_texts else ()),
        )
        external |= {plain_texts[Kind.EXTERNAL]} if Kind.EXTERNAL in plain_texts else set()
    return Held(held.person | found, {**held.external_ids, **({table.schema: frozenset(external)} if external else {})})


def find(con: duckdb.DuckDBPyConnection, held: Held, secret: bytes | None) -> Iterator[Found]:
    """What each table has of a person; tables that have nothing are left out."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE {EVENTS} (id VARCHAR)")
    for table in tables_of(con):
        found = _find_in(con, table, held.in_schema(table.schema), secret)
        if {"metric_id", "profile_id", "id"} <= table.columns.keys() and found.mine:
            con.execute(
                f"INSERT INTO {EVENTS} SELECT id FROM {table.full} WHERE rowid IN (SELECT unnest(?))", [found.mine]
            )
        if found.mine or found.mentions:
            yield found


def _find_in(con: duckdb.DuckDBPyConnection, table: PlainTable, person: Person, secret: bytes | None) -> Found:
    people, found = person.known(secret), Found(table)
    if not table.texts:
        return found
    ids = {folded(each).strip() for each in person.profiles}
    if "event_id" in table.columns and table.schema != _INTERNAL:
        rows = con.execute(f"SELECT rowid FROM {table.full} WHERE event_id IN (SELECT id FROM {EVENTS})").fetchall()
        found.mine += [row[0] for row in rows]
    taken = set(found.mine)
    texts = [f"CAST({quote(name)} AS VARCHAR)" for name in table.texts]
    may_be = " OR ".join(f"regexp_matches({text}, $needles, 'i') OR regexp_matches({text}, $unusual)" for text in texts)
    query = f"SELECT rowid, {', '.join(texts)} FROM {table.full} WHERE {may_be}"
    for row, *values in _rows(con.execute(query, {"needles": pattern(person, people), "unusual": UNUSUAL})):
        if row in taken:
            continue
        cells = {name: value for name, value in zip(table.texts, values, strict=True) if value is not None}
        if table.schema != _INTERNAL and _is_theirs(table, cells, people, ids):
            found.mine.append(row)
            continue
        changed = {name: _without(table, name, text, people) for name, text in cells.items()}
        changed = {name: text for name, text in changed.items() if text != cells[name]}
        if not changed:
            continue
        if table.schema != _INTERNAL and any(_identifies(table, name) for name in changed):
            found.mine.append(row)  # a row whose key is taken away is none
        else:
            found.mentions[row] = changed
    return found


def _is_theirs(table: PlainTable, cells: Mapping[str, str], people: People, ids: set[str]) -> bool:
    for name, text in cells.items():
        if table.columns[name] == "VARCHAR" and any(part in ids for part in folded(text).split(":")):
            return True
    return any(name in cells and people.has(kind, cells[name]) for name, kind in table.contacts.items())


def _identifies(table: PlainTable, name: str) -> bool:
    return fold(name) == "id" or table.columns[name] not in ("VARCHAR", "JSON")


def _without(table: PlainTable, name: str, text: str, people: People) -> str | None:
    if table.columns[name] != "JSON":
        return ERASED_TEXT if people.is_mentioned_in(text, name) else text
    try:
        value = json.loads(text)
        changed = people.without(value, name)
    except (ValueError, RecursionError):
        return json.dumps(ERASED_TEXT) if people.is_mentioned_in(text, name) else text
    return text if changed == value else json.dumps(changed, ensure_ascii=False, separators=(",", ":"))


def _rows(cursor: duckdb.DuckDBPyConnection) -> Iterator[Sequence[Any]]:
    while rows := cursor.fetchmany(_BATCH):
        yield from rows
