"""Reads a file as a transfer, or finds all problems of the file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from klaviyo_pipeline.orchestration.names import may_be_a_name
from klaviyo_pipeline.transfers.file import treasure_data
from klaviyo_pipeline.transfers.file.authentications import REFERENCE, read_authentications
from klaviyo_pipeline.transfers.file.model import Transfer, source_name
from klaviyo_pipeline.transfers.file.validation import violations_in
from klaviyo_pipeline.yaml_files.documents import LARGEST, Document, parse
from klaviyo_pipeline.yaml_files.problems import FileError, Problem, Violation
from klaviyo_pipeline.yaml_files.shape import without_blanks

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
LONGEST_NAME = 100
"""A name becomes part of the names of files, which may have 255 bytes."""
OWN_PREFIX = "transfers_"
"""How the names of transfers' ops begin."""


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


def check_name(name: str, taken: Collection[str] = ()) -> str:
    """A transfer's name: it becomes the name of a job, for which Dagster takes letters, digits and underscores.

    Args:
        name: The name.
        taken: Names that are taken in Dagster already.

    Raises:
        FileError: suggesting a name.
    """
    reason = _wrong_name(name, taken)
    if reason:
        plain = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")[: LONGEST_NAME // 2]
        while _wrong_name(plain, taken):
            plain = f"import_{plain}".rstrip("_")
        raise FileError(f"transfer {name[:LONGEST_NAME]!r}", [Problem(0, 0, f"the name {reason}; how about {plain}?")])
    return name


def _wrong_name(name: str, taken: Collection[str]) -> str:
    """Why a name cannot be used; blank if it can."""
    if not NAME.fullmatch(name):
        return "can't be used: letters, digits and underscores, a letter first"
    if len(name) > LONGEST_NAME:
        return f"is longer than {LONGEST_NAME} characters"
    if not may_be_a_name(name):
        return "is a word of Dagster's or Python's own"
    if name in taken or name.startswith(OWN_PREFIX):
        return "is taken"
    return ""


def read_file(path: Path, accounts: Collection[str] | None = None) -> TransferFile:
    """Read and validate a transfer's file.

    Args:
        path: The file.
        accounts: Names of the accounts there are; by default they are read from their file.

    Raises:
        FileError: with everything that is wrong in the file.
    """
    return read_text(text_of(path), path, accounts)


def text_of(path: Path) -> str:
    """A file's text, a little more than the largest that is read.

    Raises:
        FileError: if it is no file of text.
    """
    try:
        if not path.exists():
            raise FileError(str(path), [Problem(0, 0, "there is no such file.")])
        if not path.is_file():
            what = "a folder" if path.is_dir() else "a device or a pipe"
            raise FileError(str(path), [Problem(0, 0, f"is {what}, but must be a file.")])
        with path.open("rb") as file:
            content = file.read(4 * LARGEST + 1)
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The file may have been cut within a character; then it is too large, which the parser says.
        if len(content) > 4 * LARGEST:
            return content.decode("utf-8-sig", errors="replace")
        text = f"is not UTF-8 text: byte {error.start + 1} is 0x{content[error.start]:02x}."
        raise FileError(str(path), [Problem(0, 0, text)]) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(str(path), [Problem(0, 0, f"can't be read: {reason}.")]) from None


def read_text(
    text: str, path: Path, accounts: Collection[str] | None = None, *, variables: bool = True
) -> TransferFile:
    """Validate a transfer's text as if it stood in a file.

    Args:
        text: The text.
        path: Where it stands, for errors.
        accounts: Names of the accounts there are; by default they are read from their file.
        variables: Whether `{{ env.NAME }}` stands for an environment variable.

    Raises:
        FileError: with everything that is wrong in it.
    """
    document = parse(text, str(path), variables=variables)
    if treasure_data.is_workflow(document.data):
        text = "is a workflow of Treasure Data: give the file that its td_load>: names, and its database and table."
        raise FileError(str(path), [Problem(0, 0, text)])
    theirs = treasure_data.is_theirs(document.data)
    known = read_authentications().keys() if accounts is None else accounts
    converted = treasure_data.convert(document.data, known) if theirs else treasure_data.Converted(document.data)
    data = without_blanks(converted.data)
    violations = [*converted.violations]
    if not any(each.path == ("in",) for each in converted.violations):
        violations += [_in_file(converted, each) if theirs else each for each in violations_in(data, known)]
    problems = [*document.problems, *(document.problem(each) for each in violations)]
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


def _in_file(converted: treasure_data.Converted, violation: Violation) -> Violation:
    return Violation(converted.where(violation.path), violation.text, violation.key)


def _warnings(document: Document, data: dict[str, Any], converted: treasure_data.Converted) -> list[str]:
    found = [document.problem(each) for each in converted.warnings]
    token = data.get("api_token", "")
    if token and not REFERENCE.fullmatch(token.strip()):
        text = (
            "is a key in plain text. It works, but belongs in an environment variable: write ${KLAVIYO_API_KEY} here, "
            "or leave the line out."
        )
        found.append(document.problem(Violation(converted.where(("api_token",)), text)))
    return [each.at(document.file) for each in sorted(found)]
