"""The metric or profile of each event, without a request for each event.

An event names its metric and its profile. This module reads the distinct ones from their own collections, all metrics
and profiles by a hundred ids a request, and joins them to the events. Only an event without such an id, or whose metric
or profile the collection lacks, takes a request of its own.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.catalogue.revisions import expected_answer
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.decode.arrays import python_rows
from klaviyo_pipeline.klaviyo.decode.guarding import Guard
from klaviyo_pipeline.klaviyo.decode.pages import arrow_schema, joined
from klaviyo_pipeline.klaviyo.extract.model import Begun, ExtractRequest, StagedExtract, kept_by, read_batches
from klaviyo_pipeline.klaviyo.extract.progress import Findings, Progress
from klaviyo_pipeline.klaviyo.extract.requests import streams_of, streams_of_ids, streams_of_parents
from klaviyo_pipeline.klaviyo.extract.workers import Fetch
from klaviyo_pipeline.klaviyo.staging.stage import Stage, StagingArea
from klaviyo_pipeline.klaviyo.windows import TimeSlice
from klaviyo_pipeline.staged_pages import StagedFile

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.extract.parents import OpenedParents

_WHOLE = [TimeSlice(None, None)]


def extract_by_parents(
    client: KlaviyoClient,
    request: ExtractRequest,
    area: StagingArea,
    report: Callable[[Progress], None],
    report_every_s: float,
) -> StagedExtract:
    """Stage a row for each event that has a metric (or profile), resolved in batches.

    Raises:
        KlaviyoError: of the first page that could not be read; profiles that were read stay staged for the next run.
    """
    source = request.source
    if request.parents is None:
        raise ConfigurationError(f"{source.name} needs the events that it is about, or event_ids.")
    begun = Begun(client, request)
    stage = area.open({"source": source.name, "run": uuid.uuid4().hex}, request.window.now)
    children = _Children(client, request, area)
    try:
        with request.parents.opened() as events:
            children.read(events, report, report_every_s)
            progress = _join(request, stage, events, children)
            unmatched = [row for batch in events.unmatched(children.keys()) for row in python_rows(batch)]
        _read_one_by_one(client, request, stage, unmatched, children.findings, report, report_every_s)
    except BaseException:
        stage.close(remove=True)
        children.close()
        raise
    return begun.staged(stage, children.findings, progress, beside=tuple(children.stages))


def _join(request: ExtractRequest, stage: Stage, events: OpenedParents, children: _Children) -> Progress:
    """Stage the row of each event whose metric (or profile) was read."""
    fan_out, schema = request.source.fan_out, arrow_schema(request.columns)
    assert fan_out is not None
    progress = Progress()
    staged = stage.add_slice("joined", TimeSlice(None, None))
    with stage.writer(staged, schema) as writer:
        for batch in events.joined(children.rows, fan_out.carries) if children.stages else ():
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            for column in request.columns:
                if column.made_of:
                    columns[column.name] = joined([columns[name] for name in column.made_of])
            arrays = [columns[field.name].cast(field.type) for field in schema]
            writer.write(pa.RecordBatch.from_arrays(arrays, schema=schema), None)
            progress.rows += batch.num_rows
    stage.finish_slice(staged)
    return progress


class _Children:
    """The metrics or profiles that the events name, staged by groups of their ids."""

    def __init__(self, client: KlaviyoClient, request: ExtractRequest, area: StagingArea) -> None:
        fan_out = request.source.fan_out
        assert fan_out is not None
        assert fan_out.key is not None
        assert fan_out.batch is not None
        self.findings = Findings()
        self.stages: list[Stage] = []
        self._client, self._request, self._area = client, request, area
        self._key, self._chunk = fan_out.key, fan_out.chunk
        self._source = replace(SOURCES[fan_out.batch], left_out=request.source.left_out)
        self._columns = [column for column in request.columns if column.path is not None]
        self._read = Progress()

    def read(self, events: OpenedParents, report: Callable[[Progress], None], report_every_s: float) -> None:
        """Read all that the events name: a collection whole, or by its ids."""
        for ids in events.key_groups():
            self._read_group(ids, report, report_every_s)
            if self._chunk is None:
                return

    def rows(self) -> pa.RecordBatchReader:
        """What was read."""
        return pa.RecordBatchReader.from_batches(arrow_schema(self._columns), read_batches(self._files()))

    def keys(self) -> pa.RecordBatchReader:
        """The ids of what was read."""
        schema = pa.schema([(self._key, pa.string())])
        return pa.RecordBatchReader.from_batches(schema, read_batches(self._files(), [self._key]))

    def close(self) -> None:
        """Leave what was read to the next run of the same events."""
        for stage in self.stages:
            # A collection that is read whole takes two requests, and is read anew.
            stage.close(remove=self._chunk is None or not any(each.done for each in stage.slices.values()))

    def _read_group(self, ids: list[str], report: Callable[[Progress], None], report_every_s: float) -> None:
        client, request = self._client, self._request
        if self._chunk is None:
            streams = streams_of(self._source, expected_answer(client.revision), None)
        else:
            streams = streams_of_ids(self._source, ids, self._chunk)
        stage = self._area.open(self._identity(ids), request.window.now)
        self.stages.append(stage)
        guard = Guard.of(request.source, self._columns, client.rules, request.people)
        fetch = Fetch(client, self._source, self._columns, request.options, stage, request.window.now, guard=guard)
        before = self._read
        fetch.run(streams, _WHOLE, lambda progress: report(before.plus(progress)), report_every_s)
        self._read = before.plus(fetch.snapshot())
        _merge(self.findings, fetch.findings)

    def _files(self) -> tuple[StagedFile, ...]:
        return tuple(file for stage in self.stages for file in stage.files())

    def _identity(self, ids: list[str]) -> Mapping[str, object]:
        """Everything that decides which metrics or profiles are read, and in which requests."""
        name = f"{self._request.source.name}-{self._source.name}"
        if self._chunk is None:
            return {"source": name, "run": uuid.uuid4().hex}
        return {
            "source": name,
            "account": self._client.account,
            "revision": self._client.revision,
            "options": sorted(self._request.options),
            "columns": [[column.name, column.type.value] for column in self._columns],
            "chunk": self._chunk,
            "ids": hashlib.sha256("\n".join(ids).encode()).hexdigest(),
            **kept_by(self._client, self._request),
        }


def _read_one_by_one(
    client: KlaviyoClient,
    request: ExtractRequest,
    stage: Stage,
    events: list[dict[str, Any]],
    findings: Findings,
    report: Callable[[Progress], None],
    report_every_s: float,
) -> None:
    """Read the metrics or profiles of events for which the collections have none, one request for each event.

    Of several events with the same key it reads one first, and the others only if that one has an answer.
    """
    source: Source = request.source
    assert source.fan_out is not None
    assert source.fan_out.key is not None
    first: dict[str, str] = {}
    others: dict[str, list[str]] = {}
    for event in events:
        event_id, key = event["id"], event[source.fan_out.key]
        if first.setdefault(key or event_id, event_id) != event_id:
            others.setdefault(first[key], []).append(event_id)
    asked = sorted(first.values())
    carried = {row["id"]: source.fan_out.carried(row) for row in events}
    while asked:
        guard = Guard.of(source, request.columns, client.rules, request.people)
        fetch = Fetch(client, source, request.columns, request.options, stage, request.window.now, guard=guard)
        streams = [
            replace(stream, constants={**stream.constants, **carried[stream.key]})
            for stream in streams_of_parents(source, asked, None, single=True, may_vanish=True)
        ]
        fetch.run(streams, _WHOLE, report, report_every_s)
        # An event whose metric or profile is gone is answered by a 404 or by nothing.
        with_rows = {staged.stream for staged in stage.slices.values() if staged.rows}
        answered = [event_id for event_id in asked if event_id in with_rows]
        fetch.findings.vanished.clear()  # an event without a metric or profile is not a deleted one
        _merge(findings, fetch.findings)
        asked = [each for event_id in answered for each in others.pop(event_id, [])]


def _merge(into: Findings, found: Findings) -> None:
    into.revisions |= found.revisions
    into.add(found.unknown, found.misfits)
