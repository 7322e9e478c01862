"""Many requests side by side: slices are read by a set of workers, and dense slices are split while they run.

One cursor is serial by nature, so the time to load is divided into slices. Time is not evenly filled (a campaign
sends half a day's events in ten minutes): a worker with nothing to do takes a part of what the busiest slice has
left. Slices are sorted by time, so what a slice has read is everything before its last row's time.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

import pyarrow as pa

from klaviyo_pipeline.klaviyo.catalogue.columns import Column
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.catalogue.revisions import expected_answer
from klaviyo_pipeline.klaviyo.client.client import Answer, KlaviyoClient
from klaviyo_pipeline.klaviyo.decode.arrays import times_within
from klaviyo_pipeline.klaviyo.decode.guarding import Guard
from klaviyo_pipeline.klaviyo.decode.pages import Page, arrow_schema
from klaviyo_pipeline.klaviyo.errors import CancelledError, NotFoundError
from klaviyo_pipeline.klaviyo.extract.page_reader import PageReader
from klaviyo_pipeline.klaviyo.extract.part_end import PartBound
from klaviyo_pipeline.klaviyo.extract.progress import Connections, Findings, Progress, Task
from klaviyo_pipeline.klaviyo.extract.requests import Stream, request_for
from klaviyo_pipeline.klaviyo.staging.stage import SliceWriter, Stage
from klaviyo_pipeline.klaviyo.windows import HISTORY_START, SECOND, TimeSlice, divide

LAST_PAGES_S = 5.0
"""After a failure, how long to wait for pages under way; they are not kept."""
WORTH_SPLITTING = 2.0
"""A slice is split while it is expected to have at least so many pages left."""


class Fetch:
    """Reads streams into a stage.

    Args:
        client: The account to read from.
        source: What is read.
        columns: The columns to make.
        options: The source's options in force.
        stage: Where pages go. Slices that a killed run finished there are not read again.
        now: When the run began; the upper end, for dividing, of a slice that is open towards the future.
        most_bytes: Stage no more than this, and end where that is reached (``stage.until``); None: read everything.
        guard: Lets through what may be kept; by default by the account's rules.
    """

    def __init__(
        self,
        client: KlaviyoClient,
        source: Source,
        columns: Sequence[Column],
        options: frozenset[str],
        stage: Stage,
        now: datetime,
        most_bytes: int | None = None,
        *,
        guard: Guard | None = None,
    ) -> None:
        self.progress = Progress()
        self.findings = Findings()
        self._client = client
        self._source = source
        self._columns = columns
        self._schema = arrow_schema(columns)
        self._options = options
        self._stage = stage
        self._now = now
        self._guard = guard
        self._bound = PartBound(stage, now, most_bytes) if most_bytes is not None else None
        self._revision = expected_answer(client.revision)
        self._time_column: str | None = None
        self._queue: deque[Task] = deque()
        self._running: list[Task] = []
        self._idle = 0
        self._connections = Connections(client.settings.max_connections)
        self._workers: list[threading.Thread] = []
        self._changed = threading.Condition()
        self._cancelled = threading.Event()
        self._failure: BaseException | None = None
        self._a_stream = Stream("", source.path, source.title)
        self._began = time.monotonic()
        self._before = client.traffic.copy()

    def run(
        self,
        streams: Sequence[Stream],
        slices: Sequence[TimeSlice],
        report: Callable[[Progress], None] = lambda _progress: None,
        report_every_s: float = 10.0,
    ) -> None:
        """Read all streams, each over these slices, and report while it lasts.

        Of a stream that a killed run began, only what is missing is read; and, if the slices are open towards the
        future, what came since that run began.

        Raises:
            KlaviyoError: of the first page that could not be read. What was read is kept in the stage.
        """
        time_field = streams[0].time_field if streams else None
        self._time_column = time_field.column if time_field else None
        self._reader = PageReader(
            self._client,
            self._source,
            self._columns,
            self._options,
            time_column=self._time_column,
            cancelled=self._cancelled,
            guard=self._guard,
        )
        self._plan(streams, slices)
        with self._changed:
            while self._connections.one_more_helps and self._connections.count < Connections.FIRST:
                self._add_worker()
        try:
            while not self._wait(report_every_s):
                report(self.snapshot())
        finally:
            self._cancelled.set()
            with self._changed:
                self._changed.notify_all()
            deadline = time.monotonic() + LAST_PAGES_S
            for worker in self._workers:
                worker.join(max(0.0, deadline - time.monotonic()))
        if self._failure is not None:
            raise self._failure
        report(self.snapshot())

    def snapshot(self) -> Progress:
        """The progress as it is now."""
        with self._changed:
            progress, traffic = self.progress, self._client.traffic.since(self._before)
            progress.slices_running, progress.slices_waiting = len(self._running), len(self._queue)
            progress.connections = self._connections.count
            progress.elapsed_s = time.monotonic() - self._began
            progress.fraction = self._fraction()
            progress.limit_wait_s, progress.retry_wait_s = traffic.limit_wait_s, traffic.retry_wait_s
            progress.retries = int(traffic.retries)
            progress.limit_per_minute = self._client.limit(
                request_for(self._source, self._a_stream, self._options, self._revision, "")
            ).requests_per_minute
            return replace(progress)

    def _wait(self, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(self._finished, seconds)

    def _fraction(self) -> float:
        """How much of the slices has been read; one that is open counts from its first row, or until now."""
        read_s = all_s = 0.0
        running = {task.staged.number: task for task in self._running}
        for staged in list(self._stage.slices.values()):
            task = running.get(staged.number)
            low = staged.bounds.start or (task.first_time if task else None) or HISTORY_START
            length_s = max(1.0, (staged.bounds.upper(self._now) - low).total_seconds())
            all_s += length_s
            if staged.done:
                read_s += length_s
            elif task is not None and task.last_time is not None and task.in_order:
                read_s += min(length_s, max(0.0, (task.last_time - low).total_seconds()))
        return read_s / all_s if all_s else 1.0

    def _plan(self, streams: Sequence[Stream], slices: Sequence[TimeSlice]) -> None:
        """Queue what is left to read: all slices, or what a killed run has not finished."""
        by_key = {stream.key: stream for stream in streams}
        joins_events = self._source.fan_out is not None and self._source.fan_out.key is not None
        begun = dict.fromkeys(staged.stream for staged in self._stage.slices.values())
        for staged in list(self._stage.slices.values()):
            if staged.stream not in by_key and not (staged.done and joins_events):
                self._stage.drop_slice(staged)  # of a list that was deleted since
                continue
            self.progress.resumed_rows += staged.rows
            if staged.done:
                self.progress.slices_done += 1
                continue
            stream, end = by_key[staged.stream], staged.bounds.end
            if staged.through is not None and end is not None and staged.through >= end:
                self._stage.finish_slice(staged)
                continue
            if staged.through is None:  # nothing to build on
                self.progress.resumed_rows -= staged.rows
                self._enqueue(stream, staged.bounds)  # before the other goes: after a kill nothing is missing
                self._stage.drop_slice(staged)
                continue
            self._enqueue(stream, TimeSlice(staged.through, staged.bounds.end))
            self._stage.cut_slice(staged, staged.through)
            self._stage.finish_slice(staged)
        since_then = TimeSlice(self._stage.read_until.replace(microsecond=0), None)
        for stream in streams:
            if stream.key in begun:
                if stream.time_field and slices[-1].end is None and self._stage.until is None:
                    self._enqueue(stream, since_then)
            else:
                for bounds in slices if stream.time_field else slices[:1]:
                    self._enqueue(stream, bounds)

    def _enqueue(self, stream: Stream, bounds: TimeSlice) -> None:
        self._queue.append(Task(stream, bounds, self._stage.add_slice(stream.key, bounds)))

    def _finished(self) -> bool:
        return self._failure is not None or not (self._queue or self._running)

    def _add_worker(self) -> None:
        self._connections.count += 1
        worker = threading.Thread(target=self._work, name=f"klaviyo-{self._connections.count}", daemon=True)
        self._workers.append(worker)
        worker.start()

    def _work(self) -> None:
        while (task := self._take()) is not None:
            try:
                self._read(task)
            except BaseException as error:
                with self._changed:
                    if self._failure is None and not isinstance(error, CancelledError):
                        self._failure = error
                    self._cancelled.set()
            finally:
                with self._changed:
                    self._running.remove(task)
                    self.progress.slices_done += 1
                    self._changed.notify_all()

    def _take(self) -> Task | None:
        """The next slice to read: from the queue, else a part of a running one; None when all is done."""
        with self._changed:
            self._idle += 1
            try:
                while not self._cancelled.is_set():
                    if not self._queue:
                        self._split_busiest()
                    if self._queue:
                        task = self._queue.popleft()
                        self._running.append(task)
                        return task
                    if not self._running:
                        return None
                    self._changed.wait()
                return None
            finally:
                self._idle -= 1

    def _split_busiest(self) -> None:
        """Give the idle workers parts of what the slice with most left still has to read."""
        best, best_pages = None, WORTH_SPLITTING
        for task in self._running:
            pages = self._pages_left(task)
            if pages >= best_pages:
                best, best_pages = task, pages
        if best is None:
            return
        assert best.last_time is not None
        # The page under way begins at the last row's time: cut after that second at the earliest.
        low = best.last_time.replace(microsecond=0) + SECOND
        # A server that does not obey the filter gives rows from before the slice.
        low = max(low, best.bounds.start or low)
        edges = divide(low, best.bounds.upper(self._now), min(self._idle + 1, int(best_pages)))
        if not edges:
            return
        bounds: list[datetime | None] = [*edges, best.bounds.end]
        for start, end in itertools.pairwise(bounds):
            self._enqueue(best.stream, TimeSlice(start, end))
        best.bounds = TimeSlice(best.bounds.start, edges[0])
        self._stage.cut_slice(best.staged, edges[0])
        self._changed.notify_all()

    def _pages_left(self, task: Task) -> float:
        """How many pages a running slice is expected to have left, as densely filled as so far."""
        time_field = task.stream.time_field
        if task.dropped or not (time_field and time_field.can_be_cut and task.more and task.in_order and task.pages):
            return 0.0
        if task.first_time is None or task.last_time is None or not self._source.sorted_by_time:
            return 0.0
        left_s = (task.bounds.upper(self._now) - task.last_time).total_seconds()
        if left_s < 2:
            return 0.0
        read_s = max(1.0, (task.last_time - task.first_time).total_seconds())
        return left_s / read_s * task.pages

    def _read(self, task: Task) -> None:
        """Read a slice to its end."""
        with self._stage.writer(task.staged, self._schema) as writer:
            try:
                self._follow(task, writer)
            except NotFoundError:
                if not task.stream.may_vanish:
                    raise
                self._vanish(task.stream)
                return
        if not task.dropped:
            self._stage.finish_slice(task.staged)

    def _vanish(self, stream: Stream) -> None:
        """A list was deleted while its members were read: none of them counts."""
        with self._changed:
            if self._source.fan_out is None or not self._source.fan_out.may_lack:
                self.findings.vanished.add(stream.key)
            for staged in [each for each in self._stage.slices.values() if each.stream == stream.key]:
                self._stage.drop_slice(staged)

    def _follow(self, task: Task, writer: SliceWriter) -> None:
        began, cpu_began = time.monotonic(), time.thread_time()
        for answer in self._reader.pages(task.stream, partial(_bounds_of, task)):
            self._note(answer)
            passed_end = self._keep(task, writer, answer.value)
            self._pace(answer.network_s, time.thread_time() - cpu_began, time.monotonic() - began)
            if passed_end:
                return
            began, cpu_began = time.monotonic(), time.thread_time()

    def _note(self, answer: Answer[Page]) -> None:
        with self._changed:
            self.findings.add_revision(answer.revision)
            self.findings.add(answer.value.unknown, answer.value.misfits)
            self.progress.pages += 1
            self.progress.page_bytes += answer.body_bytes

    def _pace(self, network_s: float, cpu_s: float, all_s: float) -> None:
        """Use another connection if it helps and there is something for it to do."""
        with self._changed:
            self._connections.page_took(network_s, cpu_s, all_s)
            if not self._idle and not self._cancelled.is_set() and self._connections.one_more_helps:
                self._add_worker()

    def _keep(self, task: Task, writer: SliceWriter, page: Page) -> bool:
        """Stage a page's rows that lie in the slice. Says whether the slice's end has been passed."""
        with self._changed:
            before = task.last_time
            task.in_order = (
                task.in_order
                and page.in_order
                and (before is None or page.first_time is None or before <= page.first_time)
            )
            task.pages += 1
            task.more = page.next_target is not None
            task.first_time = task.first_time or page.first_time
            task.last_time = page.last_time or before
            bounds = task.bounds
            passed_end = bool(task.in_order and bounds.end and page.last_time and page.last_time >= bounds.end)
            # What lies before the last time read is complete, if pages come in order.
            through = task.last_time if task.in_order and self._source.sorted_by_time else None
        batch = _within(page, self._time_column, bounds) if self._time_column else page.batch
        self._stage.note_clock(self._client.clock_ahead_s)
        content = writer.encode(batch)
        size = len(content) if content is not None else 0
        with self._changed:
            if self._bound is not None and not task.dropped:
                self._end_in_time(size)
            if task.dropped:
                return True
        writer.append(content, batch.num_rows, through)
        with self._changed:
            task.rows += batch.num_rows
            self.progress.rows += batch.num_rows
            self.progress.rows_passed_over += page.rows - batch.num_rows
            if self._idle:
                self._changed.notify_all()
        return passed_end

    def _end_in_time(self, coming: int) -> None:
        """End the part earlier if, with so many more bytes, more is staged or expected than is allowed."""
        assert self._bound is not None
        running = {task.staged.number: (task, self._pages_left(task)) for task in self._running if not task.dropped}
        beyond = self._bound.keep(coming, running)
        if beyond is None:
            return
        self._queue = deque(task for task in self._queue if task.staged.number not in beyond)
        for task in (*self._queue, *self._running):
            task.dropped = task.dropped or task.staged.number in beyond
            task.bounds = TimeSlice(task.bounds.start, task.staged.bounds.end)
        self._changed.notify_all()


def _bounds_of(task: Task, again: bool) -> TimeSlice:
    """The bounds to read a slice in; to read it again, from the last row's second on."""
    start = task.bounds.start
    if again and task.in_order and task.last_time is not None:
        start = task.last_time.replace(microsecond=0)
    return TimeSlice(start, task.bounds.end)


def _within(page: Page, time_column: str, bounds: TimeSlice) -> pa.RecordBatch:
    """A page's rows that belong to a slice. Rows without a time stay: losing them would be worse."""
    start, end, first, last = bounds.start, bounds.end, page.first_time, page.last_time
    if page.in_order and first and last and (start is None or start <= first) and (end is None or last < end):
        return page.batch
    return page.batch.filter(times_within(page.batch.column(time_column), start, end))
