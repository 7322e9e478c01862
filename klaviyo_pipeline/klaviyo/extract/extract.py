"""From a window to staged pages: what an asset does before anything is landed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.model import FanOut, Source
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES, parent_of
from klaviyo_pipeline.klaviyo.catalogue.revisions import expected_answer
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.decode.arrays import python_rows
from klaviyo_pipeline.klaviyo.decode.children import ChildDecoder
from klaviyo_pipeline.klaviyo.decode.guarding import Guard
from klaviyo_pipeline.klaviyo.errors import LaterRevisionError
from klaviyo_pipeline.klaviyo.extract.fan_out import extract_by_parents
from klaviyo_pipeline.klaviyo.extract.model import Begun, ExtractRequest, StagedExtract, kept_by
from klaviyo_pipeline.klaviyo.extract.progress import Connections, Progress
from klaviyo_pipeline.klaviyo.extract.report import ReportRequest, stage_report
from klaviyo_pipeline.klaviyo.extract.requests import (
    Stream,
    observed,
    streams_of,
    streams_of_parents,
    streams_per_parent,
)
from klaviyo_pipeline.klaviyo.extract.workers import Fetch
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.klaviyo.windows import TimeSlice, Window, cut

if TYPE_CHECKING:
    import pyarrow as pa

SHORTEST_SLICE = timedelta(minutes=15)
"""A window is not cut finer than this to begin with; dense slices are split while they run."""


def extract(
    client: KlaviyoClient,
    request: ExtractRequest,
    area: StagingArea,
    report: Callable[[Progress], None] = lambda _progress: None,
    report_every_s: float = 10.0,
    *,
    anew: bool = False,
) -> StagedExtract:
    """Fetch a window of a data source into staged files.

    A run of the same window that was killed before is taken up where it stopped, unless all is to be read ``anew``.
    With ``most_bytes`` the extract may end before the window does.

    Raises:
        KlaviyoError: of the first page that could not be read; what was read stays staged for the next run.
    """
    source, now = request.source, request.window.now
    refuse_older_revision(client, source)
    if source.fan_out is not None and source.fan_out.batch is not None and request.ids is None:
        return extract_by_parents(client, request, area, report, report_every_s)
    begun = Begun(client, request)
    ids = request.ids
    if source.report is not None and source.report.role and ids is None:
        ids = (_metric_in_role(client, source.report.role, area, request.window),)
    if source.fan_out is not None and ids is None:
        ids, fan_out = request.known_parents, source.fan_out
        if ids is None:
            ids = read_ids(client, SOURCES[fan_out.parent], area, request.window, fan_out)
    others = read_ids(client, SOURCES[source.per_parent.parent], area, request.window) if source.per_parent else ()
    identity = _identity(client, request)
    stage = area.open({**identity, "run": uuid.uuid4().hex} if anew else identity, request.begins or now)
    if isinstance(request, ReportRequest):
        return stage_report(client, request, stage, ids if source.fan_out is not None else None, report)
    try:
        guard = Guard.of(source, request.columns, client.rules, request.people)
        fetch = Fetch(client, source, request.columns, request.options, stage, now, request.most_bytes, guard=guard)
        streams = observed(_streams(client, request, ids, others), source, now)
        fetch.run(streams, _slices(client, request), report, report_every_s)
    except BaseException:
        stage.close(remove=False)
        raise
    return begun.staged(stage, fetch.findings, fetch.snapshot())


def read_ids(
    client: KlaviyoClient,
    source: Source,
    area: StagingArea,
    window: Window,
    fan_out: FanOut | None = None,
) -> tuple[str, ...]:
    """All ids of a collection, sorted; read anew, whatever an earlier run has staged: a list may be new or gone.

    Args:
        client: The account.
        source: The collection.
        area: Where fetched pages wait.
        window: When the run began.
        fan_out: What follows from the rows: only ids of rows that can have children count. None for all ids.
    """
    staged = extract(client, all_of(source, window.now), area, anew=True)
    try:
        batches = (rows_of(source, batch, staged.revision) for batch in staged.batches())
        columns = list(fan_out.deciding_columns if fan_out is not None else ("id",))
        rows = (row for batch in batches for row in python_rows(batch.select(columns)))
        return tuple(sorted({row["id"] for row in rows if fan_out is None or fan_out.can_have_children(row)}))
    finally:
        staged.landed()


def all_of(source: Source, now: datetime) -> ExtractRequest:
    """The request for a whole collection; of a child, for what it stands in."""
    window = Window(None, None, now)
    if source.child is None:
        return ExtractRequest(source, window, options=source.choose())
    parent, option = parent_of(source), source.child.option
    options = parent.choose() | ({option} if option else set())
    return ExtractRequest(parent, window, options=options, children=(source,))


def rows_of(source: Source, batch: pa.RecordBatch, revision: str) -> pa.RecordBatch:
    """A data source's rows in a batch of what ``all_of`` reads."""
    return ChildDecoder(source, revision).rows(batch) if source.child is not None else batch


def _metric_in_role(client: KlaviyoClient, role: str, area: StagingArea, window: Window) -> str:
    refuse_without_roles(client)
    staged = extract(client, ExtractRequest(SOURCES["mapped_metrics"], Window(None, None, window.now)), area, anew=True)
    try:
        rows = [row for batch in staged.batches() for row in python_rows(batch)]
    finally:
        staged.landed()
    return metric_in_role(rows, role)


def refuse_without_roles(client: KlaviyoClient) -> None:
    """Refuse a report whose metric is to be found by its role, if the revision has no roles of metrics.

    Raises:
        LaterRevisionError: with what to set.
    """
    try:
        refuse_older_revision(client, SOURCES["mapped_metrics"])
    except LaterRevisionError as error:
        said = "Or name metrics by id in conversion_metric_ids; blank means the one in the account's role revenue."
        raise LaterRevisionError(f"{error} {said}") from None


def metric_in_role(mapped_metrics: Iterable[Mapping[str, Any]], role: str) -> str:
    """The metric, or custom metric, that plays a role in the account, by the rows of mapped_metrics.

    Raises:
        ConfigurationError: There is none.
    """
    found = next((row["metric_id"] or row["custom_metric_id"] for row in mapped_metrics if row["id"] == role), None)
    if not found:
        raise ConfigurationError(
            f"No metric of the account plays the role {role} (mapped_metrics), so conversions cannot be counted. "
            "Choose one in Klaviyo, or name metrics by id in conversion_metric_ids."
        )
    return str(found)


def refuse_older_revision(client: KlaviyoClient, source: Source) -> None:
    """Refuse a data source that the revision does not have; Klaviyo's answer would be a plain 404.

    Raises:
        LaterRevisionError: with the revision to set.
    """
    if (answering := expected_answer(client.revision)) < source.since:
        raise LaterRevisionError(
            f"{source.title}: Klaviyo has them from revision {source.since} on, and {answering} answers. "
            f"Set KLAVIYO_REVISION, or the account's revision, to {source.since}."
        )


def _streams(
    client: KlaviyoClient, request: ExtractRequest, ids: tuple[str, ...] | None, others: tuple[str, ...]
) -> list[Stream]:
    source = request.source
    if source.fan_out is None:
        if request.ids is not None:
            raise ConfigurationError(f"{source.name} does not take ids.")
        streams = streams_of(source, expected_answer(client.revision), request.time_field, request.chosen)
        more = streams_per_parent(source, others, windowed=request.time_field is not None) if others else []
        return [*streams, *more]
    return streams_of_parents(
        source,
        ids or (),
        request.time_field,
        single=source.one_for_each,
        may_vanish=request.ids is None or source.fan_out.may_lack,
    )


def _slices(client: KlaviyoClient, request: ExtractRequest) -> list[TimeSlice]:
    """How the window is cut to begin with."""
    window, time_field = request.window, request.time_field
    if time_field is None:
        return [TimeSlice(None, None)]
    if not time_field.can_be_cut:
        return [TimeSlice(window.request_start, None)]
    pieces = 1
    if request.source.partitioned_by_day and request.source.sorted_by_time:
        pieces = min(Connections.FIRST, client.settings.max_connections)
        if window.start is not None:
            pieces = min(pieces, max(1, int((window.watermark - window.start) / SHORTEST_SLICE)))
    return cut(window, pieces)


def _identity(client: KlaviyoClient, request: ExtractRequest) -> Mapping[str, object]:
    """Everything that decides which rows an extract has. The end of a window that is open is not in it."""
    window = request.window
    return {
        "source": request.source.name,
        "account": client.account,
        "revision": client.revision,
        "start": window.start.isoformat() if window.start else None,
        "end": window.end.isoformat() if window.end else None,
        "open": window.request_end is None,
        "filter_by": str(request.filter_by),
        "options": sorted(request.options),
        "ids": list(request.ids) if request.ids is not None else None,
        **({"chosen": sorted(request.chosen)} if request.chosen is not None else {}),
        **({"by": list(request.source.report.by)} if request.source.report and request.source.report.by else {}),
        "columns": [[column.name, column.type.value] for column in request.columns],
        **kept_by(client, request),
    }
