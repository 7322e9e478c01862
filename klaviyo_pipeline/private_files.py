"""Files and folders with personal data. Only their owner can read them."""

from __future__ import annotations

import os
import stat
from io import FileIO
from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600


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


def write_private(path: Path, content: bytes) -> None:
    """Writes a file. Only the owner can read a new file and a new folder; existing ones keep their mode.

    Raises:
        OSError: if it cannot be written.
    """
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(FOLDER_MODE, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE), "wb") as file:  # noqa: PTH123
        file.write(content)


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
