"""Opens the database file for short sessions, one at a time.

Only one process can write a DuckDB file, and only while no process reads it. So every session, writing or reading, is
short and takes the same kernel file lock beside the database (``<file>.lock``). Waiting for it is fair and cheap, and
the kernel releases it when a process dies. A notebook or BI tool does not know that lock, so a session also retries on
DuckDB's own lock error. Neither lock is reliable on network file systems.
"""

from __future__ import annotations

import os
import random
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from klaviyo_pipeline.paths import UnusablePathError, file_path
from klaviyo_pipeline.warehouse.errors import (
    DatabaseBusyError,
    DatabaseFileError,
    DatabaseMissingError,
    DatabasePathError,
)
from klaviyo_pipeline.warehouse.file_modes import mode_of
from klaviyo_pipeline.warehouse.interface import Warehouse
from klaviyo_pipeline.warehouse.sql import fold, literal, qualified, quote

if TYPE_CHECKING:
    import duckdb

# Rows of a row group are compressed by one thread. With DuckDB's default of 122,880 a load of 200,000 rows is
# compressed almost serially (measured: 2.3 s against 1.0 s); 20,480 also bounds what a thread buffers.
# 40,960 and 61,440 were no better and made the closing checkpoint rewrite the table (1 s more).
ROW_GROUP_ROWS = 20_480

_RETRY_FIRST_S = 0.02
_RETRY_LONGEST_S = 0.5
_LOCK_POLL_S = 0.02
_LOCKING = 0o600
"""What the owner must be able to do with a lock file, also beside a database that is read-only."""
_DAMAGED = ("not a valid DuckDB database file", "Corrupt database file", "Could not read enough bytes")
_RESERVED_NAMES = {"memory", "temp", "system", "main"}


@dataclass(frozen=True)
class Database(Warehouse):
    """A DuckDB file and how it is opened. An existing file keeps its mode.

    Args:
        path: The database file; ``~`` and ``$VAR`` are expanded. Its folder is created when first written.
        storage_version: The oldest DuckDB that can read a new file.
    """

    path: str | Path
    storage_version: str = "v1.5.0"

    def __post_init__(self) -> None:
        """Expands the path, and refuses one that cannot be a shared file."""
        try:
            object.__setattr__(self, "path", file_path(str(self.path), "The database path"))
        except UnusablePathError as error:
            raise DatabasePathError(str(error)) from None

    @property
    def file(self) -> Path:
        """The database file as an absolute path; where the path is a link, what it leads to: that is what is locked."""
        return Path(os.path.realpath(self.path))

    @property
    def name(self) -> str:
        """The path of the file."""
        return str(self.file)

    @property
    def local(self) -> Path:
        """The file itself."""
        return self.file

    @property
    def catalog(self) -> str:
        """The name under which DuckDB's SQL knows this file: up to the file name's first dot, as DuckDB has it."""
        name = Path(self.path).name
        stem = name.split(".")[0] or name
        return f"{stem}_db" if fold(stem) in _RESERVED_NAMES else stem

    def exists(self) -> bool:
        """Whether there is such a file."""
        return self.file.exists()

    def disk_paths(self) -> tuple[Path, ...]:
        """The file and its WAL."""
        return self.file, Path(f"{self.file}.wal")

    @contextmanager
    def rehearsing(self) -> Iterator[Database]:
        """The file; if there is none, a temporary one in the same folder, or the nearest folder above that exists."""
        if self.exists():
            yield self
            return
        folder = next(folder for folder in self.file.parents if folder.is_dir())
        with tempfile.TemporaryDirectory(dir=folder, prefix=".klaviyo_pipeline_check_") as made:
            yield replace(self, path=Path(made) / self.file.name)

    @contextmanager
    def writing(self, *_tables: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """Opens the file for writing, alone; the session's time zone is UTC and the file's catalog is in use.

        Raises:
            DatabaseBusyError: Others held the file for longer than ``lock_timeout_s``.
            DatabasePathError: The folder can't be created or written, or the file has a second name.
            DatabaseFileError: The file is no DuckDB database, or a newer DuckDB wrote it.
        """
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabasePathError(
                f"The folder {self.file.parent} can't be created ({error.strerror or error}). "
                "Choose a database path that this user may write to."
            ) from error
        self._refuse_hard_links()
        with self._session(read_only=False) as con:
            yield con

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Opens the file read-only, never creating it; waits for writers, and writers wait for it: read quickly.

        Raises:
            DatabaseMissingError: There is no such file yet.
            DatabaseBusyError: A writer held the file for longer than ``lock_timeout_s``.
            DatabaseFileError: The file is no DuckDB database, or a newer DuckDB wrote it.
        """
        self._check_there()
        with self._session(read_only=True) as con:
            yield con

    @contextmanager
    def lent_to(self, con: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Attaches the file to a ``scratch`` read-only, in use while it lasts.

        Raises:
            DatabaseMissingError, DatabaseBusyError, DatabaseFileError: as ``reading`` does.
        """
        self._check_there()
        with ExitStack() as stack:
            self._take_file_lock(stack, read_only=True)
            self._attach(con, read_only=True, deadline=time.monotonic() + self.lock_timeout_s)
            with self._detaching(con):
                yield

    @contextmanager
    def alone(self, *, read_only: bool) -> Iterator[None]:
        """Holds the lock of the file, without opening it.

        Raises:
            DatabaseBusyError: Others held it for longer than ``lock_timeout_s``.
            DatabasePathError: The lock file can't be written.
        """
        with ExitStack() as stack:
            self._take_file_lock(stack, read_only=read_only)
            yield

    def _check_there(self) -> None:
        if not self.file.exists():
            raise DatabaseMissingError(
                f"There is no database at {self.file} yet. Materialize an asset first, or check the configured path."
            )

    @contextmanager
    def _session(self, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        deadline = time.monotonic() + self.lock_timeout_s
        with ExitStack() as stack:
            stack.enter_context(self.private_files())
            self._take_file_lock(stack, read_only=read_only)
            con = stack.enter_context(self._instance())
            self._attach(con, read_only=read_only, deadline=deadline)
            with self._explaining():
                yield con

    def _refuse_hard_links(self) -> None:
        """Refuses a file with several names: its WAL and its lock lie beside one of them only."""
        names = self.file.stat().st_nlink if self.file.exists() else 1
        if names > 1:
            raise DatabasePathError(
                f"{self.file} is one of {names} hard links to the same file. A killed run leaves its committed rows in "
                "a .wal file beside the name that it used, and they are lost if the file is written by another name. "
                "Keep one name, and replace the others by copies (cp) or symbolic links (ln -s). Nothing was changed."
            )

    def _take_file_lock(self, stack: ExitStack, *, read_only: bool) -> None:
        from filelock import FileLock, Timeout

        lock_path = f"{self.file}.lock"
        lock = FileLock(
            lock_path,
            timeout=self.lock_timeout_s,
            poll_interval=_LOCK_POLL_S,
            mode=mode_of(self.file, self.file_mode) | _LOCKING,
        )
        try:
            stack.enter_context(lock)
        except Timeout as error:
            raise self._busy(_holder_of(lock_path)) from error
        except OSError as error:
            if read_only:
                return  # A folder that can't be written holds no writer of ours either.
            raise DatabasePathError(
                f"The lock file {lock_path} can't be written ({error.strerror or error}). "
                "The folder of the database must be writable: choose another path or change its permissions."
            ) from error

    def _attach(self, con: duckdb.DuckDBPyConnection, *, read_only: bool, deadline: float) -> None:
        """Attaches the file, since only ATTACH takes a row group size, retrying while an outsider holds it."""
        import duckdb

        # With its type, or DuckDB would open what it takes for a file of another program by an extension.
        options = "TYPE duckdb, " + ("READ_ONLY" if read_only else f"ROW_GROUP_SIZE {ROW_GROUP_ROWS}")
        is_new = not read_only and not self.file.exists()
        if is_new:
            options += f", STORAGE_VERSION {literal(self.storage_version)}"
        attach = f"ATTACH {literal(str(self.file))} AS {quote(self.catalog)} ({options})"
        longest_s = _RETRY_FIRST_S
        while True:
            try:
                con.execute(attach)
                if is_new:
                    self.file.chmod(self.file_mode)  # the umask may be narrower
                con.execute(f"USE {qualified(self.catalog, 'main')}")
                # Not possible as a connection setting: "icu extension needs to be loaded".
                con.execute("SET TimeZone = 'UTC'")
            except duckdb.Error as error:
                if not _is_lock_conflict(error):
                    raise self._unopened(error) from error
                remaining_s = deadline - time.monotonic()
                if remaining_s <= 0:
                    raise self._busy(_pid_in(str(error))) from error
            else:
                return
            time.sleep(min(remaining_s, random.uniform(_RETRY_FIRST_S / 2, longest_s)))  # noqa: S311
            longest_s = min(longest_s * 1.5, _RETRY_LONGEST_S)

    def _busy(self, pid: int | None) -> DatabaseBusyError:
        holder = f"process {pid}" if pid else "another process or connection"
        return DatabaseBusyError(
            f"{self.file} was held by {holder} for the whole {self.lock_timeout_s:g} s that this session was "
            "willing to wait. DuckDB lets one process at a time write a file, and none while another reads it. "
            "Close the notebook, shell or BI tool that has it open, or raise the lock timeout."
        )

    def _unopened(self, error: duckdb.Error) -> Exception:
        import duckdb

        explained = self._explained(error)
        if explained is error and isinstance(error, duckdb.IOException):
            return DatabaseFileError(f"{self.file} can't be opened as a DuckDB database. DuckDB said: {error}")
        return explained

    def _explained(self, error: duckdb.Error) -> Exception:
        """DuckDB's error in this project's words where there are any; otherwise the error itself."""
        explained = super()._explained(error)
        if explained is not error:
            return explained
        text = str(error)
        if any(words in text for words in _DAMAGED):
            return DatabaseFileError(
                f"{self.file} is not a DuckDB database, or it is damaged. Check the configured path; "
                f"if the path is right, restore the file from a backup. DuckDB said: {text}"
            )
        if "database file with version number" in text or "newer DuckDB" in text:
            return DatabaseFileError(
                f"{self.file} was written by another version of DuckDB than the one installed here. "
                f"Upgrade the duckdb package, or choose another file. DuckDB said: {text}"
            )
        if "Permission denied" in text or "Read-only file system" in text:
            return DatabasePathError(
                f"{self.file} can't be opened by this user. Change its permissions or choose another path. "
                f"DuckDB said: {text}"
            )
        return error


def file_like(warehouse: Warehouse, path: Path) -> Database:
    """A DuckDB file that is opened as the warehouse is."""
    if isinstance(warehouse, Database):
        return replace(warehouse, path=path)
    common = {each.name: getattr(warehouse, each.name) for each in fields(Warehouse)}
    return Database(path, **common)


def _is_lock_conflict(error: duckdb.Error) -> bool:
    """True for DuckDB's own conflicts: another process has the file, or another connection of this process."""
    text = str(error)
    return "Could not set lock on file" in text or "Unique file handle conflict" in text


def _pid_in(text: str) -> int | None:
    found = re.search(r"\(PID (\d+)\)", text)
    return int(found.group(1)) if found else None


def _holder_of(lock_path: str) -> int | None:
    """Who holds a kernel lock, where the kernel tells (Linux: /proc/locks lists the inode)."""
    try:
        inode = Path(lock_path).stat().st_ino
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.split()
            if words[1] != "->" and words[5].endswith(f":{inode}"):
                return int(words[4])
    except (OSError, IndexError, ValueError):
        pass
    return None
