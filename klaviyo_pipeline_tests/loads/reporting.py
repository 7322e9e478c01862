"""Loads of reports from a sandbox into an empty database, at a time of the test's choice.

Imported by processes that are killed, too.
"""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from klaviyo_pipeline import clock
from klaviyo_pipeline.klaviyo.catalogue.dimensions import grouped
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.client.transport import Http
from klaviyo_pipeline.klaviyo.endpoints.account import read_account
from klaviyo_pipeline.klaviyo.staging.stage import Stage, StagingArea
from klaviyo_pipeline.loads.destination import Place
from klaviyo_pipeline.loads.load import Load, run
from klaviyo_pipeline.loads.request import LoadRequest
from klaviyo_pipeline.sandbox.api.messages import Request, Response
from klaviyo_pipeline.sandbox.faults.plan import NoFaults
from klaviyo_pipeline.sandbox.options import ServerOptions
from klaviyo_pipeline.sandbox.server import RunningSandbox, running_sandbox
from klaviyo_pipeline.warehouse import landing
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.landing import LandingResult
from klaviyo_pipeline.warehouse.quota import Booking, book
from klaviyo_pipeline_tests import clocks, instances
from klaviyo_pipeline_tests.orchestration.conftest import SHOP


class Asked(NoFaults):
    """Remembers what the reports are asked, and answers with something else from the so-manieth on if it is told to."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.other: Response | None = None
        self.other_from = 0

    async def instead(self, operation: str, request: Request) -> Response | None:
        if request.method != "POST":
            return None
        self.bodies.append(json.loads(request.body)["data"]["attributes"])
        return self.other if len(self.bodies) > self.other_from else None


@dataclass
class Reporting:
    """A sandbox, a database, and loads of reports between them."""

    url: str
    folder: Path
    asked: Asked = field(default_factory=Asked)
    lines: list[str] = field(default_factory=list)

    @property
    def database(self) -> Database:
        return Database(self.folder / "warehouse.duckdb")

    def place(self, table: str) -> Place:
        return Place(database=self.database, table=table)

    def load(
        self,
        name: str,
        *,
        run_id: str = "run",
        client: KlaviyoClient | None = None,
        by: Sequence[str] = (),
        table: str = "",
        **request: Any,
    ) -> Any:
        """Load a report as its asset does; the result, or None if nothing was read."""
        source = grouped(SOURCES[name], by)
        settings: dict[str, Any] = {"options": source.choose(), "incremental": source.incremental, **request}
        load = Load(
            request=LoadRequest(source=source, **settings),
            place=self.place(table or name),
            run_id=run_id,
        )
        log = logging.getLogger(f"reports.{self.folder.name}")
        log.addHandler(handler := _Lines(self.lines))
        try:
            result: LandingResult | None = run(
                load, client or self.client(), StagingArea(self.folder / "stage"), log=log
            )
        finally:
            log.removeHandler(handler)
        return result

    def client(self) -> KlaviyoClient:
        return KlaviyoClient("pk_sandbox", base_url=self.url)

    def sql(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        return instances.rows(self.database.file, query, *parameters)

    def hash_of(self, name: str) -> Any:
        """A hash over all rows of a table, whichever run wrote them."""
        rows = f"SELECT * EXCLUDE (_run_id, _loaded_at) FROM klaviyo.{name}"
        return self.sql(f"SELECT count(*), bit_xor(hash(t)) FROM ({rows}) AS t")

    @property
    def booked(self) -> int:
        """The requests that are booked in the database."""
        return int(self.sql("SELECT count(*) FROM klaviyo_pipeline.quota_requests")[0][0])

    @property
    def sent(self) -> int:
        """The report requests that the sandbox got."""
        return len(self.asked.bodies)

    def spend(self, requests: int, when: str) -> None:
        """Book requests as other loads of the account do."""
        spend(self.database, read_account(self.client()).id, requests, datetime.fromisoformat(when))


def spend(database: Database, account: str, requests: int, when: datetime) -> None:
    """Book so many requests at once: the first as the product does, then copies of it."""
    assert book(database, Booking(account, "reports", "other", "other"), when, 1_000) is None
    table = "klaviyo_pipeline.quota_requests"
    with database.writing() as con:
        con.execute(
            f"INSERT INTO {table} SELECT t.* FROM {table} AS t, range(?) WHERE booked_at = ?", [requests - 1, when]
        )


class _Lines(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())


@contextmanager
def at(text: str) -> Iterator[None]:
    """The product's clock shows this time."""
    with clocks.started_at(datetime.fromisoformat(text)):
        yield


@contextmanager
def sandbox_of_the_clock() -> Iterator[RunningSandbox]:
    """A small shop whose present is that of the product's clock."""
    with running_sandbox(SHOP, ServerOptions(rate_limits=False), clock=lambda: clock.now().timestamp()) as running:
        yield running


@contextmanager
def reporting_on(sandbox: RunningSandbox, folder: Path) -> Iterator[Reporting]:
    """Loads from a sandbox that counts afresh."""
    asked = Asked()
    sandbox.reset_counts()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox.app, "faults", asked)
        yield Reporting(sandbox.url, folder, asked)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with sandbox_of_the_clock() as running:
        yield running


@pytest.fixture
def reports(sandbox: RunningSandbox, tmp_path: Path) -> Iterator[Reporting]:
    with reporting_on(sandbox, tmp_path) as found:
        yield found


def load_and_die(url: str, folder: str, name: str, when: str, hook: str, times: int) -> None:
    """Load a report; killed, as `kill -9` does it, at a hook the so-manieth time."""
    owner, method = HOOKS[hook]
    original, left = getattr(owner, method), times

    def hooked(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        is_other = owner is Http and arguments[2] is None  # a GET
        left -= not is_other
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **named)

    setattr(owner, method, hooked)
    with at(when):
        Reporting(url, Path(folder)).load(name)


HOOKS: dict[str, tuple[Any, str]] = {
    "a request is about to be sent": (Http, "send"),
    "a piece is finished": (Stage, "finish_slice"),
    "the landing begins": (landing, "land_within"),
}
