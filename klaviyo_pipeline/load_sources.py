"""Loading data sources one after another, each in a run of its own, and making the tables of analytics from them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any

import dagster as dg

from klaviyo_pipeline import clock
from klaviyo_pipeline.accounts.parts import AccountParts, default_parts
from klaviyo_pipeline.accounts.validation import ALL_ACCOUNTS
from klaviyo_pipeline.analytics.more_tables import ALL
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES, children_of, comes_along, lookback_days
from klaviyo_pipeline.loads.completeness import landed_days
from klaviyo_pipeline.loads.table import table_of
from klaviyo_pipeline.orchestration import dagster_home
from klaviyo_pipeline.orchestration.own_runs import execute_here
from klaviyo_pipeline.orchestration.partitions import range_tags
from klaviyo_pipeline.orchestration.skipping import skipped_in
from klaviyo_pipeline.transfers.running import metadata_of, stopped_by_a_person, why_failed


@dataclass(frozen=True)
class SourceRun:
    """How the load of one data source ended, or of one table of analytics (``klaviyo_analytics/daily_metrics``).

    ``first`` and ``last`` are the days that were read, None for a data source without day partitions. ``error`` says
    in a sentence why the load failed, ``skipped`` why it was skipped; blank if it was not. ``deleted`` counts rows that
    were marked deleted (merge) or cleared, ``outside`` rows that were fetched and lie outside of the days, such as
    events dated after today: a later load has them. ``run_id`` is blank if no run was started.
    """

    source: str
    error: str
    seconds: float
    run_id: str = ""
    skipped: str = ""
    first: date | None = None
    last: date | None = None
    fetched: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    outside: int = 0
    total: int = 0


def load_sources(
    names: Sequence[str],
    log_level: str = "WARNING",
    *,
    analytics: bool = False,
    account: AccountParts | None = None,
) -> Iterator[SourceRun]:
    """Load data sources in the catalogue's order, which has events before what follows from them.

    A data source by day is read from its first day that has not landed whole, and over its lookback at least. One
    that fails or is skipped does not stop the others, other than those that follow from its rows. Pages that a stopped
    run has fetched are taken up.

    Args:
        names: Data sources.
        log_level: Which of the runs' messages are shown.
        analytics: Make the tables of analytics afterwards, except those that read a data source that failed or is
            not chosen, and of several accounts the views over all of them.
        account: The account; the default one if it is missing.

    Raises:
        ConfigurationError: if there is no usable account.
        KeyboardInterrupt: if a person stopped a run.
    """
    from klaviyo_pipeline.definitions import defs

    account = account or default_parts()
    naming = account.naming
    account.klaviyo.client()
    job = defs.resolve_implicit_global_asset_job_def()
    known = defs.resolve_asset_graph().get_all_asset_keys()
    failed, skipped, built = set[str](), set[str](), list[str]()
    with dagster_home.kept_instance() as instance:
        launch = partial(_launch, job, instance, log_level)
        for source in (SOURCES[name] for name in SOURCES if name in names):
            if comes_along(source, names):
                continue
            along = children_of(source.name, names)
            days = _days(source, account) if source.partitioned_by_day else None
            parent = source.fan_out.parent if source.fan_out is not None and source.fan_out.key else ""
            keys = [naming.asset_key(each) for each in (source, *along)]
            waits = _follow(source.name, failed & {parent}, skipped & {parent})
            runs = [waits] if waits else launch([(key, key.path[-1]) for key in keys], days)
            failed |= {run.source for run in runs if run.error}
            skipped |= {run.source for run in runs if run.skipped}
            yield from runs
        # A usual table of which a data source is not chosen is an asset all the same: a transfer may load that one.
        chosen = set(naming.chosen())
        for table in (each for each in ALL.values() if analytics and set(each.made_from) <= chosen):
            key = naming.analytics_key(table.name)
            name = "/".join(key.path)
            made_from = set(table.made_from)
            waits = _follow(name, failed & made_from, skipped & made_from)
            runs = [waits] if waits else launch([(key, name)])
            yield from runs
            built += [table.name for run in runs if not (run.error or run.skipped)]
        views = [(dg.AssetKey([ALL_ACCOUNTS, name]), f"{ALL_ACCOUNTS}/{name}") for name in built]
        if there := [each for each in views if each[0] in known]:
            yield from launch(there)


def _follow(name: str, failed: set[str], skipped: set[str]) -> SourceRun | None:
    """The outcome of a load that follows from others, if they have failed or were skipped; None otherwise."""
    if failed:
        return SourceRun(name, f"Not started: it follows from {' and '.join(sorted(failed))}, which failed.", 0.0)
    if skipped:
        verb = "was" if len(skipped) == 1 else "were"
        reason = f"It follows from {' and '.join(sorted(skipped))}, which {verb} skipped."
        return SourceRun(name, "", 0.0, skipped=reason)
    return None


def _launch(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    log_level: str,
    named: Sequence[tuple[dg.AssetKey, str]],
    days: tuple[date, date] | None = None,
) -> list[SourceRun]:
    """One run of some assets with their names, and what it says of each; its time counts for the first."""
    started = time.monotonic()
    result = execute_here(
        job,
        instance,
        asset_selection=[key for key, _name in named],
        tags=range_tags(*days) if days else {},
        run_config={"loggers": {"console": {"config": {"log_level": log_level, "outcomes": False}}}},
        raise_on_error=False,
    )
    error = why_failed(result)
    if stopped_by_a_person(error):
        raise KeyboardInterrupt(error)
    seconds, skipped = time.monotonic() - started, skipped_in(result)
    runs = []
    for number, (key, name) in enumerate(named):
        landed: dict[str, Any] = metadata_of(result, key)
        runs.append(
            SourceRun(
                name,
                error,
                seconds if number == 0 else 0.0,
                result.run_id,
                skipped.get(named[0][0].path[-1], ""),
                days[0] if days else None,
                days[1] if days else None,
                fetched=landed.get("rows_fetched", 0),
                inserted=landed.get("rows_inserted", 0),
                updated=landed.get("rows_updated", 0),
                deleted=landed.get("rows_deleted", 0),
                outside=landed.get("rows_outside_window", 0),
                total=landed.get("dagster/row_count", 0),
            )
        )
    return runs


def _days(source: Source, account: AccountParts) -> tuple[date, date]:
    """The first and the last day to read: from the first that has not landed whole, and the lookback at least."""
    duckdb = account.duckdb
    today = clock.now().astimezone(duckdb.zone).date()
    start = min(date.fromisoformat(account.first_day), today)
    table = table_of(source, duckdb.schema_or_default).plain_name
    chosen = account.naming.choices.chosen(source.choice.setting) if source.choice is not None else None
    found = landed_days(duckdb.warehouse(), source, table, duckdb.zone, start, chosen=chosen)
    first = min((*found.missing, *found.partial, today - timedelta(days=lookback_days(source))))
    return max(first, start), today
