"""A DuckLake: its catalog in Postgres or in a DuckDB file, its rows in Parquet files on a disk or in an object store.

A reader sees a snapshot, and nobody waits for it. Writers of different tables commit side by side. Two writers of one
table would both insert a key that is new, since DuckLake knows no keys: so a session that writes holds a lock for each
of its tables. In Postgres these are advisory locks, which end with the connection, also where a process is killed. A
catalog in a DuckDB file has that file's lock: one session at a time, on one machine.
"""

from __future__ import annotations

import hashlib
import random
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from klaviyo_pipeline.redaction import redact
from klaviyo_pipeline.warehouse.addresses import LakeAddress
from klaviyo_pipeline.warehouse.database import Database, file_like
from klaviyo_pipeline.warehouse.errors import (
    CommitConflictError,
    DatabaseBusyError,
    DatabaseFileError,
    DatabaseMissingError,
    DatabasePathError,
)
from klaviyo_pipeline.warehouse.extensions import load_extensions
from klaviyo_pipeline.warehouse.file_modes import no_wider_than
from klaviyo_pipeline.warehouse.interface import Warehouse, transaction
from klaviyo_pipeline.warehouse.sql import literal, quote

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")

_CATALOG = "lake"
_LOCKS = "_klaviyo_pipeline_locks"
_SECRET = "_klaviyo_pipeline_s3"  # noqa: S105 - a name
_LOCK_CLASS = zlib.crc32(b"klaviyo_pipeline") & 0x7FFFFFFF
_CONFLICTS = ("transaction conflict", "could not serialize access", "failed to commit ducklake transaction")
_RETRY_FIRST_S, _RETRY_LONGEST_S = 0.05, 2.0


@dataclass(frozen=True)
class ObjectStore:
    """How to reach an S3-speaking object store; a blank endpoint is that of AWS.

    Attributes:
        key: The access key's id.
        secret: The secret access key.
        token: The session token of temporary keys; blank for none.
        region: The region.
        endpoint: Another store's address, ``http://host:port`` or ``https://host``; its buckets are in the path.
    """

    key: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)
    region: str = "us-east-1"
    endpoint: str = ""


@dataclass(frozen=True)
class Lake(Warehouse):
    """A DuckLake and how it is opened.

    Args:
        address: What keeps the catalog.
        data_path: Where the Parquet files go: a folder or ``s3://…``, with a slash at its end. Blank: beside the
            catalog's file, or where the catalog says.
        store: How to reach an ``s3://`` data path.
        may_install: Whether DuckDB may download an extension that no package brings.
    """

    address: LakeAddress
    data_path: str = ""
    store: ObjectStore | None = None
    may_install: bool = False

    @property
    def name(self) -> str:
        """The address, without the data path."""
        return f"ducklake:{self._catalog_at}"

    @property
    def catalog(self) -> str:
        """Always the same: ``lake``."""
        return _CATALOG

    @property
    def local(self) -> Path:
        """The catalog's file; for Postgres a name of its own in the folder ``data``."""
        if self.catalog_file is not None:
            return self.catalog_file.file
        return Path(f"data/ducklake-{hashlib.sha256(self.name.encode()).hexdigest()[:8]}").absolute()

    @property
    def extensions(self) -> tuple[str, ...]:
        """The extensions that a session needs."""
        needed = ["ducklake"]
        needed += ["postgres_scanner"] if self.address.postgres else []
        needed += ["httpfs"] if self.data_path.startswith("s3:") else []
        return tuple(needed)

    @property
    def is_shared(self) -> bool:
        """Whether its catalog is in Postgres."""
        return bool(self.address.postgres)

    def disk_paths(self) -> tuple[Path, ...]:
        """The catalog's file and the data, as far as they are on this machine."""
        data = self.data_path or (f"{self.local}.files" if self.catalog_file else "")
        folders = (Path(data),) if data and not data.startswith("s3:") else ()
        return (*(self.catalog_file.disk_paths() if self.catalog_file else ()), *folders)

    @contextmanager
    def writing(self, *tables: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """A session that writes; others write other tables meanwhile. Without ``tables`` it is alone."""
        for path in (*self.disk_paths(), self.local):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise DatabasePathError(
                    f"The folder {path.parent} can't be made ({error.strerror or error})."
                ) from error
        with self._session(read_only=False, tables=tables) as con:
            yield con

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A session that reads, and that waits for nobody."""
        with self._session(read_only=True) as con:
            yield con

    @contextmanager
    def lent_to(self, con: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Attaches the lake to a scratch, read-only."""
        with self._alone_on_the_file(read_only=True):
            self._attach(con, "READ_ONLY")
            with self._detaching(con):
                yield
            self._forget_store(con)

    def rehearsing(self) -> AbstractContextManager[Warehouse]:
        """The lake; a catalog that was missing is made, and stays, empty."""
        return nullcontext(self)

    def private_files(self) -> AbstractContextManager[None]:
        """Files made meanwhile, those of the data too, can be read as ``file_mode`` says."""
        return no_wider_than(self.file_mode)

    def transacting(self, work: Callable[[duckdb.DuckDBPyConnection], T], *tables: str) -> T:
        """Runs work in a transaction of a session that writes; again, after a pause, if a commit of others undid it."""
        deadline, longest_s = time.monotonic() + self.lock_timeout_s, _RETRY_FIRST_S
        while True:
            try:
                with self.writing(*tables) as con, transaction(con):
                    return work(con)
            except CommitConflictError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(random.uniform(_RETRY_FIRST_S / 2, longest_s))  # noqa: S311
            longest_s = min(2 * longest_s, _RETRY_LONGEST_S)

    @contextmanager
    def _session(self, *, read_only: bool, tables: tuple[str, ...] = ()) -> Iterator[duckdb.DuckDBPyConnection]:
        with ExitStack() as stack:
            stack.enter_context(self.private_files())
            stack.enter_context(self._alone_on_the_file(read_only=read_only))
            con = stack.enter_context(self._instance())
            if read_only:
                self._attach(con, "READ_ONLY")
            else:
                self._attach_or_make(con)
            if not read_only and self.address.postgres:
                # The transaction that follows sees what the holders before have committed.
                stack.enter_context(self._locked(con, tables))
            with self._explaining():
                yield con
                self._forget_store(con)

    def _forget_store(self, con: duckdb.DuckDBPyConnection) -> None:
        """The next session of the instance may be another destination's. After an error there is none."""
        if self.store:
            con.execute(f"DROP TEMPORARY SECRET IF EXISTS {_SECRET}")

    def _alone_on_the_file(self, *, read_only: bool) -> AbstractContextManager[None]:
        return self.catalog_file.alone(read_only=read_only) if self.catalog_file else nullcontext()

    @contextmanager
    def _locked(self, con: duckdb.DuckDBPyConnection, tables: tuple[str, ...]) -> Iterator[None]:
        """Holds the advisory locks of the tables, or the one that excludes all other writers."""
        import duckdb

        # In order, so that no two sessions wait for each other.
        asked = sorted({_lock_number(each) for each in tables})
        calls = [f"pg_advisory_xact_lock{'_shared' if asked else ''}({_LOCK_CLASS}, {_lock_number('')})"]
        calls += [f"pg_advisory_xact_lock({_LOCK_CLASS}, {number})" for number in asked]
        patience = f"set_config('lock_timeout', '{max(1, int(self.lock_timeout_s * 1000))}', true)"
        holder = con.cursor()
        try:
            holder.execute(
                f"ATTACH IF NOT EXISTS {literal(self.address.postgres)} AS {_LOCKS} (TYPE postgres, READ_ONLY)"
            )
            holder.begin()
            for call in (patience, *calls):
                holder.execute(f"FROM postgres_query({literal(_LOCKS)}, {literal(f'SELECT {call}::text AS done')})")
                holder.fetchall()
            yield
        except duckdb.Error as error:
            if "lock timeout" in str(error):
                raise DatabaseBusyError(
                    f"Others wrote the same tables of {self.name} for the whole {self.lock_timeout_s:g} s that this "
                    "session was willing to wait. Run again later, or raise the lock timeout."
                ) from error
            raise self._unopened(error) from error
        finally:
            holder.close()

    def _attach_or_make(self, con: duckdb.DuckDBPyConnection) -> None:
        """Attaches the lake for writing. One process at a time may make it, or the others fail halfway."""
        try:
            self._attach(con, "CREATE_IF_NOT_EXISTS false")
        except DatabaseMissingError:
            with self._locked(con, ()) if self.address.postgres else nullcontext():
                self._attach(con, "CREATE_IF_NOT_EXISTS true")

    def _attach(self, con: duckdb.DuckDBPyConnection, how: str) -> None:
        import duckdb

        load_extensions(con, self.extensions, may_install=self.may_install)
        options = [how]
        options += [f"DATA_PATH {literal(self.data_path)}"] if self.data_path else []
        try:
            if self.store:
                con.execute(_secret_for(self.store))
            con.execute(f"ATTACH {literal(self.name)} AS {quote(_CATALOG)} ({', '.join(options)})")
            con.execute(f"USE {quote(_CATALOG)}.main")
            con.execute("SET TimeZone = 'UTC'")
        except duckdb.Error as error:
            raise self._unopened(error) from None

    @property
    def _catalog_at(self) -> str:
        return f"postgres:{self.address.postgres}" if self.address.postgres else str(self.address.file)

    @property
    def catalog_file(self) -> Database | None:
        """The DuckDB file that keeps the catalog; None for a catalog in Postgres."""
        return file_like(self, self.address.file) if self.address.file else None

    def _unopened(self, error: duckdb.Error) -> Exception:
        text = redact(str(error))
        if "creating a new DuckLake is explicitly disabled" in text or "database does not exist" in text:
            return DatabaseMissingError(
                f"There is no lake at {self.name} yet. Materialize an asset first, or check the configured destination."
            )
        if "does not match existing data path" in text:
            return DatabasePathError(
                f"The rows of {self.name} are in another place than KLAVIYO_DATA_PATH says. Correct the setting, or "
                f"leave it blank for a lake that is there already. DuckDB said: {text}"
            )
        explained = self._explained(error)
        if explained is not error:
            return explained
        return DatabaseFileError(f"{self.name} can't be opened as a DuckLake. DuckDB said: {text}")

    def _explained(self, error: duckdb.Error) -> Exception:
        text = redact(str(error))
        if any(words in text.lower() for words in _CONFLICTS):
            return CommitConflictError(
                f"Others committed to {self.name} what this transaction changed as well; nothing was changed. Run "
                f"again. DuckDB said: {text}"
            )
        return super()._explained(error)


def _lock_number(table: str) -> int:
    return zlib.crc32(table.lower().encode()) & 0x7FFFFFFF


def _secret_for(store: ObjectStore) -> str:
    """The statement that tells a session's DuckDB how to reach the store."""
    values = {"KEY_ID": store.key, "SECRET": store.secret, "SESSION_TOKEN": store.token, "REGION": store.region}
    parts = [f"{name} {literal(value)}" for name, value in values.items() if value]
    if store.endpoint:
        parts.append(f"ENDPOINT {literal(urlsplit(store.endpoint).netloc)}, URL_STYLE 'path'")
        parts.append(f"USE_SSL {'false' if store.endpoint.startswith('http:') else 'true'}")
    return f"CREATE OR REPLACE TEMPORARY SECRET {_SECRET} (TYPE s3, {', '.join(parts)})"
