"""The interface of a destination: short sessions, for writing and for reading, of whatever keeps the tables.

The rest of the project lands and reads through a `Warehouse`. A DuckDB file (`Database`) is the default.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from klaviyo_pipeline.warehouse.errors import DatabaseMissingError, OutOfMemoryError, StorageFullError
from klaviyo_pipeline.warehouse.file_modes import DEFAULT_MODE, mode_of, no_wider_than
from klaviyo_pipeline.warehouse.instances import instance
from klaviyo_pipeline.warehouse.sql import quote

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Warehouse(ABC):
    """What keeps the tables and the ledger, and how it is opened.

    Args:
        lock_timeout_s: The longest wait for other processes, in seconds.
        settings: DuckDB settings, unchanged, e.g. ``{"threads": 2}``.
        memory_limit: DuckDB's buffer limit, 64 MB or more. Landing streams rows and merges large batches in parts that
            fit in it; a smaller limit means more parts. It does not cover the memory of Arrow and Python.
        temp_directory: The folder for DuckDB's temporary files; by default beside ``local``, named ``.tmp``.
        file_mode: The mode of a new database file, and of what is kept beside it.
    """

    lock_timeout_s: float = 300.0
    settings: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    memory_limit: str = "256MB"
    temp_directory: str | Path | None = None
    file_mode: int = DEFAULT_MODE

    @property
    @abstractmethod
    def name(self) -> str:
        """What messages call it: a path or an address, without secrets. Two with the same name are the same."""

    @property
    @abstractmethod
    def catalog(self) -> str:
        """The name under which DuckDB's SQL knows it in a session."""

    @property
    @abstractmethod
    def local(self) -> Path:
        """An absolute path on this machine. What is kept about the warehouse lies beside it; it may not exist."""

    @property
    def is_shared(self) -> bool:
        """Whether several machines can write it."""
        return False

    def exists(self) -> bool:
        """Whether it has been made."""
        with self.reading_if_made() as con:
            return con is not None

    @abstractmethod
    def disk_paths(self) -> tuple[Path, ...]:
        """Its files and folders on this machine, which may not exist."""

    @abstractmethod
    def writing(self, *tables: str) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Opens it for writing, and makes it where it is missing; the time zone is UTC and its catalog is in use.

        Args:
            tables: The tables that the session writes (``schema.name``), besides the ledger. Others write other tables
                meanwhile, where the warehouse can have that. None: the session is alone.

        Raises:
            DatabaseBusyError: Others held it for longer than ``lock_timeout_s``.
            DatabasePathError: It can't be made or written there.
            DatabaseFileError: It is none, or a newer DuckDB wrote it.
        """

    @abstractmethod
    def reading(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Opens it read-only, never making it.

        Raises:
            DatabaseMissingError: It has not been made yet.
            DatabaseBusyError: A writer held it for longer than ``lock_timeout_s``.
            DatabaseFileError: It is none, or a newer DuckDB wrote it.
        """

    @contextmanager
    def reading_if_made(self) -> Iterator[duckdb.DuckDBPyConnection | None]:
        """As ``reading``; None where it has not been made yet. A lake tells only when it is opened."""
        with ExitStack() as stack:
            try:
                con = stack.enter_context(self.reading())
            except DatabaseMissingError:
                con = None
            yield con

    @abstractmethod
    def lent_to(self, con: duckdb.DuckDBPyConnection) -> AbstractContextManager[None]:
        """Attaches it to a ``scratch`` of it read-only, in use while it lasts.

        Raises:
            DatabaseMissingError, DatabaseBusyError, DatabaseFileError: as ``reading`` does.
        """

    @abstractmethod
    def rehearsing(self) -> AbstractContextManager[Warehouse]:
        """Where a load can be tried and rolled back so that nothing stays: itself, or a temporary one in its place."""

    def transacting(self, work: Callable[[duckdb.DuckDBPyConnection], T], *tables: str) -> T:
        """Runs work in a transaction of a session that writes, and commits it: once, or not at all.

        Args:
            work: What to do. A warehouse with several writers calls it again if a commit of others undid it.
            tables: As for ``writing``.

        Raises:
            CommitConflictError: Commits of others undid it for longer than ``lock_timeout_s``.
        """
        with self.writing(*tables) as con, transaction(con):
            return work(con)

    @contextmanager
    def scratch(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A DuckDB without the tables, for temporary ones; it has the same limits, and its time zone is UTC.

        What may spill is to be done within ``private_files``.

        Raises:
            OutOfMemoryError, StorageFullError: as of a session.
        """
        with self._instance() as con:
            con.execute("SET TimeZone = 'UTC'")
            with self._explaining():
                yield con

    def private_files(self) -> AbstractContextManager[None]:
        """Temporary files made meanwhile can be read by no more users than the database."""
        return no_wider_than(mode_of(self.local, self.file_mode))

    def waiting(self, seconds: float) -> Self:
        """The same, with a wait for others of at most so many seconds."""
        return replace(self, lock_timeout_s=min(self.lock_timeout_s, seconds))

    def _instance(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A DuckDB of this session's own, which has nothing attached yet."""
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": self.memory_limit,
            # Row order means nothing here, and keeping it costs memory and parallelism.
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            **self.settings,
        }
        spills_to = settings.pop("temp_directory", None) or self.temp_directory or f"{self.local}.tmp"
        return instance(settings, str(spills_to))

    @contextmanager
    def _detaching(self, con: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Detaches it from a scratch at the end of the block."""
        try:
            yield
        finally:
            con.execute("USE memory")
            con.execute(f"DETACH {quote(self.catalog)}")

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """Errors of DuckDB become those of this project where it has words for them."""
        import duckdb

        try:
            yield
        except duckdb.Error as error:
            raise self._explained(error) from error

    def _explained(self, error: duckdb.Error) -> Exception:
        """DuckDB's error in this project's words where there are any; otherwise the error itself."""
        import duckdb

        text = str(error)
        if "No space left on device" in text:
            return StorageFullError(
                f"The disk of {self.name} (or of its temporary folder) is full; nothing was changed. "
                f"Free some space and run again. DuckDB said: {text}"
            )
        if isinstance(error, duckdb.OutOfMemoryException):
            return OutOfMemoryError(
                f"DuckDB's memory limit of {self.memory_limit} was too small; nothing was changed. "
                f"Raise memory_limit in the destination's settings. DuckDB said: {text}"
            )
        return error


@contextmanager
def transaction(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """A transaction that is committed at the end, and undone by any error."""
    import duckdb

    con.begin()
    try:
        yield
        con.commit()
    except BaseException:
        # A commit that fails (a full disk) has ended the transaction already.
        with suppress(duckdb.TransactionException):
            con.rollback()
        raise
