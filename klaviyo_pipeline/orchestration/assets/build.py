"""Assets, each built from a configured load: fetch, then hand over to be landed. The nine have default settings."""
# No `from __future__ import annotations` here: Dagster reads an asset's config class off its signature.

import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg

from klaviyo_pipeline import clock, environment
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.catalogue.revisions import who_answers
from klaviyo_pipeline.loads.request import (
    Asked,
    Fetched,
    Range,
    asked_of,
    last_end_before,
    replaced_ranges,
    window_of,
)
from klaviyo_pipeline.loads.run_lock import Turn
from klaviyo_pipeline.orchestration.assets.config import LoadConfig, config_class
from klaviyo_pipeline.orchestration.assets.metadata import column_schema
from klaviyo_pipeline.orchestration.assets.progress import LOOK_EVERY_S, reporting
from klaviyo_pipeline.orchestration.assets.spec import GROUP, KEY_PREFIX, LoadSpec, default_spec, partition_key_of
from klaviyo_pipeline.orchestration.notices import account_of_run, first_time
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.orchestration.run_config import launch_schema
from klaviyo_pipeline.redaction import RedactedError, no_secrets
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.extract.extract import ExtractRequest, StagedExtract
    from klaviyo_pipeline.warehouse.tables import Table

__all__ = ["GROUP", "KEY_PREFIX", "OWNERS", "asset_key", "build_asset", "build_assets", "partition_key_of"]

OWNERS = ["team:data-platform"]


def asset_key(source: Source) -> dg.AssetKey:
    """The asset key of a data source."""
    return dg.AssetKey([KEY_PREFIX, source.name])


def build_assets(partitions: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """The nine assets; events, profiles, campaigns and what follows from events have these partitions."""
    return [build_asset(default_spec(source, partitions)) for source in SOURCES.values()]


def build_asset(spec: LoadSpec) -> dg.AssetsDefinition:
    """The asset of a configured load."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # backfill_policy
        return _build_asset(spec)


def _build_asset(spec: LoadSpec) -> dg.AssetsDefinition:
    source, lands = spec.source, spec.destination
    place = {"schema": lands.schema, "database": lands.database, "partition_expr": spec.partition_key}
    settings: dict[str, Any] = {
        "key": spec.key,
        "group_name": spec.group,
        "kinds": {"python", "klaviyo", "duckdb"},
        "owners": OWNERS,
        "description": spec.description or f"{source.description}\n\n[Klaviyo's documentation]({source.doc})",
        "partitions_def": spec.partitions,
        "backfill_policy": dg.BackfillPolicy.single_run(),
        "io_manager_key": "io_manager",
        "metadata": {
            "dagster/column_schema": column_schema(source),
            "table": lands.table or spec.key.path[-1],
            "write_mode": (lands.write_mode or WriteMode.MERGE).value,
            **{name: value for name, value in place.items() if value},
            **spec.metadata,
        },
        "tags": {"klaviyo/source": source.name, **spec.tags},
    }
    if spec.cadence is not None:
        settings["freshness_policy"] = dg.FreshnessPolicy.time_window(
            fail_window=spec.cadence.fail_after, warn_window=spec.cadence.warn_after
        )
    config_type = config_class(source.name, spec.options)
    settings["config_schema"] = launch_schema(config_type)
    asset: Callable[..., Callable[[Callable[..., Fetched | None]], dg.AssetsDefinition]] = dg.asset
    if not spec.needs_events or spec.events_table:

        @asset(**settings)
        def fetch_collection(
            context: dg.AssetExecutionContext,
            klaviyo: KlaviyoResource,
            duckdb: KlaviyoDuckDBResource,
        ) -> Any:  # noqa: ANN401 - a type that Dagster does not check
            return _fetch(context, spec, _asked(context, spec, config_type), klaviyo, duckdb)

        return fetch_collection

    events_in = dg.AssetIn(asset_key(SOURCES["events"]), metadata={"columns": spec.events_columns})

    @asset(**settings, ins={"events": events_in}, automation_condition=_follows())
    def fetch_for_events(
        context: dg.AssetExecutionContext,
        klaviyo: KlaviyoResource,
        duckdb: KlaviyoDuckDBResource,
        events: Any,  # noqa: ANN401 - a DataFrame; naming the type would import pandas at start-up
    ) -> Any:  # noqa: ANN401
        return _fetch(context, spec, _asked(context, spec, config_type), klaviyo, duckdb, events)

    return fetch_for_events


def _follows() -> Any:  # noqa: ANN401 - a type that Dagster does not export
    """When events of a day arrive in a run of their own, what follows from them is loaded for that day as well.

    Like ``AutomationCondition.eager()``, but for every day that was loaded, not only the latest, and for none that
    was not.
    """
    condition = dg.AutomationCondition
    return (
        condition.any_deps_updated().since_last_handled()
        & ~condition.any_deps_missing()
        & ~condition.any_deps_in_progress()
        & ~condition.in_progress()
    ).with_label("follows its events")


def _asked(context: dg.AssetExecutionContext, spec: LoadSpec, config_type: type[LoadConfig]) -> Asked:
    """What the run's config asks for."""
    return asked_of(spec, config_type(**context.op_execution_context.op_config))


def _fetch(
    context: dg.AssetExecutionContext,
    spec: LoadSpec,
    asked: Asked,
    klaviyo: KlaviyoResource,
    duckdb: KlaviyoDuckDBResource,
    events: Any = None,  # noqa: ANN401 - a DataFrame
) -> Fetched | None:
    """Fetch what a run asks for; None if it has landed before.

    Raises:
        dagster.Failure: with one sentence that says what went wrong and what to do; nothing was landed.
    """
    try:
        duckdb = duckdb.at(spec.destination.database, spec.destination.timezone)
        turn = Turn.of(
            spec,
            duckdb.staging_area(),
            context.log.info,
            run_id=context.run.run_id,
            wait_s=duckdb.same_load_timeout_s,
        )
        try:
            with no_secrets():
                fetched = _fetched(context, spec, asked, spec.account(klaviyo), duckdb, events, turn)
        except BaseException:
            turn.end()
            raise
        if fetched is None:
            turn.end()
    except RedactedError as error:
        # Passing faults have been retried already; running the same again at once would not help.
        raise dg.Failure(str(error), allow_retries=False) from None
    return fetched


def _fetched(
    context: dg.AssetExecutionContext,
    spec: LoadSpec,
    asked: Asked,
    klaviyo: KlaviyoResource,
    duckdb: KlaviyoDuckDBResource,
    events: Any,  # noqa: ANN401 - a DataFrame
    turn: Turn,
) -> Fetched | None:
    from klaviyo_pipeline.klaviyo.extract.extract import ExtractRequest, extract
    from klaviyo_pipeline.loads.whole_reads import gone_lists, living_members, owner_of
    from klaviyo_pipeline.warehouse.sandbox_rows import Origin, check_apart

    client = klaviyo.client()
    origin = Origin(environment.sandbox_end(client.base_url))
    check_apart(duckdb.warehouse(), origin)
    source = asked.source
    partition = _partition(context)
    last_end = None
    if partition is None and asked.goes_on:
        last_end = last_end_before(clock.now(), asked, partial(_last_end, spec, asked, duckdb), context.log.warning)
    window = window_of(asked, partition=partition, last_end=last_end, zone=duckdb.zone)
    if window is None:
        context.log.info("Nothing to read: all up to %s has landed.", last_end.isoformat() if last_end else "the end")
        return None
    parents = _events(spec, asked, duckdb, events)
    request = ExtractRequest(source, window, asked.filter_by, asked.options, asked.ids, parents)
    if asked.replaces:
        replaced_ranges(request, asked.destination.partition_key)
    database, table = duckdb.warehouse(), _table(spec, asked, duckdb)
    owner = owner_of(client, database, source.name, table, asked.mode, partial(account_of_run, context.run.run_id))
    limits = None if asked.accept_shrink else duckdb.shrink_limits()
    context.log.info("Reading %s %s, revision %s.", source.name, _describe(request), client.written_revision)

    def fetch() -> "StagedExtract":
        with reporting(source.name, context.log.info) as report:
            return extract(client, request, duckdb.staging_area(), report, LOOK_EVERY_S)

    staged = fetch()
    _say_what_was_odd(context, client.written_revision, staged)
    if limits is not None and source.shows_deletions and source.fan_out is not None:
        limits = replace(limits, by="list_id")
    if source.name == "list_profiles" and request.is_whole:
        try:
            here = living_members(database, table.schema, table.name)
            gone = gone_lists(client, staged, here, limits, context.log.warning)
        except BaseException:
            staged.drop()
            raise
        limits = limits and replace(limits, known_gone=gone)
    return Fetched(
        staged,
        asked.destination,
        spec.ledger_name,
        moves_watermark=asked.ids == spec.ids,
        release=turn.end,
        origin=origin,
        fetch_again=fetch,
        owner=owner,
        shrink=limits,
    )


def _table(spec: LoadSpec, asked: Asked, duckdb: KlaviyoDuckDBResource) -> "Table":
    from klaviyo_pipeline.loads.table import table_of

    schema = asked.destination.schema or duckdb.schema_or_default
    return table_of(asked.source, schema, asked.destination.table or spec.key.path[-1], asked.options)


def _partition(context: dg.AssetExecutionContext) -> Range | None:
    # An unpartitioned asset that runs along with partitioned ones sees their partitions too.
    if context.assets_def.partitions_def is None or not (context.has_partition_key or context.has_partition_key_range):
        return None
    window = context.partition_time_window
    return window.start, window.end


def _last_end(
    spec: LoadSpec, asked: Asked, duckdb: KlaviyoDuckDBResource, not_after: datetime | None = None
) -> datetime | None:
    from klaviyo_pipeline.warehouse.errors import DatabaseMissingError
    from klaviyo_pipeline.warehouse.ledger import last_window_end

    table = _table(spec, asked, duckdb).plain_name
    time_field = asked.source.time_field(asked.filter_by)
    name = time_field.name if time_field else None
    try:
        return last_window_end(duckdb.warehouse(), spec.ledger_name, table, filter_field=name, not_after=not_after)
    except DatabaseMissingError:
        return None


def _events(spec: LoadSpec, asked: Asked, duckdb: KlaviyoDuckDBResource, frame: Any) -> Any:  # noqa: ANN401
    """The events that a load follows from, as an Arrow table; None where it follows from none."""
    if not spec.needs_events or asked.ids is not None:
        return None
    if spec.events_table:
        from klaviyo_pipeline.warehouse.errors import DatabaseMissingError, TableMissingError
        from klaviyo_pipeline.warehouse.reading import read_table

        schema = asked.destination.schema or duckdb.schema_or_default
        try:
            frame = read_table(duckdb.warehouse(), schema, spec.events_table, columns=spec.events_columns)
        except (DatabaseMissingError, TableMissingError):
            raise TableMissingError(
                f"{asked.source.name} follows the events in {schema}.{spec.events_table}, and "
                f"{duckdb.warehouse().file} has no such table. Load the data source events first, into the same "
                f"database and schema, with table: {spec.events_table}. Or name another table in events_table."
            ) from None
    import pyarrow as pa

    return pa.Table.from_pandas(frame, preserve_index=False)


def _describe(request: "ExtractRequest") -> str:
    if request.is_whole:
        return "whole"
    window = request.window
    start = window.start.isoformat() if window.start else "the beginning"
    return f"from {start} to {window.end.isoformat() if window.end else 'now'}"


def _say_what_was_odd(context: dg.AssetExecutionContext, revision: str, staged: "StagedExtract") -> None:
    sentence = who_answers(revision, staged.revision)
    if sentence and first_time(context.run.run_id, sentence):
        context.log.warning(sentence)
    if staged.findings.unknown:
        context.log.warning(
            "Attributes that are not known here were kept in _extra: %s.", ", ".join(sorted(staged.findings.unknown))
        )
    if staged.findings.misfits:
        context.log.warning(
            "Values that do not fit their column's type were kept in _extra: %s.",
            ", ".join(f"{name} ({count})" for name, count in sorted(staged.findings.misfits.items())),
        )
    if staged.findings.vanished:
        context.log.warning("Deleted while they were read: %s.", ", ".join(sorted(staged.findings.vanished)))
