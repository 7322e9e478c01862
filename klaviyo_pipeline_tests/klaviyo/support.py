"""What the tests of this room share: virtual time, scripted faults, and the truth about a sandbox."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from klaviyo_pipeline.grammar import LEAST_MEMORY_MB
from klaviyo_pipeline.klaviyo.catalogue.model import FilterBy, Source
from klaviyo_pipeline.klaviyo.catalogue.revisions import expected_answer
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.extract import page_reader
from klaviyo_pipeline.klaviyo.extract.extract import extract
from klaviyo_pipeline.klaviyo.extract.model import ExtractRequest, StagedExtract
from klaviyo_pipeline.klaviyo.extract.progress import Progress
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.klaviyo.windows import Window
from klaviyo_pipeline.sandbox.api.messages import Request, Response, Send, deliver
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.data.times import moment
from klaviyo_pipeline.sandbox.faults.plan import NoFaults
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.parent_rows import ParentRows
from klaviyo_pipeline_tests.core import CORE

SHOP_ENDS = datetime(2026, 11, 20, tzinfo=UTC)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
"""When the runs of these tests begin: the shop has events dated after it."""
EVERY_SOURCE = tuple(CORE)
REVISION_SHAPES = ("2025-01-15", "2026-07-15", "2026-10-15")


@dataclass
class VirtualTime:
    """A clock that moves only when somebody waits. Stands in for the event that cancels a request."""

    now: float = 1_000.0
    waits: list[float] = field(default_factory=list)
    cancelled: bool = False

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        assert seconds > 0 or seconds == 0, "a wait goes forward"
        self.waits.append(seconds)
        self.now += seconds
        return self.cancelled

    def is_set(self) -> bool:
        return self.cancelled


class Watched(NoFaults):
    """Remembers every request, and answers what a script says instead of the sandbox."""

    def __init__(self, script: Callable[[str, Request], Response | None] = lambda _operation, _request: None) -> None:
        self.requests: list[Request] = []
        self.operations: list[str] = []
        self.script = script
        self.alter: Callable[[str, Request, Response], Response] = lambda _operation, _request, response: response

    async def instead(self, operation: str, request: Request) -> Response | None:
        self.requests.append(request)
        self.operations.append(operation)
        return self.script(operation, request)

    async def deliver(self, operation: str, request: Request, response: Response, send: Send) -> None:
        await deliver(self.alter(operation, request, response), send)

    def asked(self, name: str) -> list[str | None]:
        """A parameter's value in each request."""
        return [request.parameters.get(name) for request in self.requests]


def refusal(status: int, detail: str, *, code: str = "invalid", **source: str) -> Response:
    """An error document as Klaviyo writes it."""
    error = {"id": "0", "status": status, "code": code, "title": "Invalid input.", "detail": detail, "source": source}
    return Response(status, Response.json({"errors": [error]}).body)


@dataclass
class Loaded:
    """A finished extract and its rows, trimmed to the window as landing does it."""

    staged: StagedExtract
    rows: list[dict[str, Any]]

    @property
    def ids(self) -> list[str]:
        return [row["id"] for row in self.rows]


def load(
    client: KlaviyoClient,
    area: StagingArea,
    name: str,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    now: datetime = NOW,
    filter_by: FilterBy | None = None,
    ids: Sequence[str] | None = None,
    parents: Any = None,
    report: Callable[[Progress], None] = lambda _progress: None,
    keep: bool = False,
    **options: bool,
) -> Loaded:
    """Extract a window of a source, and read what was staged."""
    request = request_for(
        name, start, end, now=now, filter_by=filter_by, ids=tuple(ids) if ids is not None else None, **options
    )
    if parents is not None:
        request = replace(request, parents=rows_of(request.source, parents, area))
    staged = extract(client, request, area, report, report_every_s=0.005)
    rows = trimmed([row for batch in staged.batches() for row in batch.to_pylist()], request)
    if keep:
        staged.keep()
    else:
        staged.landed()
    return Loaded(staged, rows)


def rows_of(source: Source, events: pa.Table, area: StagingArea) -> ParentRows:
    """Events, for what follows from them; they are copied within the least memory that is allowed."""
    assert source.fan_out is not None
    assert source.fan_out.key is not None
    database = Database(area.root / "none.duckdb", memory_limit=f"{LEAST_MEMORY_MB}MB")
    return ParentRows(database, events, source.fan_out.parent_columns, source.fan_out.key)


def request_for(
    name: str,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    now: datetime = NOW,
    filter_by: FilterBy | None = None,
    ids: tuple[str, ...] | None = None,
    **options: bool,
) -> ExtractRequest:
    source = CORE[name]
    return ExtractRequest(source, Window(start, end, now), filter_by, source.choose(**options), ids)


def trimmed(rows: list[dict[str, Any]], request: ExtractRequest) -> list[dict[str, Any]]:
    window, time_field = request.window, request.source.time_field(request.filter_by)
    if time_field is None:
        return rows
    return [row for row in rows if _lies_in(row[time_field.name], window.start, window.end)]


def _lies_in(time: datetime, start: datetime | None, end: datetime | None) -> bool:
    return (start is None or time >= start) and (end is None or time < end)


def truth(
    store: Store,
    name: str,
    start: datetime | None = None,
    end: datetime | None = None,
    filter_by: FilterBy | None = None,
) -> list[str]:
    """The ids that a source has in a window, sorted, read from the store past the API."""
    source = CORE[name]
    time_field = source.time_field(filter_by)
    attribute = time_field.name if time_field else ""
    found = [
        (identifier, _moment(row, attribute, whole=name != "campaigns")) for identifier, row in _stored(store, name)
    ]
    return sorted(identifier for identifier, time in found if time is None or _lies_in(time, start, end))


def _stored(store: Store, name: str) -> Iterator[tuple[str, Any]]:
    if name == "list_profiles":
        for list_id, members in store.members.items():
            for member in members.sorted:
                yield f"{list_id}:{member.profile_id}", member
        return
    for row in getattr(store, {"event_metrics": "events", "event_profiles": "events"}.get(name, name)):
        yield row.id, row


def _moment(row: Any, attribute: str, *, whole: bool) -> datetime | None:
    if not attribute:
        return None
    if attribute == "datetime":
        return datetime.fromtimestamp(row.timestamp, UTC)
    micros = row.joined_at if attribute == "joined_group_at" else getattr(row, attribute)
    found = moment(micros)
    return found.replace(microsecond=0) if whole else found


def busiest_minutes(store: Store, minutes: int = 10) -> tuple[datetime, datetime, int]:
    """The stretch of whole minutes with the most events."""
    counts: dict[int, int] = {}
    for event in store.events:
        counts[event.timestamp // 60] = counts.get(event.timestamp // 60, 0) + 1
    best = max(counts, key=lambda first: sum(counts.get(first + i, 0) for i in range(minutes)))
    start = datetime.fromtimestamp(best * 60, UTC)
    return start, start + timedelta(minutes=minutes), sum(counts.get(best + i, 0) for i in range(minutes))


def events_in_ten_minutes(metric_id: str | None, profile_id: str | None, count: int) -> list[dict[str, Any]]:
    """Events of a campaign that goes out: all in ten minutes of one day."""
    begin = int(datetime(2026, 11, 10, 9, tzinfo=UTC).timestamp())
    return [
        {
            "id": f"dense{number:06d}",
            "timestamp": begin + number * 600 // count,
            "metric_id": metric_id,
            "profile_id": profile_id,
        }
        for number in range(count)
    ]


def named(name: str) -> Source:
    return CORE[name]


def page_size(client: KlaviyoClient, name: str, size: int) -> None:
    """Have pages of another size asked for."""
    page_reader.PAGE_SIZES._refused[client.account, name, expected_answer(client.revision)] = size
