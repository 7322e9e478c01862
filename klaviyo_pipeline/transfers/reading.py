"""From a file to a transfer, or to everything that is wrong with the file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from klaviyo_pipeline.transfers import treasure_data
from klaviyo_pipeline.transfers.authentications import REFERENCE, read_authentications
from klaviyo_pipeline.transfers.documents import Document, parse
from klaviyo_pipeline.transfers.model import Transfer, source_name
from klaviyo_pipeline.transfers.problems import FileError, Problem, Wrong, spell
from klaviyo_pipeline.transfers.validation import wrong_in

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
RESERVED = frozenset({"klaviyo_preview", "klaviyo_reconciliation"})
"""Names of jobs that are there already."""


@dataclass(frozen=True)
class TransferFile:
    """A transfer and the file that it was read from.

    ``theirs`` says that the file is in Treasure Data's form. ``digest`` changes with the file's content.
    """

    name: str
    path: Path
    transfer: Transfer
    theirs: bool
    digest: str
    warnings: tuple[str, ...] = ()
    text: str = field(default="", repr=False)


def check_name(name: str) -> str:
    """A transfer's name: it becomes the name of a job, for which Dagster takes letters, digits and underscores.

    Raises:
        FileError: suggesting a name.
    """
    if not NAME.fullmatch(name) or name in RESERVED:
        plain = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")
        plain = plain if plain[:1].isalpha() and plain not in RESERVED else f"import_{plain}".rstrip("_")
        reason = "is taken" if name in RESERVED else "can't be used: letters, digits and underscores, a letter first"
        raise FileError(f"transfer {name!r}", [Problem(0, 0, f"the name {reason}; how about {plain}?")])
    return name


def read_file(path: Path, accounts: Collection[str] | None = None) -> TransferFile:
    """Read and validate a transfer's file.

    Args:
        path: The file.
        accounts: Names of the accounts there are; by default they are read from their file.

    Raises:
        FileError: with everything that is wrong in the file.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = "there is no such file." if isinstance(error, FileNotFoundError) else f"can't be read: {error}"
        raise FileError(str(path), [Problem(0, 0, reason)]) from None
    return read_text(text, path, accounts)


def read_text(text: str, path: Path, accounts: Collection[str] | None = None) -> TransferFile:
    """Validate a transfer's text as if it stood in a file.

    Raises:
        FileError: with everything that is wrong in it.
    """
    document = parse(text, str(path))
    theirs = treasure_data.is_theirs(document.data)
    known = read_authentications().keys() if accounts is None else accounts
    converted = treasure_data.convert(document.data, known) if theirs else treasure_data.Converted(document.data)
    data = _without_blanks(converted.data)
    wrong = [*converted.wrong]
    if not any(each.path == ("in",) for each in converted.wrong):
        wrong += [_in_file(converted, each) if theirs else each for each in wrong_in(data, known)]
    problems = [*document.problems, *(_located(document, each) for each in wrong)]
    if problems:
        raise FileError(str(path), problems)
    data["source"] = source_name(data["source"])
    return TransferFile(
        name=path.stem,
        path=path,
        transfer=Transfer.model_validate(data),
        theirs=theirs,
        digest=hashlib.sha256(text.encode()).hexdigest()[:16],
        warnings=tuple(_warnings(document, data, converted)),
        text=text,
    )


def _without_blanks(data: dict[str, Any]) -> dict[str, Any]:
    """A key without a value is as if it were not there."""
    kept = {name: _without_blanks(value) if isinstance(value, dict) else value for name, value in data.items()}
    return {name: value for name, value in kept.items() if value is not None}


def _in_file(converted: treasure_data.Converted, wrong: Wrong) -> Wrong:
    return Wrong(converted.where(wrong.path), wrong.text, wrong.key)


def _located(document: Document, wrong: Wrong) -> Problem:
    place = document.locate(wrong)
    return Problem(place.line, place.column, f"{spell(wrong.path)} {wrong.text}")


def _warnings(document: Document, data: dict[str, Any], converted: treasure_data.Converted) -> list[str]:
    found = [_located(document, each) for each in converted.warnings]
    token = data.get("api_token", "")
    if token and not REFERENCE.fullmatch(token.strip()):
        text = (
            "is a key in plain text. It works, but belongs in an environment variable: write ${KLAVIYO_API_KEY} here, "
            "or leave the line out."
        )
        found.append(_located(document, Wrong(converted.where(("api_token",)), text)))
    return [each.at(document.file) for each in sorted(found)]
