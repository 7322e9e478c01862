"""What an extract is asked for, and what it comes to."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from klaviyo_pipeline.klaviyo.catalogue.columns import Column
from klaviyo_pipeline.klaviyo.catalogue.model import FilterBy, Source, TimeField
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient, Traffic
from klaviyo_pipeline.klaviyo.decode.pages import arrow_schema
from klaviyo_pipeline.klaviyo.errors import QuotaSpentError, StageDamagedError
from klaviyo_pipeline.klaviyo.extract.progress import Findings, Progress
from klaviyo_pipeline.klaviyo.staging.stage import Stage
from klaviyo_pipeline.klaviyo.windows import Window
from klaviyo_pipeline.people import Nobody, People
from klaviyo_pipeline.staged_pages import DamagedPagesError, StagedFile, read_pages

if TYPE_CHECKING:
    import pyarrow as pa

    from klaviyo_pipeline.klaviyo.extract.parents import Parents


@dataclass(frozen=True)
class ExtractRequest:
    """What to load.

    Attributes:
        source: The data source.
        window: The stretch of time, ``[start, end)``; open on both sides for the whole collection.
        filter_by: Which of a row's times the window is about; None for the source's default.
        options: The source's options in force (``Source.choose``).
        ids: For a source that fans out: the parents' ids. None for all of them.
        parents: For event_metrics and event_profiles: the events, with the columns id, datetime, and metric_id or
            profile_id.
        most_bytes: Stage no more than so many bytes: what is staged then ends at ``StagedExtract.until``. For a
            source that is read over a time that can be cut. None: all of the window.
        begins: When the fetch begins, if that is later than the run (``window.now``).
        children: Data sources whose rows stand in these; the extract has the columns that they are made from.
        known_parents: For a source that fans out: the ids of all parents, if they are known. None to ask for them.
        chosen: For a source with a choice: the ids of what its rows must belong to. None for all rows.
        people: People who were erased, and who must not come back.
    """

    source: Source
    window: Window
    filter_by: FilterBy | None = None
    options: frozenset[str] = frozenset()
    ids: tuple[str, ...] | None = None
    parents: Parents | None = None
    most_bytes: int | None = None
    begins: datetime | None = None
    children: tuple[Source, ...] = ()
    chosen: tuple[str, ...] | None = None
    known_parents: tuple[str, ...] | None = None
    people: People = field(default_factory=Nobody, repr=False)

    @property
    def can_end_early(self) -> bool:
        """Whether the window can be staged in parts: one stream, in the order of a time that requests are cut by."""
        field, source = self.time_field, self.source
        one = not source.parts and source.fan_out is None and all(len(each) == 1 for _first, each in source.streams)
        one = one and len(self.chosen or ("all",)) == 1
        return one and field is not None and field.can_be_cut and source.sorted_by_time

    @property
    def is_whole(self) -> bool:
        """Whether the whole collection is read, so that rows that do not come back are gone."""
        return self.window.start is None and self.window.end is None

    @property
    def time_field(self) -> TimeField | None:
        """The time that slices are taken over; None where one cursor has to do.

        A whole read is cut by the time of creation, which no row changes while it lasts.
        """
        chosen = self.source.time_field(self.filter_by)
        if not self.is_whole or (chosen is not None and chosen.earliest):
            return chosen
        for candidate in self.source.time_fields:
            if candidate.filter_by is FilterBy.CREATED and candidate.can_be_cut and self.source.sorted_by_time:
                return candidate
        return None

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that the extract has."""
        return (*self.source.columns_for(self.options), *self.staged_only)

    @property
    def staged_only(self) -> tuple[Column, ...]:
        """Those of them that no table of the data source has: its children are made from them."""
        inside = {each.child.inside for each in self.children if each.child is not None}
        return tuple(
            column
            for column in self.source.staged
            if column.name in inside and (column.option is None or column.option in self.options)
        )


@dataclass(frozen=True)
class StagedExtract:
    """A finished fetch: Arrow files, their columns and window, and what happened on the way.

    ``revision`` is the one that answered, ``written_revision`` the one in the configuration.
    ``stopped`` says why a report's window ends earlier than was asked for. Times are aware UTC. ``landed``, ``drop`` or
    ``keep`` must be called in the end: the first two remove the files, the last leaves them to the next run of the same
    window.
    """

    request: ExtractRequest
    files: tuple[StagedFile, ...]
    revision: str
    written_revision: str
    traffic: Traffic
    findings: Findings
    progress: Progress
    duration_s: float
    clock_ahead_s: float
    stage: Stage = field(repr=False)
    stopped: QuotaSpentError | None = None
    beside: tuple[Stage, ...] = field(default=(), repr=False)
    """Stages that the rows were made from: the next run makes them again from these, if they could not be landed."""

    @property
    def extract_id(self) -> str:
        """Names this extract, also when it was taken up from a killed run: it must not be appended twice."""
        return self.stage.extract_id

    @property
    def waited_for_limit_s(self) -> float:
        """How long requests waited for their turn at the rate limit, summed over all connections."""
        return self.traffic.limit_wait_s

    @property
    def watermark(self) -> datetime:
        """Up to when the window is complete, on Klaviyo's clock: ours may be ahead."""
        window = self.request.window
        if self.until is not None:
            return self.until
        return min(window.watermark, window.now - timedelta(seconds=self.clock_ahead_s))

    @property
    def until(self) -> datetime | None:
        """Where the part of the window that is staged ends, and the next one begins; None: the window is staged."""
        return self.stage.until

    @property
    def source(self) -> Source:
        """The data source."""
        return self.request.source

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the rows, without ``_extra``."""
        return self.request.columns

    @property
    def rows(self) -> int:
        """Rows staged; a row that Klaviyo sent twice counts twice."""
        return sum(file.rows for file in self.files)

    @property
    def rows_by_stream(self) -> dict[str, int]:
        """Rows staged of each stream, such as each list's members; a stream that was read and has none has 0."""
        rows = Counter[str]()
        for staged in self.stage.slices.values():
            rows[staged.stream] += staged.rows
        return dict(rows)

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of the files."""
        return arrow_schema(self.columns)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The staged rows, a page at a time."""
        return read_batches(self.files)

    def landed(self) -> None:
        """The rows are in a table: remove the files."""
        self._close(remove=True)

    def drop(self) -> None:
        """The rows are not to be trusted: remove the files, so that the next run reads anew."""
        self._close(remove=True)

    def keep(self) -> None:
        """The rows could not be landed: leave the files to the next run of this window."""
        self._close(remove=False)

    def _close(self, *, remove: bool) -> None:
        for stage in (self.stage, *self.beside):
            stage.close(remove=remove)


class Begun:
    """A fetch that has begun now: knows what it took when it has ended."""

    def __init__(self, client: KlaviyoClient, request: ExtractRequest) -> None:
        self._client = client
        self._request = request
        self._began = time.monotonic()
        self._before = client.traffic.copy()

    def staged(
        self, stage: Stage, findings: Findings, progress: Progress, beside: tuple[Stage, ...] = ()
    ) -> StagedExtract:
        """What the fetch has come to."""
        return StagedExtract(
            request=self._request,
            files=stage.files(),
            revision=max(findings.revisions, default=self._client.revision),
            written_revision=self._client.written_revision,
            traffic=self._client.traffic.since(self._before),
            findings=findings,
            progress=progress,
            duration_s=time.monotonic() - self._began,
            clock_ahead_s=self._client.clock_ahead_s,
            stage=stage,
            beside=beside,
        )


def kept_by(client: KlaviyoClient, request: ExtractRequest) -> dict[str, str]:
    """What else decides the rows of a stage: the account's privacy rules, and who was erased."""
    people = hashlib.sha256("\n".join(sorted(request.people.tokens)).encode()).hexdigest()[:16]
    return {
        **({"privacy": client.rules.fingerprint} if client.rules else {}),
        **({"people": people} if request.people else {}),
    }


def read_batches(files: tuple[StagedFile, ...], columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Rows of staged files, a page at a time, with all columns or these.

    Raises:
        StageDamagedError: A file is not as it was written.
    """
    for file in files:
        try:
            yield from read_pages(file, columns)
        except DamagedPagesError as error:
            raise StageDamagedError(f"Staged pages were damaged after they were fetched: {error}.") from error
