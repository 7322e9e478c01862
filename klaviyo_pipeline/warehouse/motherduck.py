"""A database at MotherDuck, as a connection of DuckDB. Not tested by us: there is no server of it to test with.

It has no locks of ours: run one load of a table at a time, or two may both insert a key that is new.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from klaviyo_pipeline.redaction import redact
from klaviyo_pipeline.warehouse.errors import DatabaseFileError, DatabaseMissingError
from klaviyo_pipeline.warehouse.extensions import load_extensions
from klaviyo_pipeline.warehouse.interface import Warehouse
from klaviyo_pipeline.warehouse.sql import literal, qualified, quote

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class MotherDuck(Warehouse):
    """A database at MotherDuck, which takes the token from MOTHERDUCK_TOKEN.

    Args:
        database: The name of the database.
        may_install: Whether DuckDB may download its extension.
    """

    database: str
    may_install: bool = False

    @property
    def name(self) -> str:
        """The address: ``md:`` and the database."""
        return f"md:{self.database}"

    @property
    def catalog(self) -> str:
        """The name of the database."""
        return self.database

    @property
    def local(self) -> Path:
        """A name of its own in the folder ``data``."""
        return Path(f"data/md-{self.database}").absolute()

    @property
    def is_shared(self) -> bool:
        """True: it is a service."""
        return True

    def disk_paths(self) -> tuple[Path, ...]:
        """None: it is elsewhere."""
        return ()

    @contextmanager
    def writing(self, *_tables: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """A session that writes."""
        with self._session(makes=True) as con:
            yield con

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A session that reads."""
        with self._session(makes=False) as con:
            yield con

    @contextmanager
    def lent_to(self, con: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Attaches the database to a scratch."""
        self._attach(con, makes=False)
        with self._detaching(con):
            yield

    def rehearsing(self) -> AbstractContextManager[Warehouse]:
        """The database; one that was missing is made, and stays."""
        return nullcontext(self)

    @contextmanager
    def _session(self, *, makes: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        with self.private_files(), self._instance() as con:
            self._attach(con, makes=makes)
            with self._explaining():
                yield con

    def _attach(self, con: duckdb.DuckDBPyConnection, *, makes: bool) -> None:
        import duckdb

        load_extensions(con, ("motherduck",), may_install=self.may_install)
        try:
            if makes:
                con.execute("ATTACH IF NOT EXISTS 'md:'")
                con.execute(f"CREATE DATABASE IF NOT EXISTS {quote(self.database)}")
            con.execute(f"ATTACH IF NOT EXISTS {literal(self.name)}")
            con.execute(f"USE {qualified(self.database, 'main')}")
            con.execute("SET TimeZone = 'UTC'")
        except duckdb.Error as error:
            text = redact(str(error))
            if "no database" in text.lower() or "does not exist" in text.lower():
                raise DatabaseMissingError(
                    f"There is no database {self.name} yet. Materialize an asset first."
                ) from None
            raise DatabaseFileError(f"{self.name} can't be opened. DuckDB said: {text}") from None
