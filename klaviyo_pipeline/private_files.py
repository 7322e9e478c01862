"""Files and folders with personal data. Only their owner can read them."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from io import FileIO
from pathlib import Path

from klaviyo_pipeline.errors import ConfigurationError

FOLDER_MODE = 0o700
FILE_MODE = 0o600
_BEGIN = 4096
_LONGEST = 200
"""A file system has a longest name, and that of the temporary file is longer."""


def append_to(path: Path, *, new: bool) -> FileIO:
    """Opens a file for appending, unbuffered. Does not follow links.

    Raises:
        OSError: if the file cannot be opened. FileExistsError: if a new file already exists.
    """
    flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    return FileIO(os.open(path, flags | (os.O_CREAT | os.O_EXCL if new else 0), FILE_MODE), "ab")


def make_folder(path: Path) -> None:
    """Makes a folder that only its owner can use. An existing folder gets that mode; parents have the usual one.

    Raises:
        OSError: if it cannot be made, is a link, or belongs to another user, who could replace its files.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(FOLDER_MODE, exist_ok=True)
    if path.is_symlink():
        raise OSError(f"{path.name} is a link, and links are not followed here")
    found = path.stat()
    if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
        raise OSError(f"{path.name} belongs to another user")
    if stat.S_IMODE(found.st_mode) & ~FOLDER_MODE:
        path.chmod(FOLDER_MODE)


def write_new(path: Path, content: bytes) -> None:
    """Writes a new file that only its owner can read, also a new folder. After an error there is no file.

    Raises:
        FileExistsError: There is something of this name, such as a link.
        OSError: It cannot be written.
    """
    _make_parent(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with open(os.open(path, flags, FILE_MODE), "wb") as file:  # noqa: PTH123
        try:
            file.write(content)
            file.flush()
        except BaseException:
            path.unlink()
            raise


def write_over(path: Path, content: bytes, is_ours: Callable[[bytes], bool]) -> None:
    """Writes a file whole or not at all. It replaces an earlier one of the same kind, and keeps its mode.

    Only the owner can read a new file and a new folder.

    Args:
        path: The file; of a link, the file that it leads to.
        content: The content.
        is_ours: Whether a file that begins with these bytes may be replaced. An empty file may.

    Raises:
        ConfigurationError: There is a file of another kind. It is unchanged.
        OSError: It cannot be written.
    """
    path = Path(os.path.realpath(path))
    _make_parent(path)
    try:
        with path.open("rb") as earlier:
            begin, mode = earlier.read(_BEGIN), stat.S_IMODE(os.fstat(earlier.fileno()).st_mode)
    except FileNotFoundError:
        begin, mode = b"", FILE_MODE
    if begin and not is_ours(begin):
        raise ConfigurationError(f"{path} is a file of another kind, so it is not replaced. Give another name.")
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:_LONGEST]}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _make_parent(path: Path) -> None:
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(FOLDER_MODE, exist_ok=True)


def is_plain_file(path: Path) -> bool:
    """Whether the path is a file, and not a link."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def is_plain_folder(path: Path) -> bool:
    """Whether the path is a folder, and not a link."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def sync(path: Path) -> None:
    """Write a file's content, or the names in a folder, to disk, and wait for it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
