"""Assets, each built from a configured load: fetch, then hand over to be landed."""
# No `from __future__ import annotations` here: Dagster reads an asset's config class off its signature.

import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg

from klaviyo_pipeline import environment
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES, children_of, comes_along
from klaviyo_pipeline.klaviyo.catalogue.revisions import who_answers
from klaviyo_pipeline.klaviyo.errors import LaterRevisionError, ScopeError
from klaviyo_pipeline.loads.request import Range
from klaviyo_pipeline.loads.run_lock import run_lock
from klaviyo_pipeline.orchestration.account import DEFAULT, Naming
from klaviyo_pipeline.orchestration.assets.config import (
    LoadConfig,
    config_class,
    destination_of,
    load_request,
)
from klaviyo_pipeline.orchestration.assets.partition_metadata import partition_ranges
from klaviyo_pipeline.orchestration.assets.plots import ask_names
from klaviyo_pipeline.orchestration.assets.progress import reporting
from klaviyo_pipeline.orchestration.assets.run_settings import KlaviyoRunSettings, run_settings
from klaviyo_pipeline.orchestration.assets.spec import GROUP, KEY_PREFIX, LoadSpec, default_spec, partition_key_of
from klaviyo_pipeline.orchestration.assets.with_children import asset_settings, build_with_children, config_of
from klaviyo_pipeline.orchestration.failures import plain_failures
from klaviyo_pipeline.orchestration.once_per_run import account_of_run, first_time
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.orchestration.run_config import launch_schema
from klaviyo_pipeline.orchestration.skipping import skip

if TYPE_CHECKING:
    from klaviyo_pipeline.loads.destination import Place
    from klaviyo_pipeline.loads.model import Load
    from klaviyo_pipeline.warehouse.parent_rows import ParentRows

_PARENT_RUN, _RETRY = "dagster/parent_run_id", "dagster/retry_number"
"""The tags that Dagster gives to a run that repeats another one, and to its own retries."""

__all__ = ["GROUP", "KEY_PREFIX", "asset_key", "build_asset", "build_assets", "partition_key_of"]


def asset_key(source: Source) -> dg.AssetKey:
    """The asset key of a data source."""
    return dg.AssetKey([KEY_PREFIX, source.name])


def build_assets(partitions: dg.PartitionsDefinition[str], naming: Naming = DEFAULT) -> list[dg.AssetsDefinition]:
    """The assets of the chosen data sources; those by day have these partitions."""
    chosen = naming.chosen()
    sources = [SOURCES[name] for name in chosen if not comes_along(SOURCES[name], chosen)]
    return [build_asset(default_spec(each, partitions, children_of(each.name, chosen), naming)) for each in sources]


def build_asset(spec: LoadSpec) -> dg.AssetsDefinition:
    """The asset of a configured load."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # backfill_policy
        return _build_asset(spec)


def _build_asset(spec: LoadSpec) -> dg.AssetsDefinition:
    source = spec.source
    config_type = config_class(source.name, spec.options)
    if spec.children:
        return build_with_children(spec, config_type, _fetch)
    settings = {
        **asset_settings(spec),
        "partitions_def": spec.partitions,
        "output_required": not spec.skips,
        "pool": spec.pool_or_default,
        "config_schema": launch_schema(config_type),
        "resource_defs": run_settings(spec.naming),
    }
    asset: Callable[..., Callable[[Callable[..., Any]], dg.AssetsDefinition]] = dg.asset
    if not spec.follows or spec.events_table:

        @asset(**settings)
        @spec.naming.with_resources
        def fetch_collection(
            context: dg.AssetExecutionContext,
            klaviyo: KlaviyoResource,
            duckdb: KlaviyoDuckDBResource,
            klaviyo_load: KlaviyoRunSettings,
        ) -> Any:  # noqa: ANN401 - a type that Dagster does not check
            return _fetch(context, spec, klaviyo_load.applied_to(config_of(context, config_type)), klaviyo, duckdb)

        return fetch_collection

    assert source.fan_out is not None
    parents_in = dg.AssetIn(
        spec.naming.asset_key(SOURCES[source.fan_out.parent]),
        metadata={"columns": spec.parent_columns, "selected": True},
    )

    @asset(**settings, ins={"parents": parents_in}, automation_condition=_follows())
    @spec.naming.with_resources
    def fetch_children(
        context: dg.AssetExecutionContext,
        klaviyo: KlaviyoResource,
        duckdb: KlaviyoDuckDBResource,
        klaviyo_load: KlaviyoRunSettings,
        parents: Any,  # noqa: ANN401 - a Selection; naming the type would import the warehouse at start-up
    ) -> Any:  # noqa: ANN401
        config = klaviyo_load.applied_to(config_of(context, config_type))
        return _fetch(context, spec, config, klaviyo, duckdb, parents)

    return fetch_children


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


def _fetch(
    context: dg.AssetExecutionContext,
    spec: LoadSpec,
    config: LoadConfig,
    klaviyo: KlaviyoResource,
    duckdb: KlaviyoDuckDBResource,
    parents: Any = None,  # noqa: ANN401 - a Selection
) -> Any:  # noqa: ANN401 - a StagedLoad, None, or no output at all
    """Fetch what a run asks for; None if it has landed before, no output if the load is skipped.

    Raises:
        dagster.Failure: with one sentence that says what went wrong and what to do; nothing was landed.
    """
    from klaviyo_pipeline.loads.load import fetch

    with plain_failures(), ExitStack() as held:
        duckdb = duckdb.at(spec.destination.database, spec.destination.timezone)
        area, run_id = duckdb.staging_area(), context.run.run_id
        if spec.one_at_a_time:
            held.enter_context(_run_lock(context, spec.ledger_name, duckdb))
        client = spec.account(klaviyo).client()
        load = load_of(
            spec,
            config,
            duckdb,
            client.base_url,
            parents,
            run_id=run_id,
            partition=_partition(context),
            count_ranges=partition_ranges(context.assets_def.partitions_def, _keys(context)),
        )
        load = _without_old_consent(context, load)
        try:
            ready = fetch(
                load,
                client,
                area,
                log=context.log,
                reporting=partial(reporting, spec.source.name, context.log.info),
                ask_account=partial(account_of_run, run_id),
            )
        except (ScopeError, LaterRevisionError) as error:
            if not spec.skips:
                raise
            return skip(context, spec.key, str(error))
        if ready is None:
            return None
        _warn_of_revision(context, client.written_revision, ready.staged.revision)
        return replace(ready, held=held.pop_all(), names=partial(ask_names, spec.account(klaviyo), duckdb))


def _run_lock(context: dg.AssetExecutionContext, load: str, duckdb: KlaviyoDuckDBResource) -> Any:  # noqa: ANN401
    """Keeps other runs of a load out: on this machine, and on others that write the same destination."""
    warehouse = duckdb.warehouse()
    return run_lock(
        load,
        duckdb.staging_area(),
        context.log.info,
        run_id=context.run.run_id,
        wait_s=duckdb.same_load_timeout_s,
        coordination=environment.coordination() if warehouse.is_shared else None,
        place=warehouse.name,
    )


def load_of(
    spec: LoadSpec,
    config: LoadConfig,
    duckdb: KlaviyoDuckDBResource,
    url: str,
    parents: Any = None,  # noqa: ANN401 - a Selection
    **run: Any,  # noqa: ANN401 - as the fields of a Load
) -> "Load":
    """A configured load from an address, without Dagster. A run adds its own: id, partition, ranges to count."""
    from klaviyo_pipeline.loads.model import Load
    from klaviyo_pipeline.warehouse.sandbox_rows import Origin

    request = load_request(spec, config)
    place = duckdb.place(destination_of(spec, config), spec.key.path[-1])
    return Load(
        request=request,
        place=place,
        name=spec.ledger_name,
        parents=_parents(spec, place, parents) if spec.follows and request.ids is None else None,
        moves_watermark=(request.ids, request.chosen) == (spec.ids, spec.chosen),
        origin=Origin(environment.sandbox_end(url)),
        shrink=duckdb.shrink_limits(),
        stage_bytes=duckdb.stage_bytes(),
        fresh_parents=duckdb.fresh_parents(),
        details={"asset": spec.key.to_user_string()},
        children=tuple(each.source for each in spec.children)
        if place.table == (spec.destination.table or spec.key.path[-1])
        else (),
        **run,
    )


def _without_old_consent(context: dg.AssetExecutionContext, load: "Load") -> "Load":
    """Consent to a shrink counts for the run for which a person gave it, and for no repetition of it."""
    if not load.request.accept_shrink or not _is_run_again_by_a_person(context):
        return load
    context.log.warning(
        "accept_shrink was the consent for the run that this one repeats. It does not count here: launch a new run "
        "from the Launchpad to consent again."
    )
    return replace(load, request=replace(load.request, accept_shrink=False))


def _is_run_again_by_a_person(context: dg.AssetExecutionContext) -> bool:
    """Whether the run repeats another one with that one's run config; Dagster's own retries are the same run."""
    return _PARENT_RUN in context.run.tags and _RETRY not in context.run.tags


def _keys(context: dg.AssetExecutionContext) -> Sequence[str]:
    """The keys of the run's partitions; none for an unpartitioned asset, also beside partitioned ones."""
    return context.partition_keys if _partition(context) is not None else ()


def _partition(context: dg.AssetExecutionContext) -> Range | None:
    """The run's partition or range of partitions, in UTC."""
    # An unpartitioned asset that runs along with partitioned ones sees their partitions too.
    if context.assets_def.partitions_def is None or not (context.has_partition_key or context.has_partition_key_range):
        return None
    window = context.partition_time_window
    return window.start.astimezone(UTC), window.end.astimezone(UTC)


def _parents(spec: LoadSpec, place: "Place", rows: Any) -> "ParentRows":  # noqa: ANN401 - a Selection, or a DataFrame
    """The rows that a load follows from: the given ones, or those of the table that it names."""
    from klaviyo_pipeline.warehouse.parent_rows import ParentRows
    from klaviyo_pipeline.warehouse.reading import Selection

    assert spec.source.fan_out is not None
    assert spec.source.fan_out.key is not None
    advice = ""
    if spec.events_table:
        rows = Selection(place.database, place.schema, spec.events_table, spec.parent_columns)
        advice = (
            f"{spec.source.name} follows the events in {place.schema}.{spec.events_table}, and "
            f"{place.database.name} has no such table. Load the data source events first, into the same "
            f"database and schema, with table: {spec.events_table}. Or name another table in events_table."
        )
    elif not isinstance(rows, Selection):  # of another IO manager
        import pyarrow as pa

        rows = pa.Table.from_pandas(rows, preserve_index=False)
    return ParentRows(place.database, rows, spec.parent_columns, spec.source.fan_out.key, advice)


def _warn_of_revision(context: dg.AssetExecutionContext, written: str, answered: str) -> None:
    sentence = who_answers(written, answered)
    if sentence and first_time(context.run.run_id, sentence):
        context.log.warning(sentence)
