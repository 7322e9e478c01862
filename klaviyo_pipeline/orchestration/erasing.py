"""A person in everything that this project writes: databases, stages, exports, and Dagster's records."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from klaviyo_pipeline.klaviyo.staging import folders
from klaviyo_pipeline.orchestration import dagster_home
from klaviyo_pipeline.orchestration.erased_records import Records, erase_records
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
from klaviyo_pipeline.people import People, Person
from klaviyo_pipeline.private_files import is_plain_file, is_plain_folder, write_new
from klaviyo_pipeline.warehouse.erasing import Erased, erase, held_of, known_of
from klaviyo_pipeline.warehouse.interface import Warehouse

EXPORTS = "klaviyo-exports"
"""The folder beside the database that exports go to."""
_EXPORT = re.compile(r"[0-9a-f]{12}\.json")


@dataclass(frozen=True)
class Everywhere:
    """What was erased of a person, or would be.

    Attributes:
        databases: What was erased, by the database's name.
        stages: How many stages were removed. They hold pages that have not landed.
        held: How many stages runs have open. They go when the runs end.
        exports: How many files of ``export`` were removed.
        records: What was erased from DAGSTER_HOME; None without it.
    """

    databases: dict[str, Erased] = field(default_factory=dict)
    stages: int = 0
    held: int = 0
    exports: int = 0
    records: Records | None = None


def erase_everywhere(
    databases: Sequence[KlaviyoDuckDBResource],
    asked: Person,
    secret: bytes,
    home: Path | None,
    *,
    dry_run: bool = False,
) -> Everywhere:
    """Erase a person from databases, and from what lies beside them.

    Args:
        databases: The databases, with their staging folders. Those that do not exist are left out.
        asked: The identifiers that are known.
        secret: The key of hashes.
        home: DAGSTER_HOME; None without it.
        dry_run: Only count.

    Raises:
        PrivacySecretError: The secret is not that of people who were erased before.
        RecordsBusyError: Dagster's processes hold its records.
        WarehouseError: A database cannot be read or written.
    """
    there = [each.warehouse() for each in databases if each.warehouse().exists()]
    person = asked
    for each in there:  # what one database knows of the person counts in the others
        person |= known_of(each, person, secret)
    done = {each.name: erase(each, person, secret, dry_run=True) for each in there}
    everything = person
    for erased in done.values():
        everything |= erased.person
    # First the places that need the identifiers, and that others may hold: the tables still have them for a second try.
    records = (
        erase_records(dagster_home.record_folders(home), everything, secret, dry_run=dry_run)
        if home is not None
        else None
    )
    people = everything.known(secret)
    folders_of = {each.warehouse().local.parent / EXPORTS for each in databases}
    exports = [path for folder in sorted(folders_of) for path in _exports(folder) if _mentions(path, people)]
    if not dry_run:
        for path in exports:
            path.unlink()
        done = {each.name: erase(each, person, secret) for each in there}
    removed, held = _stages({each.staging_area().root for each in databases}, dry_run=dry_run)
    return Everywhere(done, removed, held, len(exports), records)


def export(database: Warehouse, asked: Person, secret: bytes, output: Path | None) -> tuple[Path, dict[str, int]]:
    """Write all that a database has of a person to a JSON file that only its owner can read.

    Args:
        database: The database.
        asked: The identifiers that are known.
        secret: The key of hashes; blank without one.
        output: The file, which must be new; None for one in the folder of exports beside the database.

    Returns:
        The file, and how many rows it has, by table.

    Raises:
        FileExistsError: There is such a file.
        WarehouseError: The database cannot be read.
    """
    rows = held_of(database, asked, secret or None)
    path = output or database.local.parent / EXPORTS / f"{uuid.uuid4().hex[:12]}.json"
    content = json.dumps(rows, indent=2, default=_plain, ensure_ascii=False).encode()
    try:
        write_new(path, content)
    except FileExistsError:
        raise FileExistsError(f"{path} exists. Give the name of a new file.") from None
    return path, {table: len(each) for table, each in rows.items()}


def _stages(areas: set[Path], *, dry_run: bool) -> tuple[int, int]:
    if dry_run:
        return sum(len(list(folders.stages(root))) for root in areas if root.is_dir()), 0
    counted = [folders.clear_idle(root) for root in areas]
    return sum(removed for removed, _held in counted), sum(held for _removed, held in counted)


def _exports(folder: Path) -> list[Path]:
    if not is_plain_folder(folder):
        return []
    return [path for path in sorted(folder.glob("*.json")) if is_plain_file(path)]


def _mentions(path: Path, people: People) -> bool:
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        # An export that was cut off may hold anybody. A file of another name is not ours.
        return _EXPORT.fullmatch(path.name) is not None
    return bool(people.without(value) != value)


def _plain(value: Any) -> Any:  # noqa: ANN401 - a cell
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
