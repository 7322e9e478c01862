"""Folders of stages and their locks: which are ours, and how they are removed.

A staging folder may be shared, or named by mistake. So nothing is removed but what this program wrote: a folder that
carries a stage's manifest, in it only files named as slices are, and locks. Links are never followed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from klaviyo_pipeline.klaviyo.staging import manifest
from klaviyo_pipeline.private_files import FILE_MODE, is_plain_file, is_plain_folder

if TYPE_CHECKING:
    from filelock import BaseFileLock

_STAGE = re.compile(r"[a-z_-]+-[0-9a-f]{16}(-[0-9]+|-[0-9a-f]{8})?")
"""How stages are named; with eight hexadecimal digits at the end until format 3."""
_SLICE = re.compile(r"slice-([0-9]{5,})\.arrows")


def slice_file(number: int) -> str:
    """The name of a slice's file."""
    return f"slice-{number:05d}.arrows"


def next_number(folder: Path) -> int:
    """The first number whose slice, and all later ones, have no file yet."""
    found = [_SLICE.fullmatch(path.name) for path in folder.iterdir()]
    return max((int(each[1]) + 1 for each in found if each), default=0)


def lock(folder: Path) -> BaseFileLock | None:
    """Takes a stage's lock; None if another process has it, or if what is in its place is not a lock of ours."""
    from filelock import FileLock, Timeout

    path = _lock_of(folder)
    if (path.exists() or path.is_symlink()) and not _is_lock(path):
        return None
    taken = FileLock(path, mode=FILE_MODE, thread_local=False)
    try:
        taken.acquire(timeout=0)
    except Timeout:
        return None
    return taken


def is_stage(folder: Path) -> bool:
    """Whether a folder is a stage of this program, of whatever format."""
    return is_plain_folder(folder) and manifest.is_manifest(folder / manifest.NAME)


def stages(root: Path) -> Iterator[Path]:
    """The stages in a folder."""
    for path in sorted(root.iterdir()):
        if _STAGE.fullmatch(path.name) and is_stage(path):
            yield path


def clear(folder: Path) -> bool:
    """Removes a stage. Files in it that this program did not write stay, and so does the folder then.

    Returns:
        Whether a stage can be begun in the folder: nothing is in the way.
    """
    if not folder.exists() and not folder.is_symlink():
        return True
    if not is_plain_folder(folder):
        return False
    if is_stage(folder):
        for path in folder.iterdir():
            if _SLICE.fullmatch(path.name) and is_plain_file(path):
                path.unlink(missing_ok=True)
        # Last: without it nobody could tell whose the rest is.
        (folder / manifest.NAME).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()
        return True
    return not any(_SLICE.fullmatch(path.name) or path.name == manifest.NAME for path in folder.iterdir())


def clear_idle(root: Path) -> tuple[int, int]:
    """Removes all stages that no run has open. Gives how many, and how many runs have open."""
    removed = held = 0
    for folder in stages(root) if root.is_dir() else ():
        taken = lock(folder)
        if taken is None:
            held += 1
            continue
        clear(folder)
        taken.release()
        removed += 1
    return removed, held


def remove_idle_locks(root: Path, idle_for: timedelta) -> None:
    """Removes locks of stages that are gone, if nobody has touched them for so long."""
    for path in root.glob("*.lock"):
        folder = path.with_suffix("")
        with suppress(OSError):
            # A clock that was ahead may have written a time after now.
            idle_s = abs(time.time() - path.lstat().st_mtime)
            if not _is_lock(path) or folder.exists() or idle_s < idle_for.total_seconds():
                continue
            taken = lock(folder)
            if taken is not None:
                path.unlink(missing_ok=True)
                taken.release()


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _is_lock(path: Path) -> bool:
    return bool(_STAGE.fullmatch(path.stem)) and is_plain_file(path) and path.stat().st_size == 0
