"""The check that looks from one table into others: whether the rows that rows name are there.

It is one op for all tables, and runs once all of them have been loaded in the same run.
"""
# No `from __future__ import annotations` here: Dagster reads resources off a check's signature.

from collections.abc import Iterator, Sequence

import dagster as dg

from klaviyo_pipeline.orchestration.assets.build import partition_key_of
from klaviyo_pipeline.orchestration.assets.spec import KEY_PREFIX, LoadSpec
from klaviyo_pipeline.orchestration.checks.data import REFERENCES, references_verdict, referencing_columns
from klaviyo_pipeline.orchestration.checks.load import NOTHING_LANDED, place_of, result_of
from klaviyo_pipeline.orchestration.checks.results import undecided
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
from klaviyo_pipeline.warehouse.errors import WarehouseError


def build_reference_checks(specs: Sequence[LoadSpec]) -> list[dg.AssetChecksDefinition]:
    """Whether the rows that rows name are there: looked at once all these tables have been loaded in the same run."""
    by_key = {spec.key: spec for spec in specs}
    check_specs = [
        dg.AssetCheckSpec(
            REFERENCES,
            asset=spec.key,
            description="Every id that a row names is in its table: "
            f"{', '.join(f'{column} in {other}' for column, other in named.items())}.",
            additional_deps=[dg.AssetKey([KEY_PREFIX, other]) for other in set(named.values())],
        )
        for spec in specs
        if (named := referencing_columns(spec.source))
    ]

    if not check_specs:
        return []

    @dg.multi_asset_check(name="klaviyo_references", specs=check_specs, can_subset=True)
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
                    schema, name = place_of(spec, duckdb)
                    table = landed_table(
                        con,
                        schema,
                        name,
                        ledger_name=spec.ledger_name,
                        run_id=context.run.run_id,
                        partition_key=partition_key_of(spec.source),
                    )
                    verdict = references_verdict(table, spec.source, schema) if table.there else NOTHING_LANDED
                    results.append(result_of(key.asset_key, key.name, verdict))
        except WarehouseError as error:
            results = [undecided(key, error) for key in keys]
        yield from results

    return [klaviyo_references]
