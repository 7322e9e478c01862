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

import pyarrow as pa
import pyarrow.compute as pc

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.columns import Column
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.catalogue.revisions import expected_answer
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.decode.pages import arrow_schema, joined
from klaviyo_pipeline.klaviyo.extract.model import Begun, ExtractRequest, StagedExtract, read_batches
from klaviyo_pipeline.klaviyo.extract.progress import Findings, Progress
from klaviyo_pipeline.klaviyo.extract.requests import streams_of, streams_of_ids, streams_of_parents
from klaviyo_pipeline.klaviyo.extract.workers import Fetch
from klaviyo_pipeline.klaviyo.staging.stage import Stage, StagingArea
from klaviyo_pipeline.klaviyo.windows import TimeSlice

JOINED_ROWS = 10_000
"""Events joined at a time: bounds the memory for profiles repeated event by event."""
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
        KlaviyoError: of the first page that could not be read.
    """
    source = request.source
    assert source.fan_out is not None
    assert source.fan_out.key is not None
    if request.parents is None:
        raise ConfigurationError(f"{source.name} needs the events that it is about, or event_ids.")
    begun = Begun(client, request)
    events = request.parents.select(list(source.fan_out.parent_columns)).combine_chunks()
    stage = area.open({"source": source.name, "run": uuid.uuid4().hex}, request.window.now)
    try:
        findings, progress = Findings(), Progress()
        children = _read_children(client, request, area, events, findings, report, report_every_s)
        position = pc.index_in(events[source.fan_out.key], children["key"])
        found = pc.is_valid(position)
        schema = arrow_schema(request.columns)
        staged = stage.add_slice("joined", TimeSlice(None, None))
        with stage.writer(staged, schema) as writer:
            matched, positions = events.filter(found), position.filter(found)
            for start in range(0, len(matched), JOINED_ROWS):
                own = matched.slice(start, JOINED_ROWS)
                rows = children.take(positions.slice(start, JOINED_ROWS))
                columns = {name: rows[name] for name in rows.column_names}
                columns |= {ours: own[theirs] for ours, theirs in source.fan_out.carries}
                for column in request.columns:
                    if column.made_of:
                        columns[column.name] = joined([columns[name] for name in column.made_of])
                made = pa.table([columns[name] for name in schema.names], schema=schema).combine_chunks()
                for batch in made.to_batches():
                    writer.write(batch, None)
                progress.rows += len(own)
        stage.finish_slice(staged)
        _read_one_by_one(client, request, stage, events, found, findings, report, report_every_s)
    except BaseException:
        stage.close(remove=True)
        raise
    return begun.staged(stage, findings, progress)


def _read_children(
    client: KlaviyoClient,
    request: ExtractRequest,
    area: StagingArea,
    events: pa.Table,
    findings: Findings,
    report: Callable[[Progress], None],
    report_every_s: float,
) -> pa.Table:
    """The metrics or profiles that the events name, with their id as the column ``key`` too."""
    fan_out = request.source.fan_out
    assert fan_out is not None
    assert fan_out.key is not None
    assert fan_out.batch is not None
    child = SOURCES[fan_out.batch]
    columns = [column for column in request.columns if column.path is not None]
    wanted = sorted(each for each in pc.unique(events[fan_out.key]).to_pylist() if each)
    if fan_out.chunk is None:
        streams = streams_of(child, expected_answer(client.revision), None)
    else:
        streams = streams_of_ids(child, wanted, fan_out.chunk)
    stage = area.open(_identity_of_children(client, request, wanted, columns), request.window.now)
    try:
        fetch = Fetch(client, child, columns, request.options, stage, request.window.now)
        if wanted:
            fetch.run(streams, _WHOLE, report, report_every_s)
        table = pa.Table.from_batches(list(read_batches(stage.files())), arrow_schema(columns))
    except BaseException:
        # What was read is taken up by the next run of the same events; metrics are two requests and read anew.
        stage.close(remove=fan_out.chunk is None or not any(staged.done for staged in stage.slices.values()))
        raise
    stage.close(remove=True)
    _merge(findings, fetch.findings)
    return table.append_column("key", table[fan_out.key])


def _identity_of_children(
    client: KlaviyoClient, request: ExtractRequest, wanted: list[str], columns: list[Column]
) -> Mapping[str, object]:
    """Everything that decides which metrics or profiles are read, and in which requests."""
    fan_out = request.source.fan_out
    assert fan_out is not None
    name = f"{request.source.name}-{fan_out.batch}"
    if fan_out.chunk is None:
        return {"source": name, "run": uuid.uuid4().hex}
    return {
        "source": name,
        "account": client.account,
        "revision": client.revision,
        "options": sorted(request.options),
        "columns": [[column.name, column.type.value] for column in columns],
        "chunk": fan_out.chunk,
        "ids": hashlib.sha256("\n".join(wanted).encode()).hexdigest(),
    }


def _read_one_by_one(
    client: KlaviyoClient,
    request: ExtractRequest,
    stage: Stage,
    events: pa.Table,
    found: pa.ChunkedArray,
    findings: Findings,
    report: Callable[[Progress], None],
    report_every_s: float,
) -> None:
    """Read the metrics or profiles that the collections lacked, one request for each event.

    Of several events with the same key it reads one first, and the others only if that one has an answer.
    """
    source: Source = request.source
    assert source.fan_out is not None
    assert source.fan_out.key is not None
    missing = events.filter(pc.invert(found))
    first: dict[str, str] = {}
    others: dict[str, list[str]] = {}
    for event_id, key in zip(missing["id"].to_pylist(), missing[source.fan_out.key].to_pylist(), strict=True):
        if first.setdefault(key or event_id, event_id) != event_id:
            others.setdefault(first[key], []).append(event_id)
    asked = sorted(first.values())
    carried = {row["id"]: source.fan_out.carried(row) for row in missing.to_pylist()}
    while asked:
        fetch = Fetch(client, source, request.columns, request.options, stage, request.window.now)
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
