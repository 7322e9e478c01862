"""Erases a person from Dagster's records: first rows, messages, run config, and what steps printed.

It looks at the files themselves: SQLite databases, and text such as the output of steps. Where Dagster keeps its
records elsewhere, such as in Postgres, they are not looked at.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from klaviyo_pipeline.errors import PipelineError
from klaviyo_pipeline.people import ERASED, UNUSUAL, People, Person, folded, mailbox, national, phone
from klaviyo_pipeline.people import pattern as pattern_of
from klaviyo_pipeline.private_files import is_plain_file

_SQLITE = b"SQLite format 3\x00"
_BESIDE = ("-wal", "-shm", "-journal")
_WAIT_S = 30.0
_BATCH = 500
_LEAST_BEGINNING = 4


class RecordsBusyError(PipelineError):
    """Another process holds Dagster's records, so a person cannot be erased from them."""


@dataclass(frozen=True)
class Records:
    """What was erased from Dagster's records: how many values, in how many files.

    ``unread`` are files of an unknown form that mention the person. They are unchanged.
    """

    values: int
    files: int
    unread: tuple[Path, ...] = ()


def erase_records(folders: Iterable[Path], person: Person, secret: bytes, *, dry_run: bool = False) -> Records:
    """Erase a person from all files in some folders.

    Args:
        folders: The folders of Dagster's records.
        person: The person.
        secret: The key of the hashes that privacy rules made.
        dry_run: Only count.

    Raises:
        RecordsBusyError: Dagster's processes hold a file for longer than half a minute.
    """
    people = person.known(secret)
    pattern = re.compile(f"{pattern_of(person, people)}|{UNUSUAL}", re.IGNORECASE)
    scrub = _Scrub(people, pattern, _beginnings(person))
    values = files = 0
    unread: list[Path] = []
    for path in sorted(path for folder in folders for path in folder.rglob("*")):
        if not is_plain_file(path) or path.name.endswith(_BESIDE):
            continue
        with path.open("rb") as file:
            begin = file.read(4096)
        if begin.startswith(_SQLITE):
            count = _in_database(path, scrub, dry_run=dry_run)
        else:
            count = _in_text(path, scrub, dry_run=dry_run)
            if count and b"\0" in begin:
                unread.append(path)
                continue
        values += count
        files += bool(count)
    return Records(values, files, tuple(unread))


class _Scrub:
    def __init__(self, people: People, pattern: re.Pattern[str], beginnings: Collection[str]) -> None:
        self._people = people
        self._pattern = pattern
        self._beginnings = beginnings

    def text(self, text: str) -> str:
        """The text without the person: in JSON value by value, else line by line."""
        if not self._pattern.search(text):
            return text
        if text[:1] in "[{":
            try:
                value = json.loads(text)
                changed = self._value(value)
            except (ValueError, RecursionError):
                pass
            else:
                return text if changed == value else json.dumps(changed)
        return "\n".join(self._line(line) for line in text.split("\n"))

    def _line(self, line: str) -> str:
        return ERASED if self._pattern.search(line) and self._people.is_mentioned_in(line) else line

    def _value(self, value: Any, name: str = "") -> Any:  # noqa: ANN401 - whatever JSON holds
        if isinstance(value, dict):
            if value.get("__class__") == "TableRecord" and self._is_in_row(value):
                # A row of a table: with the id goes the rest of the row.
                return {key: each if key == "__class__" else _blanked(each) for key, each in value.items()}
            return {self._key(key): self._value(each, key) for key, each in value.items()}
        if isinstance(value, list):
            return [self._value(each, name) for each in value]
        if isinstance(value, str):
            return self.text(value) if "\n" in value or value[:1] in "[{" else self._people.without(value, name)
        return value

    def _is_in_row(self, row: Any) -> bool:  # noqa: ANN401 - whatever JSON holds
        return self._people.without(row) != row or any(map(self._is_cut, _texts(row)))

    def _is_cut(self, text: str) -> bool:
        """Whether a text that was cut off, as first rows are, may have named the person where it ends."""
        return text.endswith("…") and any(part in folded(unquote(text)) for part in self._beginnings)

    def _key(self, key: str) -> str:
        return ERASED if self._people.is_mentioned_in(key) else key


def _beginnings(person: Person) -> list[str]:
    """How the person's identifiers begin; not what begins many others."""
    names = [mailbox(each).partition("@")[0] for each in person.emails]
    ids = [folded(each).strip()[:16] for each in person.profiles]
    phones = [national(phone(each))[:6] for each in person.phones]
    return [each for each in (*names, *ids, *phones) if len(each) >= _LEAST_BEGINNING]


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _blanked(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, dict):
        return {key: _blanked(each) for key, each in value.items()}
    return [_blanked(each) for each in value] if isinstance(value, list) else ERASED


def _in_database(path: Path, scrub: _Scrub, *, dry_run: bool) -> int:
    try:
        with closing(sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)) as con:
            con.text_factory = lambda content: content.decode("utf-8", "surrogateescape")
            count = 0
            con.execute("BEGIN" if dry_run else "BEGIN IMMEDIATE")
            for table, columns in _tables(con):
                count += _in_table(con, table, columns, scrub, dry_run=dry_run)
            con.execute("COMMIT")
            if not dry_run:
                # Also where nothing was found: a row that Dagster has deleted may stand in free pages.
                con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                con.execute("VACUUM")
                con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return count
    except sqlite3.OperationalError as error:
        raise RecordsBusyError(
            f"{path} cannot be written ({error}). Stop Dagster's web server and daemon, and run the command again."
        ) from error


def _tables(con: sqlite3.Connection) -> Iterator[tuple[str, list[str]]]:
    names = [row[0] for row in con.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()]
    for name in names:
        if not name.startswith("sqlite_"):
            yield name, [row[1] for row in con.execute(f"PRAGMA table_info({_quoted(name)})").fetchall()]


def _in_table(con: sqlite3.Connection, table: str, columns: list[str], scrub: _Scrub, *, dry_run: bool) -> int:
    count, last = 0, -1
    names = ", ".join(map(_quoted, columns))
    query = f"SELECT rowid, {names} FROM {_quoted(table)} WHERE rowid > ? ORDER BY rowid LIMIT {_BATCH}"
    while rows := con.execute(query, [last]).fetchall():
        last = rows[-1][0]
        for row, *values in rows:
            changed = {
                name: text
                for name, value in zip(columns, values, strict=True)
                if isinstance(value, str) and (text := scrub.text(value)) != value
            }
            count += len(changed)
            if changed and not dry_run:
                sets = ", ".join(f"{_quoted(name)} = ?" for name in changed)
                con.execute(f"UPDATE {_quoted(table)} SET {sets} WHERE rowid = ?", [*changed.values(), row])
    return count


def _in_text(path: Path, scrub: _Scrub, *, dry_run: bool) -> int:
    before = path.read_bytes().decode("utf-8", "surrogateescape")
    after = scrub.text(before)
    if after == before:
        return 0
    if not dry_run and "\0" not in before:
        # In place: a process may have the file open, and a new file would leave the old one to it.
        with path.open("r+b") as file:
            file.write(after.encode("utf-8", "surrogateescape"))
            file.truncate()
    return 1


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
