"""A report, read piece by piece, oldest first, until its window is read or the day's requests are used up.

Klaviyo allows two report requests a minute, so there is nothing to gain from several at once. A piece is whole, or it
is not landed at all. Pieces that a killed run has staged are not asked for again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from klaviyo_pipeline import clock
from klaviyo_pipeline.klaviyo.catalogue.revisions import expected_answer
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.decode.pages import arrow_schema
from klaviyo_pipeline.klaviyo.errors import NotFoundError, QuotaSpentError, RateLimitedError, RequestRefusedError
from klaviyo_pipeline.klaviyo.extract.model import Begun, ExtractRequest, StagedExtract
from klaviyo_pipeline.klaviyo.extract.page_reader import PageReader
from klaviyo_pipeline.klaviyo.extract.pieces import Piece, pieces_of, stream_of
from klaviyo_pipeline.klaviyo.extract.progress import Findings, Progress
from klaviyo_pipeline.klaviyo.extract.requests import Stream
from klaviyo_pipeline.klaviyo.windows import TimeSlice, Window
from klaviyo_pipeline.times import start_of

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from klaviyo_pipeline.klaviyo.staging.stage import Stage


class Budget(Protocol):
    """The requests that a report may still spend."""

    def afford(self, requests: int, reserve: int = 0) -> None:
        """Raise QuotaSpentError if there are not so many left, and the reserve beside them."""

    def book(self) -> None:
        """Take one request that is about to be sent; QuotaSpentError if there is none left."""


class Unlimited:
    """A budget that has no end, for reports without a daily quota."""

    def afford(self, requests: int, reserve: int = 0) -> None:
        """Do nothing."""

    def book(self) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class ReportRequest(ExtractRequest):
    """What to load of a report.

    Attributes:
        zone: The account's time zone, whose days the rows have.
        budget: The requests that may be spent.
    """

    zone: ZoneInfo | None = None
    budget: Budget = Unlimited()  # noqa: RUF009 - has no state


class ReportReader:
    """Reads a report into a stage.

    Args:
        client: The account to read from.
        request: What to load.
        stage: Where rows go. Pieces that a killed run finished there are not read again.
        ids: The metrics to ask about, one after another; None for a report that takes none.
        report: Called with the progress after each piece.
    """

    def __init__(
        self,
        client: KlaviyoClient,
        request: ReportRequest,
        stage: Stage,
        ids: Sequence[str] | None,
        report: Callable[[Progress], None],
    ) -> None:
        source = request.source
        assert source.report is not None
        assert request.zone is not None
        self.findings = Findings()
        self.progress = Progress()
        self.stopped: QuotaSpentError | None = None
        self._client, self._request, self._stage, self._report = client, request, stage, report
        self._zone, self._declared = request.zone, source.report
        self._ids: Sequence[str | None] = (None,) if ids is None else ids
        self._reader = PageReader(client, source, request.columns, request.options, book=request.budget.book)
        self._pieces = pieces_of(source.report, request.window, request.zone)
        self._began, self._before = time.monotonic(), client.traffic.copy()

    def read(self) -> Window:
        """Read the pieces, oldest first.

        Returns:
            The window that is read, which ends early where the requests are used up.

        Raises:
            QuotaSpentError: Not even the first piece could be read.
            KlaviyoError: of the first answer that could not be read.
        """
        window = self._request.window
        begun = {staged.stream: staged for staged in list(self._stage.slices.values())}
        for number, piece in enumerate(self._pieces):
            streams = [self._stream(piece, id_) for id_ in self._ids]
            finished = {key for key, staged in begun.items() if staged.done}
            left = [stream for stream in streams if stream.key not in finished]
            try:
                if left:
                    self._request.budget.afford(len(left), self._reserve(piece))
                for stream in left:
                    if stream.key in begun:
                        self._stage.drop_slice(begun[stream.key])
                    self._read(stream)
            except (QuotaSpentError, RateLimitedError) as error:
                self.stopped = _stop(error)
                if not number:
                    raise self.stopped from None
                self._drop(streams)
                return window if piece.window else replace(window, end=start_of(piece.first, self._zone))
            self.progress.resumed_rows += sum(begun[each.key].rows for each in streams if each.key in finished)
            self._tell((number + 1) / len(self._pieces))
        return window

    def _stream(self, piece: Piece, id_: str | None) -> Stream:
        revision = expected_answer(self._client.revision)
        return stream_of(self._request.source, piece, id_, self._zone, self._request.window.now, revision)

    def _reserve(self, piece: Piece) -> int:
        """How many requests a piece must leave: one of history those that the daily loads need."""
        quota, lookback = self._declared.quota, timedelta(days=self._request.source.lookback_days)
        today = self._request.window.now.astimezone(self._zone).date()
        return quota.reserve if quota is not None and piece.last < today - lookback else 0

    def _read(self, stream: Stream) -> None:
        staged = self._stage.add_slice(stream.key, TimeSlice(None, None))
        try:
            with self._stage.writer(staged, arrow_schema(self._request.columns)) as writer:
                for answer in self._reader.pages(stream, lambda _again: TimeSlice(None, None)):
                    self.findings.add_revision(answer.revision)
                    self.findings.add(answer.value.unknown, answer.value.misfits)
                    self.progress.pages += 1
                    self.progress.rows += answer.value.rows
                    self.progress.page_bytes += answer.body_bytes
                    self._stage.note_clock(self._client.clock_ahead_s)
                    writer.write(answer.value.batch, None)
        except (NotFoundError, RequestRefusedError) as error:
            if self._request.ids is not None or self._declared.role or self._ids == (None,):
                raise
            self.findings.refused[stream.key.split(" ")[0]] = str(error)  # one metric of many
            self._stage.drop_slice(staged)
            return
        self._stage.finish_slice(staged)

    def _drop(self, streams: Sequence[Stream]) -> None:
        """Leave out what was read of a piece that is not whole."""
        keys = {stream.key for stream in streams}
        for staged in list(self._stage.slices.values()):
            if staged.stream in keys:
                self._stage.drop_slice(staged)

    def _tell(self, fraction: float) -> None:
        traffic = self._client.traffic.since(self._before)
        self.progress.fraction = fraction
        self.progress.elapsed_s = time.monotonic() - self._began
        self.progress.connections = 1
        self.progress.limit_wait_s, self.progress.retry_wait_s = traffic.limit_wait_s, traffic.retry_wait_s
        self.progress.retries = int(traffic.retries)
        self.progress.limit_per_minute = self._request.source.tier_for("", frozenset()).steady
        self._report(replace(self.progress))


def stage_report(
    client: KlaviyoClient,
    request: ReportRequest,
    stage: Stage,
    ids: Sequence[str] | None,
    report: Callable[[Progress], None],
) -> StagedExtract:
    """Stage a report's rows.

    Raises:
        QuotaSpentError: Not even the first piece could be read.
        KlaviyoError: of the first answer that could not be read; what was read stays staged for the next run.
    """
    begun = Begun(client, request)
    reader = ReportReader(client, request, stage, ids, report)
    try:
        window = reader.read()
    except BaseException:
        stage.close(remove=False)
        raise
    staged = begun.staged(stage, reader.findings, reader.progress)
    return replace(staged, request=replace(request, window=window), stopped=reader.stopped)


def _stop(error: QuotaSpentError | RateLimitedError) -> QuotaSpentError:
    """The end of the day's requests, also where Klaviyo says so: another program of the account spends them too.

    Raises:
        RateLimitedError: Klaviyo did not say how long to wait.
    """
    if isinstance(error, QuotaSpentError):
        return error
    if error.wait_s is None:
        raise error
    free_at = clock.now() + timedelta(seconds=error.wait_s)
    return QuotaSpentError(
        "Klaviyo takes no more report requests for now: others of the account use them too.", free_at
    )
