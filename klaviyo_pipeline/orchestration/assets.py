"""The nine assets, each built from its declaration in the catalogue: fetch, then hand over to be landed."""
# No `from __future__ import annotations` here: Dagster reads an asset's config class off its signature.

import warnings
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from klaviyo_pipeline.klaviyo.errors import KlaviyoError
from klaviyo_pipeline.klaviyo.sources import SOURCES, Source
from klaviyo_pipeline.orchestration.load_config import config_class
from klaviyo_pipeline.orchestration.loads import Asked, Fetched, Range, asked_of, window_of
from klaviyo_pipeline.orchestration.metadata import column_schema
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.warehouse.errors import WarehouseError
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.extract import ExtractRequest, StagedExtract
    from klaviyo_pipeline.klaviyo.fetching import Progress

KEY_PREFIX = "klaviyo"
GROUP = "klaviyo"
OWNERS = ["team:data-platform"]
REPORT_EVERY_S = 10.0


def asset_key(source: Source) -> dg.AssetKey:
    """The asset key of a data source."""
    return dg.AssetKey([KEY_PREFIX, source.name])


def partition_key_of(source: Source) -> str | None:
    """The column whose time decides which day partition a row lies in."""
    if not source.partitioned_by_day:
        return None
    return source.time_fields[0].name if source.time_fields else "event_datetime"


def build_assets(partitions: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """All assets; events, profiles, campaigns and what follows from events have these partitions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # backfill_policy
        return [_build_asset(source, partitions) for source in SOURCES.values()]


def _build_asset(source: Source, partitions: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    day = source.partitioned_by_day
    follows = source.fan_out if source.fan_out is not None and source.fan_out.batch is not None else None
    needed = [] if follows is None else ["id", "datetime", follows.key]
    partition_key = partition_key_of(source)
    settings: dict[str, Any] = {
        "key": asset_key(source),
        "group_name": GROUP,
        "kinds": {"python", "klaviyo", "duckdb"},
        "owners": OWNERS,
        "description": f"{source.description}\n\n[Klaviyo's documentation]({source.doc})",
        "partitions_def": partitions if day else None,
        "backfill_policy": dg.BackfillPolicy.single_run(),
        "io_manager_key": "io_manager",
        "metadata": {
            "dagster/column_schema": column_schema(source),
            "table": source.name,
            "write_mode": WriteMode.MERGE.value,
            **({"partition_expr": partition_key} if partition_key else {}),
        },
        "tags": {"klaviyo/source": source.name},
    }
    config_type: Any = config_class(source.name)
    asset: Callable[..., Callable[[Callable[..., Fetched]], dg.AssetsDefinition]] = dg.asset
    if follows is None:

        @asset(**settings)
        def fetch_collection(
            context: dg.AssetExecutionContext,
            config: config_type,
            klaviyo: KlaviyoResource,
            duckdb: KlaviyoDuckDBResource,
        ) -> Any:  # noqa: ANN401 - a type that Dagster does not check
            return _fetch(context, asked_of(source, config), klaviyo, duckdb)

        return fetch_collection

    @asset(
        **settings,
        ins={"events": dg.AssetIn(asset_key(SOURCES[follows.parent]), metadata={"columns": needed})},
    )
    def fetch_for_events(
        context: dg.AssetExecutionContext,
        config: config_type,
        klaviyo: KlaviyoResource,
        duckdb: KlaviyoDuckDBResource,
        events: Any,  # noqa: ANN401 - a DataFrame; naming the type would import pandas at start-up
    ) -> Any:  # noqa: ANN401
        return _fetch(context, asked_of(source, config), klaviyo, duckdb, events)

    return fetch_for_events


def _fetch(
    context: dg.AssetExecutionContext,
    asked: Asked,
    klaviyo: KlaviyoResource,
    duckdb: KlaviyoDuckDBResource,
    events: Any = None,  # noqa: ANN401 - a DataFrame
) -> Fetched:
    """Fetch what a run asks for.

    Raises:
        dagster.Failure: with one sentence that says what went wrong and what to do; nothing was landed.
    """
    try:
        return _fetched(context, asked, klaviyo, duckdb, events)
    except (KlaviyoError, WarehouseError) as error:
        # Passing faults have been retried already; running the same again at once would not help.
        raise dg.Failure(str(error), allow_retries=False) from None


def _fetched(
    context: dg.AssetExecutionContext,
    asked: Asked,
    klaviyo: KlaviyoResource,
    duckdb: KlaviyoDuckDBResource,
    events: Any,  # noqa: ANN401 - a DataFrame
) -> Fetched:
    from klaviyo_pipeline.klaviyo.extract import ExtractRequest, extract

    source = asked.source
    partition = _partition(context)
    last_end = None
    if partition is None and asked.incremental and not asked.start_time:
        last_end = _last_end(asked, duckdb)
    window = window_of(asked, partition=partition, last_end=last_end, zone=duckdb.zone)
    parents = None
    if events is not None and asked.ids is None:
        import pyarrow as pa

        parents = pa.Table.from_pandas(events, preserve_index=False)
    request = ExtractRequest(source, window, asked.filter_by, asked.options, asked.ids, parents)
    client = klaviyo.client()
    context.log.info("Reading %s %s, revision %s.", source.name, _describe(request), client.revision)
    staged = extract(client, request, duckdb.staging_area(), _reporter(context, source), REPORT_EVERY_S)
    _say_what_was_odd(context, client.revision, staged)
    return Fetched(staged, asked.destination)


def _partition(context: dg.AssetExecutionContext) -> Range | None:
    # An unpartitioned asset that runs along with partitioned ones sees their partitions too.
    if context.assets_def.partitions_def is None or not (context.has_partition_key or context.has_partition_key_range):
        return None
    window = context.partition_time_window
    return window.start, window.end


def _last_end(asked: Asked, duckdb: KlaviyoDuckDBResource) -> datetime | None:
    from klaviyo_pipeline.warehouse.errors import DatabaseMissingError
    from klaviyo_pipeline.warehouse.ledger import last_window_end

    schema = asked.destination.schema or duckdb.schema_or_default
    table = asked.destination.table or asked.source.name
    try:
        return last_window_end(duckdb.warehouse(), asked.source.name, f"{schema}.{table}")
    except DatabaseMissingError:
        return None


def _describe(request: "ExtractRequest") -> str:
    if request.is_whole:
        return "whole"
    window = request.window
    start = window.start.isoformat() if window.start else "the beginning"
    return f"from {start} to {window.end.isoformat() if window.end else 'now'}"


def _reporter(context: dg.AssetExecutionContext, source: Source) -> "Callable[[Progress], None]":
    def report(progress: "Progress") -> None:
        context.log.info(
            "%s: %s rows on %s pages; %s slices done, %s running, %s waiting.",
            source.name,
            f"{progress.rows:,}",
            f"{progress.pages:,}",
            progress.slices_done,
            progress.slices_running,
            progress.slices_waiting,
        )

    return report


def _say_what_was_odd(context: dg.AssetExecutionContext, revision: str, staged: "StagedExtract") -> None:
    if staged.revision != revision:
        context.log.warning(
            "Klaviyo answered as revision %s, not %s: that one has been retired. Rows have the shape of %s.",
            staged.revision,
            revision,
            staged.revision,
        )
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
