"""Several assets of one load: a data source, and those whose rows stand in its rows.

They are one op. Whichever of them a run selects, the load is the same, and all tables change in one transaction; so the
run records a materialization of every one of them.
"""
# No `from __future__ import annotations` here: Dagster reads resources off an asset's signature.

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from klaviyo_pipeline.orchestration.assets.config import LoadConfig
from klaviyo_pipeline.orchestration.assets.metadata import child_metadata, column_schema
from klaviyo_pipeline.orchestration.assets.run_settings import KlaviyoRunSettings, run_settings
from klaviyo_pipeline.orchestration.assets.spec import LoadSpec
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.orchestration.run_config import launch_schema
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    from klaviyo_pipeline.loads.model import StagedLoad

Fetch = Callable[[dg.AssetExecutionContext, LoadSpec, LoadConfig, KlaviyoResource, KlaviyoDuckDBResource], Any]


@dataclass(frozen=True)
class TableOfLoad:
    """One table of a load that waits to be landed; the first that the IO manager is given lands all of them."""

    ready: "StagedLoad"
    source: str


def config_of(context: dg.AssetExecutionContext, config_type: type[LoadConfig]) -> LoadConfig:
    """The run's config for an asset."""
    return config_type(**context.op_execution_context.op_config)


def asset_settings(spec: LoadSpec) -> dict[str, Any]:
    """What Dagster is told of a load's asset, whether or not it has an op of its own."""
    source, lands, naming = spec.source, spec.destination, spec.naming
    translator = naming.translator
    place = {"schema": lands.schema, "database": lands.database, "partition_expr": spec.partition_key}
    settings: dict[str, Any] = {
        "key": spec.key,
        "group_name": translator.get_group_name(source, spec.group),
        "kinds": {"python", "klaviyo", "duckdb"},
        "owners": list(translator.get_owners(source, naming.owners_or_default())),
        "description": translator.get_description(source, spec.description or source.description),
        "backfill_policy": dg.BackfillPolicy.single_run(),
        "io_manager_key": naming.resource_key("io_manager"),
        "metadata": {
            "dagster/column_schema": column_schema(source),
            "documentation": dg.MetadataValue.url(source.doc),
            "table": lands.table or spec.key.path[-1],
            "write_mode": (lands.write_mode or WriteMode.MERGE).value,
            **{name: value for name, value in place.items() if value},
            **spec.metadata,
        },
        "tags": dict(translator.get_tags(source, {"klaviyo/source": source.name, **spec.tags})),
    }
    if spec.cadence is not None:
        settings["freshness_policy"] = dg.FreshnessPolicy.time_window(
            fail_window=spec.cadence.fail_after, warn_window=spec.cadence.warn_after
        )
    return settings


def build_with_children(spec: LoadSpec, config_type: type[LoadConfig], fetch: Fetch) -> dg.AssetsDefinition:
    """The assets of a load and of its children, as one op with the config of the load."""
    specs = {each.source.name: each for each in (spec, *spec.children)}
    settings = {name: asset_settings(each) for name, each in specs.items()}
    policy = settings[spec.source.name]["backfill_policy"]
    for each in settings.values():
        del each["backfill_policy"]
    # Between partitioned assets Dagster would ask for the partition, and so fail runs that have none.
    parents = {spec.key} if spec.partitions is None else set()
    follows = {spec.source.name: set[dg.AssetKey](), **{each.source.name: parents for each in spec.children}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)

        @dg.multi_asset(
            name="__".join(spec.key.path),
            outs={name: dg.AssetOut(**each, is_required=False) for name, each in settings.items()},
            internal_asset_deps=follows,
            partitions_def=spec.partitions,
            backfill_policy=policy,
            config_schema=launch_schema(config_type),
            resource_defs=run_settings(spec.naming),
            can_subset=True,
            pool=spec.pool_or_default,
        )
        @spec.naming.with_resources
        def fetch_with_children(
            context: dg.AssetExecutionContext,
            klaviyo: KlaviyoResource,
            duckdb: KlaviyoDuckDBResource,
            klaviyo_load: KlaviyoRunSettings,
        ) -> Iterator[Any]:
            config = klaviyo_load.applied_to(config_of(context, config_type))
            ready = fetch(context, spec, config, klaviyo, duckdb)
            yield from _outputs(context, specs, ready)

    return fetch_with_children


def _outputs(context: dg.AssetExecutionContext, specs: dict[str, LoadSpec], ready: Any) -> Iterator[Any]:  # noqa: ANN401
    selected = [name for name, spec in specs.items() if spec.key in context.selected_asset_keys]
    if isinstance(ready, Iterator):  # skipped
        yield from ready
        return
    if ready is None:
        yield from (dg.Output(None, name) for name in selected)
        return
    here = {ready.load.request.source.name, *(each.name for each in ready.staged.request.children)}
    for name in selected:
        yield dg.Output(TableOfLoad(ready, name) if name in here else None, name)
    for name in here.difference(selected):
        for key in context.partition_keys if specs[name].partitions and context.has_partition_key_range else [None]:
            metadata = child_metadata(ready.landed[name]) if name in ready.landed else {}
            context.log_event(dg.AssetMaterialization(specs[name].key, metadata=metadata, partition=key))
