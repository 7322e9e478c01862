"""A load, from what is asked for to landed rows: fetch, then land. Dagster's assets and plain Python call the same.

`fetch` holds no database while it reads from Klaviyo. `land` is one transaction, or one for each part of a long load
(`klaviyo_pipeline.loads.parts`). `run` is both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from klaviyo_pipeline import clock
from klaviyo_pipeline.klaviyo.catalogue import dimensions
from klaviyo_pipeline.klaviyo.catalogue.revisions import expected_answer
from klaviyo_pipeline.klaviyo.endpoints.account import read_account
from klaviyo_pipeline.klaviyo.errors import QuotaSpentError
from klaviyo_pipeline.klaviyo.extract.extract import extract, refuse_older_revision
from klaviyo_pipeline.klaviyo.extract.model import ExtractRequest, StagedExtract
from klaviyo_pipeline.loads import parts as in_parts
from klaviyo_pipeline.loads.children import read_for
from klaviyo_pipeline.loads.chosen import earliest_end, loads_of, resolve
from klaviyo_pipeline.loads.known import Known, known_of, people_erased
from klaviyo_pipeline.loads.landing import land_request, sweep_of
from klaviyo_pipeline.loads.metric_names import names_at_klaviyo
from klaviyo_pipeline.loads.model import Load, Log, Silent, StagedLoad
from klaviyo_pipeline.loads.parents import known_parents
from klaviyo_pipeline.loads.parts import Parts
from klaviyo_pipeline.loads.reports import ReportLoad, report_request, said_of_stop
from klaviyo_pipeline.loads.request import (
    end_of_cut_off,
    last_end_before,
    replaced_ranges,
    window_of,
)
from klaviyo_pipeline.loads.whole_reads import gone_parents, living_children, owner_of
from klaviyo_pipeline.warehouse import landing
from klaviyo_pipeline.warehouse.errors import ShrinkError, StageDamagedError, without_values
from klaviyo_pipeline.warehouse.landing import LandingResult
from klaviyo_pipeline.warehouse.ledger import Loads
from klaviyo_pipeline.warehouse.shrinking import ShrinkLimits

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
    from klaviyo_pipeline.klaviyo.endpoints.account import Account
    from klaviyo_pipeline.klaviyo.extract.progress import Progress
    from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
    from klaviyo_pipeline.people import People
    from klaviyo_pipeline.warehouse.ownership import Owner

Report = Callable[["Progress"], None]
LOOK_EVERY_S = 0.5
"""How often a fetch shows where it is; a progress bar moves so often."""


def fetch(
    load: Load,
    client: KlaviyoClient,
    area: StagingArea,
    *,
    log: Log | None = None,
    reporting: Callable[[], AbstractContextManager[Report]] = lambda: nullcontext(lambda _progress: None),
    ask_account: Callable[[KlaviyoClient], Account] = read_account,
) -> StagedLoad | None:
    """Fetch a load's rows into staged files, or those of its first part; None if there is nothing to land.

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
    following = iter(_limited(load, client, area))

    def next_load() -> StagedLoad | None:
        for each, known in following:
            ready = _fetch(each, known or known_of(each, client.account), client, area, log, reporting, ask_account)
            if ready is not None:
                return replace(ready, next_load=next_load)
        return None

    return next_load()


def _limited(load: Load, client: KlaviyoClient, area: StagingArea) -> Iterator[tuple[Load, Known | None]]:
    """The loads that a load comes to, several if it has some rows only, such as those of some metrics.

    Each with its state, where that has been read and no load has landed since.
    """
    choice, words = load.request.source.choice, load.request.chosen
    if choice is None or words is None:
        yield load, None
        return
    known = known_of(load, client.account)
    names = names_at_klaviyo(client, area, load.now or clock.now(), choice.of)
    for number, each in enumerate(loads_of(replace(load, chosen=resolve(choice, words, names)), known.loads)):
        yield each, None if number else known


def _fetch(
    load: Load,
    known: Known,
    client: KlaviyoClient,
    area: StagingArea,
    log: Log,
    reporting: Callable[[], AbstractContextManager[Report]],
    ask_account: Callable[[KlaviyoClient], Account],
) -> StagedLoad | None:
    wanted = load.request
    refuse_older_revision(client, wanted.source)
    if wanted.source.report is None:
        planned = _plan(load, known.loads, expected_answer(client.revision), log)
    else:
        planned = _plan_report(load, known.loads, ask_account(client), log)
    if planned is None:
        return None
    request, parts = planned
    request = replace(request, known_parents=known_parents(load, client, log), people=known.people)
    if parts is not None:
        ended = {parts.ended} if parts.ended else set[str]()
        if area.remove_landed(parts.extracts | ended) & ended:
            log.info("Nothing to read: an earlier run of this load was killed when all of it had landed.")
            return None
    owner = owner_of(client, known, wanted.source.name, load.table, wanted.write_mode, ask_account)
    try:
        return _Reading(load, client, area, log, reporting, request, owner, time.monotonic()).part(parts)
    except QuotaSpentError as error:
        log.warning(said_of_stop(wanted.source.title, error, None))
        return None


@dataclass(frozen=True)
class _Reading:
    """A load that is being read: ``request`` is all of it."""

    load: Load
    client: KlaviyoClient
    area: StagingArea
    log: Log
    reporting: Callable[[], AbstractContextManager[Report]]
    request: ExtractRequest
    owner: Owner
    began_s: float

    def part(self, parts: Parts | None) -> StagedLoad:
        """Fetch what is left of the load, or the next part of it."""
        request = self.request
        if parts is not None:
            later = timedelta(seconds=time.monotonic() - self.began_s)
            request = parts.request(request, begins=request.window.now + later)
        self.log.info(f"Reading {request.source.name} {_described(request)}, revision {self.client.written_revision}.")

        def read(people: People) -> StagedExtract:
            with self.reporting() as report:
                return extract(self.client, replace(request, people=people), self.area, report, LOOK_EVERY_S)

        staged = read(request.people)
        if staged.stopped is not None and self.load.request.replaces:
            staged.keep()  # a part of the window must not take the place of all of it
            raise staged.stopped
        if staged.stopped is not None:
            self.log.warning(said_of_stop(request.source.title, staged.stopped, staged.request.window))
        try:
            _warn_of_findings(self.log, staged)
            shrink = _shrink_limits(self.load, self.client, staged, self.log)
        except BaseException:
            staged.drop()
            raise
        return StagedLoad(
            load=self.load,
            staged=staged,
            owner=self.owner,
            shrink=shrink,
            fetch_again=lambda: read(people_erased(self.load.place)),
            parts=parts,
            next_part=(lambda through: self.part(parts.after(through))) if parts is not None else None,
        )


def land(
    ready: StagedLoad,
    *,
    log: Log | None = None,
    report: Callable[[StagedExtract, LandingResult], None] = lambda _staged, _landed: None,
) -> LandingResult:
    """Land a fetched load in one transaction; of a load in parts each part, and fetch those that follow.

    Rows that were damaged on disk are fetched again, once.

    Args:
        ready: The load.
        log: Takes messages for people.
        report: Called once the rows are in the table, with what all parts come to; the staged files of the last are
            still there.

    Raises:
        PipelineError: The table, its rows and the ledger are as they were, or as the last part left them that landed.
    """
    log = log or Silent()
    staged = landed = None
    source, tables = ready.load.request.source, ready.landed
    with ready.held:
        while True:
            part, result = _land_part(ready, log)
            staged, landed = in_parts.all_staged(staged, part), in_parts.all_landed(landed, result)
            if part.until is None or ready.next_part is None:
                following = ready.next_load() if ready.next_load is not None else None
                if following is None:
                    break
                with only_reports(log):
                    part.landed()
                ready, staged = following, replace(staged, request=following.staged.request)
                continue
            with only_reports(log):
                part.landed()
            said = f"Part {landed.parts} has landed: {result.rows_fetched:,} rows, all before {part.until.isoformat()}."
            log.info(said)
            try:
                ready = ready.next_part(part.until)
            except BaseException:
                log.warning(f"{said} The rest has not: run the load again, and it continues there.")
                raise
        names = (source.name, *(each.name for each in staged.request.children))
        tables.update(zip(names, (landed, *landed.children), strict=False))
        for done in (partial(report, staged, landed), staged.landed):
            with only_reports(log):
                done()
    return landed


def _land_part(ready: StagedLoad, log: Log) -> tuple[StagedExtract, LandingResult]:
    try:
        return ready.staged, _land(ready, ready.staged)
    except StageDamagedError as error:
        log.warning(f"{error} Nothing of it has landed; the rows are fetched again.")
        staged = ready.fetch_again()
        return staged, _land(ready, staged)


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


def _plan_report(load: Load, loads: Loads, account: Account, log: Log) -> tuple[ExtractRequest, None] | None:
    """What to read of a report; None if all of it has landed."""
    asked = ReportLoad(load.request, load.place, loads, load.run_id, load.now)
    request = report_request(asked, account, log.warning)
    return (request, None) if request is not None else None


def _plan(load: Load, loads: Loads, revision: str, log: Log) -> tuple[ExtractRequest, Parts | None] | None:
    """What to read, and in which parts; None if all of it has landed."""
    wanted, place = load.request, load.place
    field = wanted.source.time_field(wanted.filter_by)
    last_end = incremental = None
    if load.partition is None and wanted.continues and field is not None:
        incremental = in_parts.incremental_name(field.name, load.chosen)
        ended = partial(earliest_end, loads, field.name, load.chosen)
        last_end = last_end_before(load.now or clock.now(), wanted, ended, log.warning)
        if found := in_parts.cut_off(loads, incremental):
            last_end = end_of_cut_off(wanted, found.through, found.began)
            log.info(f"An earlier run was cut off when all before {found.through.isoformat()} had landed.")
    window = window_of(wanted, partition=load.partition, last_end=last_end, zone=place.zone, now=load.now)
    if window is None:
        log.info(f"Nothing to read: all up to {last_end.isoformat() if last_end else 'the end'} has landed.")
        return None
    source, options, children = read_for(wanted, load.children, revision)
    for each in load.children:
        if each.since > revision:
            log.warning(f"{each.title}: Klaviyo has them from revision {each.since} on, and {revision} answers.")
    chosen = tuple(load.chosen) if load.chosen is not None else None
    request = ExtractRequest(
        source, window, wanted.filter_by, options, wanted.ids, load.parents, children=children, chosen=chosen
    )
    if wanted.replaces and wanted.source.child is None:
        replaced_ranges(request, wanted.partition_key)  # refused before anything is read
    if not _lands_in_parts(load, request):
        return request, None
    request = replace(request, most_bytes=load.stage_bytes)
    # A whole read may be cut by another time than the one that the next run continues by.
    same = request.time_field == field
    parts = in_parts.parts_of(request, wanted, loads, incremental=incremental if same else None)
    if parts.landed:
        log.info(f"Continuing: {parts.landed} parts, all before {parts.through}, landed in an earlier run.")
    return request, parts


def _lands_in_parts(load: Load, request: ExtractRequest) -> bool:
    """Whether a load may land in parts: it says nothing of rows that are gone, and moves its own watermark."""
    return (
        load.moves_watermark and not load.request.replaces and request.can_end_early and sweep_of(load, request) is None
    )


def _shrink_limits(load: Load, client: KlaviyoClient, staged: StagedExtract, log: Log) -> ShrinkLimits | None:
    """How much the landing may take away: by parent, and without those that Klaviyo no longer has."""
    source, table = load.request.source, load.table
    limits = None if load.request.accept_shrink else load.shrink
    if limits is not None and source.report is not None and source.report.by and load.request.merges:
        # Events move from one combination to another, but a metric does not lose all events of the days that were read.
        assert source.fan_out is not None
        return replace(limits, by=source.fan_out.id_column, share=1.0, counted=dimensions.COUNT)
    if limits is not None and source.fan_out is not None and source.shows_deletions:
        limits = replace(limits, by=source.fan_out.id_column)
    if source.fan_out is None or not source.fan_out.count_field or not staged.request.is_whole:
        return limits
    here = living_children(load.place.database, source, table.schema, table.name)
    gone = gone_parents(client, staged, here, limits, log.warning)
    return replace(limits, known_gone=gone) if limits is not None else None


def _land(ready: StagedLoad, staged: StagedExtract) -> LandingResult:
    try:
        return landing.land(ready.load.place.database, land_request(ready, staged))
    except (ShrinkError, StageDamagedError):
        staged.drop()
        raise
    except BaseException:
        staged.keep()
        raise


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
