"""All checks of the assets, and the job that runs them by themselves."""
# No `from __future__ import annotations` here: Dagster reads resources off a check's signature.

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.orchestration.account import DEFAULT, Naming
from klaviyo_pipeline.orchestration.assets.spec import LoadSpec, default_spec, partition_key_of
from klaviyo_pipeline.orchestration.checks.data import REFERENCES, references_verdict, referencing_columns
from klaviyo_pipeline.orchestration.checks.load import NOTHING_LANDED, build_load_checks, result_of
from klaviyo_pipeline.orchestration.checks.reconciliation import build_reconciliation_checks
from klaviyo_pipeline.orchestration.checks.results import could_not_run
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
from klaviyo_pipeline.warehouse.errors import WarehouseError

CHECKS_JOB = "klaviyo_checks"


def build_checks(partitions: dg.PartitionsDefinition[str], naming: Naming = DEFAULT) -> list[dg.AssetChecksDefinition]:
    """All checks of the assets; days are those of these partitions."""
    specs = [default_spec(SOURCES[name], partitions, naming=naming) for name in naming.chosen()]
    return [*map(build_load_checks, specs), *_reference_checks(specs, naming), *build_reconciliation_checks(naming)]


def build_checks_job(naming: Naming = DEFAULT) -> Any:  # noqa: ANN401 - a type that Dagster does not export
    """A job that loads nothing and runs every check of the assets, over all rows."""
    keys = [naming.asset_key(SOURCES[name]) for name in naming.chosen()]
    return dg.define_asset_job(
        naming.name_of(CHECKS_JOB),
        selection=dg.AssetSelection.checks_for_assets(*keys),
        description="Runs every check of the assets over all of their rows, and compares with Klaviyo's counts.",
    )


def _reference_checks(specs: Sequence[LoadSpec], naming: Naming) -> list[dg.AssetChecksDefinition]:
    """One op checks the references of all tables, after a run has loaded all of them."""
    by_key = {spec.key: spec for spec in specs}
    check_specs = [
        dg.AssetCheckSpec(
            REFERENCES,
            asset=spec.key,
            description="Every id that a row names is in its table: "
            f"{', '.join(f'{column} in {other}' for column, other in named.items())}.",
            additional_deps=[naming.asset_key(SOURCES[other]) for other in set(named.values())],
        )
        for spec in specs
        if (named := referencing_columns(spec.source))
    ]

    if not check_specs:
        return []

    @dg.multi_asset_check(name=naming.name_of("klaviyo_references"), specs=check_specs, can_subset=True)
    @naming.with_resources
    def klaviyo_references(
        context: dg.AssetCheckExecutionContext, duckdb: KlaviyoDuckDBResource
    ) -> Iterator[dg.AssetCheckResult]:
        from klaviyo_pipeline.loads.quality import landed_table

        keys = sorted(context.selected_asset_check_keys)
        results = []
        try:
            with duckdb.warehouse().reading() as con:
                for key in keys:
                    spec = by_key[key.asset_key]
                    place = duckdb.place(spec.destination, spec.key.path[-1])
                    table = landed_table(
                        con,
                        place.schema,
                        place.table,
                        ledger_name=spec.ledger_name,
                        run_id=context.run.run_id,
                        partition_key=partition_key_of(spec.source),
                    )
                    verdict = references_verdict(table, spec.source, place.schema) if table.there else NOTHING_LANDED
                    results.append(result_of(key.asset_key, key.name, verdict))
        except WarehouseError as error:
            results = [could_not_run(key, error) for key in keys]
        yield from results

    return [klaviyo_references]
