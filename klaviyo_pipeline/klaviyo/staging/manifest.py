"""A stage's manifest: one line for each thing that happened, each with a checksum that covers all lines before it.

So a line that was changed, taken out or moved is seen. A torn last line is what a kill leaves, and does not count.
"""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

from klaviyo_pipeline.private_files import append_to
from klaviyo_pipeline.staged_pages import checksum

NAME = "manifest.jsonl"
FORMAT = 5
_SIGNATURE = b"klaviyo_pipeline stage, format "
_FIRST_LINE = _SIGNATURE + str(FORMAT).encode() + b"\n"
_EARLIER_SIGNATURE = b'{"begin":"{'
"""How a manifest began until format 3."""


class DamagedManifestError(Exception):
    """A line of a manifest was damaged, or has another format."""


class Manifest:
    """A manifest that is written to, each line at once."""

    def __init__(self, folder: Path, lines_checksum: int | None = None) -> None:
        """Begins a manifest, or continues one, given the checksum of its lines."""
        begins = lines_checksum is None
        self._file = append_to(folder / NAME, new=begins)
        self._checksum = lines_checksum or 0
        if begins:
            self._write(_FIRST_LINE)
            self._checksum = checksum(_FIRST_LINE)

    def add(self, entry: dict[str, Any]) -> None:
        """Write a line.

        Raises:
            OSError: if the disk does not take it whole.
        """
        text = json.dumps(entry, separators=(",", ":")).encode()
        self._checksum = checksum(text, self._checksum)
        self._write(b"%08x %b\n" % (self._checksum, text))

    def sync(self) -> None:
        """Return once the disk has all lines."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Nothing is written any more."""
        self._file.close()

    def _write(self, line: bytes) -> None:
        if self._file.write(line) != len(line):
            raise OSError(errno.ENOSPC, "No space left on device")


def is_manifest(path: Path) -> bool:
    """Whether a file begins as a manifest of this program does, of whatever format."""
    try:
        with path.open("rb") as file:
            return not path.is_symlink() and file.read(len(_SIGNATURE)).startswith((_SIGNATURE, _EARLIER_SIGNATURE))
    except OSError:
        return False


def read_begin(folder: Path) -> dict[str, Any] | None:
    """The first entry of a manifest, which may be written to meanwhile; None without one that is whole."""
    try:
        with (folder / NAME).open("rb") as file:
            if file.readline() != _FIRST_LINE or not (line := file.readline()).endswith(b"\n"):
                return None
            return _entries(line, folder / NAME)[0][0]
    except (OSError, DamagedManifestError):
        return None


def read_manifest(folder: Path) -> tuple[list[dict[str, Any]], int]:
    """The entries of a manifest that nobody writes to, and the checksum to continue with.

    A torn last line is cut off the file.

    Raises:
        DamagedManifestError: It is missing, of another format, without entries, or a line is not as it was written.
    """
    path = folder / NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DamagedManifestError(f"{path}: {error.strerror or error}") from error
    whole = content.rfind(b"\n") + 1
    if not content.startswith(_FIRST_LINE) or whole == len(_FIRST_LINE):
        raise DamagedManifestError(f"{path} has another format, or no entries")
    entries = _entries(content[len(_FIRST_LINE) : whole], path)
    if whole < len(content):
        os.truncate(path, whole)
    return entries


def _entries(lines: bytes, path: Path) -> tuple[list[dict[str, Any]], int]:
    entries: list[dict[str, Any]] = []
    running = checksum(_FIRST_LINE)
    for number, line in enumerate(lines.split(b"\n")[:-1], start=2):
        running = checksum(line[9:], running)
        if line[:9] != b"%08x " % running:
            raise DamagedManifestError(f"{path}: line {number} is not as it was written")
        entries.append(json.loads(line[9:]))
    return entries, running
