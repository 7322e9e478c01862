"""The checks of one load, from the catalogue, for assets and transfers.

They are one op, which runs after the asset and before its dependent assets, and opens the database for a moment.
"""
# No `from __future__ import annotations` here: Dagster reads resources off a check's signature.

from collections.abc import Iterator, Mapping

import dagster as dg

from klaviyo_pipeline import environment
from klaviyo_pipeline.errors import PipelineError, no_secrets
from klaviyo_pipeline.orchestration.assets.build import partition_key_of
from klaviyo_pipeline.orchestration.assets.spec import LoadSpec
from klaviyo_pipeline.orchestration.checks.data import DATA_CHECKS, Verdict
from klaviyo_pipeline.orchestration.checks.results import could_not_run
from klaviyo_pipeline.orchestration.checks.upkeep import (
    DAYS_HAVE_LANDED,
    IS_FRESH,
    REVISION_IS_SERVED,
    WARN_BEFORE,
    days_check,
    freshness_check,
    revision_check,
)
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.warehouse.errors import WarehouseError

_LOOKS = {check.name: check for check in DATA_CHECKS}


def build_load_checks(spec: LoadSpec) -> dg.AssetChecksDefinition:
    """The checks of one load that read no other table, as one op."""

    @dg.multi_asset_check(name="_".join([*spec.key.path, "checks"]), specs=_check_specs(spec), can_subset=True)
    @spec.naming.with_resources
    def checks_of_load(
        context: dg.AssetCheckExecutionContext, klaviyo: KlaviyoResource, duckdb: KlaviyoDuckDBResource
    ) -> Iterator[dg.AssetCheckResult]:
        selected = {key.name: key for key in context.selected_asset_check_keys}
        yield from _table_results(context, spec, duckdb, selected)
        if REVISION_IS_SERVED in selected:
            yield _revision_result(spec, klaviyo, selected[REVISION_IS_SERVED])

    return checks_of_load


def _check_specs(spec: LoadSpec) -> list[dg.AssetCheckSpec]:
    specs = [
        dg.AssetCheckSpec(
            check.name, asset=spec.key, description=check.description(spec.source), blocking=check.blocking
        )
        for check in DATA_CHECKS
        if check.applies(spec.source)
    ]
    described = {REVISION_IS_SERVED: f"Klaviyo serves the API revision for at least {WARN_BEFORE.days} more days."}
    if spec.partitions is not None:
        described[DAYS_HAVE_LANDED] = (
            "The ledger has every day between the first and the last that have landed, and every day that Dagster "
            "shows as materialized."
        )
    if spec.cadence is not None:
        hours = spec.cadence.warn_after.total_seconds() / 3600
        described[IS_FRESH] = f"The newest window in the ledger ended less than {hours:g} hours ago."
    return specs + [
        dg.AssetCheckSpec(name, asset=spec.key, description=description) for name, description in described.items()
    ]


def _table_results(
    context: dg.AssetCheckExecutionContext,
    spec: LoadSpec,
    duckdb: KlaviyoDuckDBResource,
    selected: Mapping[str, dg.AssetCheckKey],
) -> list[dg.AssetCheckResult]:
    """Results of the checks that read the table or its lines in the ledger, in one short session."""
    from klaviyo_pipeline.loads.completeness import Span, spans_in
    from klaviyo_pipeline.loads.quality import landed_table

    lands, source = spec.destination, spec.source
    by_day = partition_key_of(source) if spec.partitions is not None else None
    names = [name for name in (*_LOOKS, IS_FRESH, DAYS_HAVE_LANDED) if name in selected]
    results, spans = list[dg.AssetCheckResult](), list[Span]()
    if not names:
        return results
    try:
        place = duckdb.place(lands, spec.key.path[-1])
        with place.database.reading() as con:
            table = landed_table(
                con,
                place.schema,
                place.table,
                ledger_name=spec.ledger_name,
                run_id=context.run.run_id,
                partition_key=lands.partition_key or by_day,
            )
            for check in (_LOOKS[name] for name in names if name in _LOOKS):
                verdict = check.look(table, source) if table.there else NOTHING_LANDED
                results.append(result_of(spec.key, check.name, verdict))
            if DAYS_HAVE_LANDED in names:
                spans = spans_in(con, source, place.plain_name, spec.ledger_name, spec.chosen)
    except WarehouseError as error:
        return [could_not_run(selected[name], error) for name in names]
    if IS_FRESH in names and spec.cadence is not None:
        fresh = freshness_check(table.landed_until, spec.cadence)
        results.append(fresh._replace(asset_key=spec.key, check_name=IS_FRESH))
    if DAYS_HAVE_LANDED in names:
        assert isinstance(spec.partitions, dg.TimeWindowPartitionsDefinition)
        shown = context.instance.get_materialized_partitions(spec.key)
        days = days_check(spans, spec.partitions, spec.key, shown)
        results.append(days._replace(asset_key=spec.key, check_name=DAYS_HAVE_LANDED))
    return results


def _revision_result(spec: LoadSpec, klaviyo: KlaviyoResource, key: dg.AssetCheckKey) -> dg.AssetCheckResult:
    try:
        with no_secrets():
            result = revision_check(spec.account(klaviyo).revision or environment.REVISION.value)
    except PipelineError as error:
        return could_not_run(key, error)
    return result._replace(asset_key=spec.key, check_name=REVISION_IS_SERVED)


NOTHING_LANDED = Verdict(passed=True, text="Nothing has landed yet.", metadata={})


def result_of(key: dg.AssetKey, name: str, verdict: Verdict) -> dg.AssetCheckResult:
    """A verdict as Dagster's result."""
    return dg.AssetCheckResult(
        passed=verdict.passed,
        asset_key=key,
        check_name=name,
        severity=verdict.severity,
        description=verdict.text,
        metadata=dict(verdict.metadata),
    )
