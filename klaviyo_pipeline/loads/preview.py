"""The first rows of a transfer, typed as they would land. No row is written: no table, no staging.

A preview of a report spends one request of the daily quota, and books it in the database.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline import clock
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.errors import NotFoundError
from klaviyo_pipeline.klaviyo.windows import TimeSlice, Window
from klaviyo_pipeline.loads.children import read_for
from klaviyo_pipeline.loads.chosen import resolve
from klaviyo_pipeline.loads.known import people_erased
from klaviyo_pipeline.loads.request import LoadRequest, window_of
from klaviyo_pipeline.people import Nobody
from klaviyo_pipeline.times import parse_zone

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.client.client import Answer, KlaviyoClient
    from klaviyo_pipeline.klaviyo.decode.pages import Page
    from klaviyo_pipeline.klaviyo.extract.model import ExtractRequest
    from klaviyo_pipeline.klaviyo.extract.requests import Stream
    from klaviyo_pipeline.loads.destination import Place
    from klaviyo_pipeline.warehouse.interface import Warehouse

DEFAULT_ROWS = 10
MOST_ROWS = 1_000
REPORT_DAYS = 30
MOST_REQUESTS = 25
"""A preview is a look, not a load: rows that many requests have not brought are not waited for."""


@dataclass(frozen=True)
class Preview:
    """The columns with their types, the first rows' values by column, and the revision that answered."""

    columns: tuple[tuple[str, str], ...]
    rows: tuple[dict[str, Any], ...]
    revision: str


def preview(
    client: KlaviyoClient,
    wanted: LoadRequest,
    zone: tzinfo,
    rows: int = DEFAULT_ROWS,
    place: Place | None = None,
) -> Preview:
    """Read the first rows of what a first run would load; of a report, those of the last 30 days.

    Args:
        client: The account to read from.
        wanted: What is asked for.
        zone: The storage time zone, for times without an offset.
        rows: How many rows to show.
        place: Where the rows would land. Its database books the request of a report, and knows the people who were
            erased, whose rows are left out. None: neither.

    Raises:
        PrivacySecretError: if people were erased with a secret that is not set now.
        LaterRevisionError: if the revision does not have the data source.
        QuotaSpentError: if a report's daily requests are used up.
        KlaviyoError: if they cannot be read.
    """
    from klaviyo_pipeline.klaviyo.decode.children import ChildDecoder
    from klaviyo_pipeline.klaviyo.extract.extract import refuse_older_revision
    from klaviyo_pipeline.klaviyo.extract.model import ExtractRequest

    refuse_older_revision(client, wanted.source)
    window = window_of(wanted, partition=None, last_end=None, zone=zone)
    assert window is not None
    source, options, children = read_for(wanted, (), _answering(client))
    chosen = _chosen(client, wanted)
    people = people_erased(place) if place is not None else Nobody()
    request = ExtractRequest(
        source, window, wanted.filter_by, options, wanted.ids, children=children, chosen=chosen, people=people
    )
    found: list[dict[str, Any]] = []
    revision = _answering(client)
    rows_of = ChildDecoder(wanted.source, revision).rows if wanted.source.child is not None else None
    if wanted.source.report is not None:
        pages = _of_report(client, request, place.database if place is not None else None)
    else:
        pages = _pages(client, request, rows if rows_of is None else MOST_ROWS)
    for number, answer in enumerate(pages, start=1):
        revision, batch = answer.revision, answer.value.batch
        if rows_of is None:
            found += [row for row in batch.to_pylist() if _inside(row, request)]
        else:
            found += rows_of(batch).to_pylist()
        if len(found) >= rows or number == MOST_REQUESTS:
            break
    columns = tuple((column.name, column.type.value) for column in wanted.source.columns_for(wanted.options))
    return Preview(columns, tuple({name: row[name] for name, _kind in columns} for row in found[:rows]), revision)


def _chosen(client: KlaviyoClient, wanted: LoadRequest) -> tuple[str, ...] | None:
    """The ids of what the rows are limited to; None for all rows."""
    from klaviyo_pipeline.klaviyo.extract.model import ExtractRequest

    choice = wanted.source.choice
    if choice is None or wanted.chosen is None:
        return None
    every = ExtractRequest(SOURCES[choice.of], Window(None, None, clock.now()))
    rows = [row for page in _pages(client, every, MOST_ROWS) for row in page.value.batch.to_pylist()]
    return tuple(resolve(choice, wanted.chosen, {row["id"]: row["name"] or row["id"] for row in rows}))


def _inside(row: dict[str, Any], request: ExtractRequest) -> bool:
    """Whether a row lies in the window: requests are a little wider, as a landing is trimmed too."""
    field, window = request.time_field, request.window
    time = row.get(field.column) if field is not None and field.column and not request.is_whole else None
    if time is None:
        return True
    return (window.start is None or time >= window.start) and (window.end is None or time < window.end)


def _pages(client: KlaviyoClient, request: ExtractRequest, rows: int) -> Iterator[Answer[Page]]:
    from klaviyo_pipeline.klaviyo.decode.guarding import Guard
    from klaviyo_pipeline.klaviyo.extract.page_reader import PageReader
    from klaviyo_pipeline.klaviyo.extract.requests import observed

    guard = Guard.of(request.source, request.columns, client.rules, request.people)
    reader = PageReader(client, request.source, request.columns, request.options, largest=rows + 1, guard=guard)
    bounds = TimeSlice(request.window.request_start, request.window.request_end)
    for stream in observed(_streams(client, request, rows), request.source, request.window.now):
        try:
            yield from reader.pages(stream, lambda _again: bounds)
        except NotFoundError:
            if not stream.may_vanish:
                raise


def _of_report(client: KlaviyoClient, request: ExtractRequest, database: Warehouse | None) -> Iterator[Answer[Page]]:
    """The answer for the first piece of a report's window."""
    from klaviyo_pipeline.klaviyo.endpoints.account import read_account
    from klaviyo_pipeline.klaviyo.extract.extract import metric_in_role, refuse_without_roles
    from klaviyo_pipeline.klaviyo.extract.page_reader import PageReader
    from klaviyo_pipeline.klaviyo.extract.pieces import pieces_of, stream_of
    from klaviyo_pipeline.loads.quota import DailyBudget

    source, window = request.source, request.window
    report, account = source.report, read_account(client)
    assert report is not None
    zone = parse_zone(account.timezone, "the account's time zone")
    start = window.start or (window.end or window.now) - timedelta(days=REPORT_DAYS - 1)
    piece = pieces_of(report, Window(start, window.end, window.now), zone)[0]
    id_ = request.ids[0] if request.ids else None
    if source.fan_out is not None and id_ is None:
        if report.role:
            refuse_without_roles(client)
        parents = _first_of(client, SOURCES[source.fan_out.parent], MOST_ROWS)
        id_ = metric_in_role(parents, report.role) if report.role else parents[0]["id"]
    book = None
    if report.quota is not None and database is not None:
        book = DailyBudget(database, report.quota, account.id, source.name, "preview").book
    reader = PageReader(client, source, request.columns, request.options, book=book)
    stream = stream_of(source, piece, id_, zone, window.now, _answering(client))
    yield next(reader.pages(stream, lambda _again: TimeSlice(None, None)))


def _streams(client: KlaviyoClient, request: ExtractRequest, rows: int) -> Iterator[Stream]:
    from klaviyo_pipeline.klaviyo.extract.requests import streams_of, streams_of_parents

    source = request.source
    if source.fan_out is None:
        yield from streams_of(source, _answering(client), request.time_field, request.chosen)
        return
    single = source.one_for_each
    ids, may_vanish, carried = request.ids, request.ids is None, dict[str, dict[str, Any]]()
    if ids is None:
        parent = SOURCES[source.fan_out.parent]
        found = _first_of(client, parent, MOST_ROWS if source.fan_out.childless else rows if single else MOST_REQUESTS)
        first = [row for row in found if source.fan_out.can_have_children(row)]
        ids = tuple(row["id"] for row in first)
        carried = {row["id"]: source.fan_out.carried(row) for row in first}
    for stream in streams_of_parents(source, ids, request.time_field, single=single, may_vanish=may_vanish):
        yield replace(stream, constants={**stream.constants, **carried.get(stream.key, {})})


def _first_of(client: KlaviyoClient, source: Source, rows: int) -> list[dict[str, Any]]:
    from klaviyo_pipeline.klaviyo.extract.extract import all_of, rows_of

    answer = next(iter(_pages(client, all_of(source, clock.now()), rows)))
    return rows_of(source, answer.value.batch, answer.revision).slice(0, rows).to_pylist()  # type: ignore[no-any-return]


def _answering(client: KlaviyoClient) -> str:
    from klaviyo_pipeline.klaviyo.catalogue.revisions import expected_answer

    return expected_answer(client.revision)
