"""A load, from what is asked for to landed rows: fetch, then land. Dagster's assets and plain Python call the same.

`fetch` holds no database while it reads from Klaviyo. `land` is one transaction. `run` is both.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from klaviyo_pipeline import clock
from klaviyo_pipeline.klaviyo.endpoints.account import read_account
from klaviyo_pipeline.klaviyo.errors import QuotaSpentError
from klaviyo_pipeline.klaviyo.extract.extract import extract
from klaviyo_pipeline.klaviyo.extract.model import ExtractRequest, StagedExtract
from klaviyo_pipeline.loads.reports import ReportLoad, report_request, said_of_stop
from klaviyo_pipeline.loads.request import LoadRequest, Range, last_end_before, replaced_ranges, window_of
from klaviyo_pipeline.loads.table import not_answered, table_of
from klaviyo_pipeline.loads.whole_reads import gone_parents, living_children, owner_of
from klaviyo_pipeline.redaction import redact_values
from klaviyo_pipeline.warehouse import landing
from klaviyo_pipeline.warehouse.errors import DatabaseMissingError, ShrinkError, StageDamagedError, without_values
from klaviyo_pipeline.warehouse.landing import LandingResult, LandRequest, Sweep, TimeRange
from klaviyo_pipeline.warehouse.ledger import last_window_end
from klaviyo_pipeline.warehouse.sandbox_rows import Origin, check_apart
from klaviyo_pipeline.warehouse.shrinking import ShrinkLimits
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
    from klaviyo_pipeline.klaviyo.endpoints.account import Account
    from klaviyo_pipeline.klaviyo.extract.progress import Progress
    from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
    from klaviyo_pipeline.loads.destination import Place
    from klaviyo_pipeline.warehouse.ownership import Owner
    from klaviyo_pipeline.warehouse.tables import Table

Report = Callable[["Progress"], None]
LOOK_EVERY_S = 0.5
"""How often a fetch shows where it is; a progress bar moves so often."""


class Log(Protocol):
    """Takes messages for people; a ``logging.Logger`` is one."""

    def info(self, msg: str, /) -> object:
        """Take a message."""

    def warning(self, msg: str, /) -> object:
        """Take a warning."""


class Silent:
    """A log that keeps nothing."""

    def info(self, msg: str, /) -> None:
        """Take a message."""

    def warning(self, msg: str, /) -> None:
        """Take a warning."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """One load of one data source.

    Attributes:
        request: What is asked for.
        place: Where the rows go.
        run_id: Names the run, in the ledger and in each row.
        name: The load's name in the ledger; blank for the data source's. Loads of one name continue each other.
        partition: The run's partition or range of partitions, ``[start, end)``; None for a load without partitions.
        parents: For a data source that follows from another one's rows: those rows, with the columns that its
            declaration names. None where the request names ids.
        moves_watermark: Whether the next load may continue where this one ends. A load of some parents does not say
            how far the source has been read.
        origin: Whether the rows are an account's or a sandbox's.
        shrink: How much of the table the load may take away without consent.
        count_ranges: Half-open ranges of the partition key, in order, for each of which rows are counted as well.
        details: More for the ledger to remember, as JSON.
        now: When the run began (aware); None for the present.
    """

    request: LoadRequest
    place: Place
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    name: str = ""
    partition: Range | None = None
    parents: pa.Table | None = None
    moves_watermark: bool = True
    origin: Origin | None = None
    shrink: ShrinkLimits = field(default_factory=ShrinkLimits)
    count_ranges: tuple[Range, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    now: datetime | None = None

    @property
    def ledger_name(self) -> str:
        """The load's name in the ledger."""
        return self.name or self.request.source.name

    @property
    def table(self) -> Table:
        """The table that the rows go to."""
        return table_of(self.request.source, self.place.schema, self.place.table, self.request.options)


@dataclass(frozen=True, kw_only=True)
class StagedLoad:
    """A load that is fetched and waits to be landed.

    ``held`` lets go of what the load holds, such as its lock, once it has landed or failed. ``fetch_again`` fetches the
    same window anew, where staged pages were damaged. ``names`` asks Klaviyo for the names of a data source's rows by
    id, for a chart.
    """

    load: Load
    staged: StagedExtract
    owner: Owner
    shrink: ShrinkLimits | None
    fetch_again: Callable[[], StagedExtract]
    names: Callable[[str], Mapping[str, str]] | None = None
    held: ExitStack = field(default_factory=ExitStack, compare=False, repr=False)


def fetch(
    load: Load,
    client: KlaviyoClient,
    area: StagingArea,
    *,
    log: Log | None = None,
    reporting: Callable[[], AbstractContextManager[Report]] = lambda: nullcontext(lambda _progress: None),
    ask_account: Callable[[KlaviyoClient], Account] = read_account,
) -> StagedLoad | None:
    """Fetch a load's rows into staged files; None if there is nothing to land.

    That is so if all that is asked for has landed before, and if a report's daily requests are used up.

    Args:
        load: The load.
        client: The account to read from.
        area: Where fetched pages wait.
        log: Takes messages for people.
        reporting: Makes what is told how far the fetch is.
        ask_account: Asks Klaviyo for the account, where the ledger does not know whose the key is.

    Raises:
        PipelineError: Nothing was landed. What was read stays staged, for the next run of the same window.
    """
    log = log or Silent()
    wanted, place = load.request, load.place
    if load.origin is not None:
        check_apart(place.database, load.origin)
    if wanted.source.report is not None:
        asked = ReportLoad(wanted, place, load.ledger_name, load.run_id, load.now)
        request: ExtractRequest | None = report_request(asked, ask_account(client), log.warning)
    else:
        request = _extract_request(load, log)
    if request is None:
        return None
    owner = owner_of(client, place.database, wanted.source.name, load.table, wanted.write_mode, ask_account)
    log.info(f"Reading {wanted.source.name} {_described(request)}, revision {client.written_revision}.")

    def read() -> StagedExtract:
        with reporting() as report:
            return extract(client, request, area, report, LOOK_EVERY_S)

    try:
        staged = read()
    except QuotaSpentError as error:
        log.warning(said_of_stop(wanted.source.title, error, None))
        return None
    if staged.stopped is not None:
        log.warning(said_of_stop(wanted.source.title, staged.stopped, staged.request.window))
    try:
        _warn_of_findings(log, staged)
        shrink = _shrink_limits(load, client, staged, log)
    except BaseException:
        staged.drop()
        raise
    return StagedLoad(load=load, staged=staged, owner=owner, shrink=shrink, fetch_again=read)


def land(
    ready: StagedLoad,
    *,
    log: Log | None = None,
    report: Callable[[StagedExtract, LandingResult], None] = lambda _staged, _landed: None,
) -> LandingResult:
    """Land a fetched load in one transaction. Rows that were damaged on disk are fetched again, once.

    Args:
        ready: The load.
        log: Takes messages for people.
        report: Called once the rows are in the table; the staged files are still there.

    Raises:
        PipelineError: The table, its rows and the ledger are unchanged.
    """
    log, staged = log or Silent(), ready.staged
    with ready.held:
        try:
            landed = _land(ready, staged)
        except StageDamagedError as error:
            log.warning(f"{error} Nothing has landed; the rows are fetched again.")
            staged = ready.fetch_again()
            landed = _land(ready, staged)
        for done in (partial(report, staged, landed), staged.landed):
            with only_reports(log):
                done()
    return landed


@contextmanager
def only_reports(log: Log) -> Iterator[None]:
    """The rows are committed: whatever fails here is a warning, and never fails the load."""
    try:
        yield
    except Exception as error:
        said = f"{type(error).__name__}: {without_values(error)}"
        log.warning(f"The rows are in the table, but a report about them failed: {said}")


def run(
    load: Load,
    client: KlaviyoClient,
    area: StagingArea,
    *,
    log: Log | None = None,
    ask_account: Callable[[KlaviyoClient], Account] = read_account,
) -> LandingResult | None:
    """Fetch and land a load, as `fetch` and `land` do; None if all that is asked for has landed before.

    Raises:
        PipelineError: The table, its rows and the ledger are unchanged.
    """
    ready = fetch(load, client, area, log=log, ask_account=ask_account)
    return land(ready, log=log) if ready is not None else None


def _extract_request(load: Load, log: Log) -> ExtractRequest | None:
    wanted, place = load.request, load.place
    last_end = None
    if load.partition is None and wanted.continues:
        last_end = last_end_before(load.now or clock.now(), wanted, partial(_last_end, load), log.warning)
    window = window_of(wanted, partition=load.partition, last_end=last_end, zone=place.zone, now=load.now)
    if window is None:
        log.info(f"Nothing to read: all up to {last_end.isoformat() if last_end else 'the end'} has landed.")
        return None
    request = ExtractRequest(wanted.source, window, wanted.filter_by, wanted.options, wanted.ids, load.parents)
    if wanted.replaces:
        replaced_ranges(request, wanted.partition_key)  # refused before anything is read
    return request


def _last_end(load: Load, not_after: datetime | None = None) -> datetime | None:
    time_field = load.request.source.time_field(load.request.filter_by)
    try:
        return last_window_end(
            load.place.database,
            load.ledger_name,
            load.table.plain_name,
            filter_field=time_field.name if time_field else None,
            not_after=not_after,
        )
    except DatabaseMissingError:
        return None


def _shrink_limits(load: Load, client: KlaviyoClient, staged: StagedExtract, log: Log) -> ShrinkLimits | None:
    """How much the landing may take away: by parent, and without those that Klaviyo no longer has."""
    source, table = load.request.source, load.table
    limits = None if load.request.accept_shrink else load.shrink
    if limits is not None and source.fan_out is not None and source.shows_deletions:
        limits = replace(limits, by=source.fan_out.id_column)
    if source.fan_out is None or not source.fan_out.count_field or not staged.request.is_whole:
        return limits
    here = living_children(load.place.database, source, table.schema, table.name)
    gone = gone_parents(client, staged, here, limits, log.warning)
    return replace(limits, known_gone=gone) if limits is not None else None


def _land(ready: StagedLoad, staged: StagedExtract) -> LandingResult:
    try:
        return landing.land(ready.load.place.database, _land_request(ready, staged))
    except (ShrinkError, StageDamagedError):
        staged.drop()
        raise
    except BaseException:
        staged.keep()
        raise


def _land_request(ready: StagedLoad, staged: StagedExtract) -> LandRequest:
    load, request = ready.load, staged.request
    wanted, window = load.request, request.window
    over = request.time_field if not request.is_whole else None
    return LandRequest(
        table=load.table,
        rows=staged.files,
        mode=wanted.write_mode,
        source=load.ledger_name,
        run_id=load.run_id,
        extract_id=staged.extract_id,
        trim=TimeRange(over.name, window.start, window.end) if over else None,
        partition_key=wanted.partition_key,
        partitions=_partitions(load, request),
        count_ranges=load.count_ranges,
        version_column=request.source.version_column,
        fixed_time=request.source.fixed_time,
        sweep=_sweep(load, request),
        unknown=not_answered(request.columns, staged.revision),
        window=(window.start, staged.watermark) if load.moves_watermark else None,
        filter_field=over.name if over else None,
        revision=staged.revision,
        requests=staged.traffic.requests,
        duration_s=staged.duration_s,
        origin=load.origin,
        owner=ready.owner,
        shrink=ready.shrink,
        details=plain_details(
            {
                **load.details,
                "options": sorted(request.options),
                "ids": request.ids,
                "whole": request.is_whole,
                "retries": staged.traffic.retries,
                "stopped": str(staged.stopped) if staged.stopped else None,
                "unknown_attributes": staged.findings.unknown,
                "type_misfits": staged.findings.misfits,
            }
        ),
    )


def plain_details(values: Mapping[str, Any]) -> dict[str, Any]:
    """Details as plain JSON without secrets, for the ledger."""
    return redact_values(json.loads(json.dumps(values, default=str)))  # type: ignore[no-any-return]


def _sweep(load: Load, request: ExtractRequest) -> Sweep | None:
    """What the extract is the full truth of: the table, or the rows of the parents that were read."""
    source, some = request.source, None
    if source.fan_out is not None and request.ids is not None:
        some = Sweep(source.fan_out.id_column, request.ids)
    if source.shows_deletions and request.is_whole and load.request.write_mode is WriteMode.MERGE:
        return some or Sweep()
    # A run of other parents than the load's own clears only theirs.
    return some if load.request.replaces and not load.moves_watermark else None


def _partitions(load: Load, request: ExtractRequest) -> tuple[Range, ...]:
    """What a replace clears; otherwise the run's partitions, for the ledger."""
    if load.request.replaces:
        return replaced_ranges(request, load.request.partition_key)
    known = load.partition is not None and load.request.partition_key and not request.is_whole
    return (load.partition,) if known and load.partition is not None else ()


def _described(request: ExtractRequest) -> str:
    if request.is_whole:
        return "whole"
    window = request.window
    start = window.start.isoformat() if window.start else "the beginning"
    return f"from {start} to {window.end.isoformat() if window.end else 'now'}"


def _warn_of_findings(log: Log, staged: StagedExtract) -> None:
    findings = staged.findings
    if findings.unknown:
        log.warning(f"Attributes that are not known here were kept in _extra: {', '.join(sorted(findings.unknown))}.")
    if findings.misfits:
        found = ", ".join(f"{name} ({count})" for name, count in sorted(findings.misfits.items()))
        log.warning(f"Values that do not fit their column's type were kept in _extra: {found}.")
    for metric, reason in sorted(findings.refused.items()):
        log.warning(f"Klaviyo does not report on {metric}: {reason}")
    if findings.vanished:
        log.warning(f"Deleted while they were read: {', '.join(sorted(findings.vanished))}.")
