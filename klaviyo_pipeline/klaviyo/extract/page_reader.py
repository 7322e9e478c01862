"""The one loop over the pages of a stream, for the workers of a fetch and for the preview."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from klaviyo_pipeline.klaviyo.catalogue.columns import Column
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.catalogue.revisions import expected_answer, shape_of
from klaviyo_pipeline.klaviyo.client.client import Answer, KlaviyoClient
from klaviyo_pipeline.klaviyo.client.envelope import check_links, check_next
from klaviyo_pipeline.klaviyo.decode.guarding import Guard
from klaviyo_pipeline.klaviyo.decode.pages import Page, PageDecoder
from klaviyo_pipeline.klaviyo.errors import CursorRefusedError, RequestRefusedError
from klaviyo_pipeline.klaviyo.extract.paging import Paging
from klaviyo_pipeline.klaviyo.extract.requests import PageSizes, Stream, WholeRows, first_request, request_for
from klaviyo_pipeline.klaviyo.windows import TimeSlice

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.decode.reports import ReportDecoder

PAGE_SIZES, WHOLE_ROWS = PageSizes(), WholeRows()
CURSOR_RESTARTS = 3
"""How often a slice starts over because its cursor was refused."""


class PageReader:
    """Reads the pages of a data source's streams. Safe to share between threads.

    Args:
        client: The account to read from.
        source: What is read.
        columns: The columns to make.
        options: The source's options in force.
        time_column: The column of the window's time; None without a window.
        largest: Ask for no larger pages than this; None for Klaviyo's largest.
        cancelled: Once it is set, no request is sent.
        book: Called each time before a request is sent; what it raises keeps it from being sent.
        guard: Lets through what may be kept; by default by the account's rules.
    """

    def __init__(
        self,
        client: KlaviyoClient,
        source: Source,
        columns: Sequence[Column],
        options: frozenset[str],
        *,
        time_column: str | None = None,
        largest: int | None = None,
        cancelled: threading.Event | None = None,
        book: Callable[[], None] | None = None,
        guard: Guard | None = None,
    ) -> None:
        self._client = client
        self._source = source
        # Each of several collections has a type of its own.
        self._resource = source.resource if not source.parts else None
        self._columns = columns
        self._options = options
        self._time_column = time_column
        self._largest = largest
        self._cancelled = cancelled
        self._book = book
        self._guard = guard or Guard.of(source, columns, client.rules)
        self._revision = expected_answer(client.revision)
        self._decoders: dict[tuple[str, bool], PageDecoder] = {}

    def pages(self, stream: Stream, begin: Callable[[bool], TimeSlice]) -> Iterator[Answer[Page]]:
        """A slice's pages, one after another.

        If Klaviyo refuses the page size, it asks for smaller pages from then on. If Klaviyo refuses a cursor, the slice
        starts again, up to three times.

        Args:
            stream: What is read.
            begin: Gives the slice's bounds. Called with False at first, with True to begin again after some pages.

        Raises:
            KlaviyoError: of the first page that could not be read.
            NotFoundError: The stream was deleted.
        """
        target, page_size = self._first(stream, begin(False))
        paging = Paging(stream.subject, self._client.settings.max_pages_without_rows, target)
        read = restarts = 0
        linked = False
        while True:
            try:
                answer = self._page(stream, target, linked)
            except CursorRefusedError:
                if restarts >= CURSOR_RESTARTS or not read:
                    raise
                restarts += 1
                target, page_size = self._first(stream, begin(True))
                paging.restart(target)
                continue
            except RequestRefusedError as error:
                if not read and self._leaves_out() and _is_about_fields(error):
                    WHOLE_ROWS.refused(self._source, self._revision)
                    target, page_size = self._first(stream, begin(False))
                    continue
                if read or page_size is None or not _is_about_page_size(error):
                    raise
                PAGE_SIZES.refused(self._client.account, self._source, self._revision, page_size)
                target, page_size = self._first(stream, begin(False))
                continue
            read += 1
            linked = linked or answer.value.has_links
            paging.follow(answer.value)
            yield answer
            if answer.value.next_target is None:
                return
            target = answer.value.next_target

    def _first(self, stream: Stream, bounds: TimeSlice) -> tuple[str, int | None]:
        """The first request of a slice, and its page size."""
        if stream.question is not None:
            return stream.path, None
        page_size = PAGE_SIZES.get(self._client.account, self._source, self._revision)
        if page_size is not None and self._largest is not None:
            page_size = min(page_size, self._largest)
        sparse = not WHOLE_ROWS.asked(self._source, self._revision)
        request = first_request(self._source, stream, bounds, self._options, self._revision, page_size, sparse)
        return request.target, page_size

    def _leaves_out(self) -> bool:
        return bool(self._source.left_out) and not WHOLE_ROWS.asked(self._source, self._revision)

    def _page(self, stream: Stream, target: str, linked: bool) -> Answer[Page]:
        def decoder(revision: str) -> PageDecoder | ReportDecoder:
            if stream.question is not None:
                return stream.question.decoder(self._columns)
            return self._decoder(revision, stream.single)

        def read(body: bytes, revision: str) -> Page:
            page = decoder(revision).decode(body, stream.constants).filled(stream.fills)
            page = self._guard.let(page)
            check_links(has_links=page.has_links, linked=linked)
            check_next(target, page.next_target)
            return page

        request = request_for(self._source, stream, self._options, self._revision, target)
        if stream.question is not None:
            request = replace(stream.question.put(request), book=self._book)
        return self._client.fetch(request, read, self._cancelled)

    def _decoder(self, revision: str, single: bool) -> PageDecoder:
        shape = shape_of(revision)  # a server may name any day: only those that change the columns count
        if (shape, single) not in self._decoders:
            self._decoders[shape, single] = PageDecoder(
                self._columns,
                shape,
                self._time_column,
                resource=self._resource,
                single=single,
                left_out=self._source.left_out,
            )
        return self._decoders[shape, single]


def _is_about_fields(error: RequestRefusedError) -> bool:
    return "fields" in f"{error.parameter} {error}".lower()


def _is_about_page_size(error: RequestRefusedError) -> bool:
    text = f"{error.parameter} {error}".lower()
    return any(name in text for name in ("page_size", "page[size]", "page size", "pagesize"))
