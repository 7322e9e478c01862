"""Gathers the report: the state of the tables, the charts, the checks, and what loads have changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from klaviyo_pipeline import environment
from klaviyo_pipeline.analytics.account import account_of_tables
from klaviyo_pipeline.analytics.building import analytics_schema
from klaviyo_pipeline.orchestration.checks.build import build_checks
from klaviyo_pipeline.orchestration.checks.reconciliation import COUNTS_AGREE
from klaviyo_pipeline.orchestration.checks.results import latest_result
from klaviyo_pipeline.orchestration.partitions import daily_partitions
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
from klaviyo_pipeline.report.figures import figures
from klaviyo_pipeline.report.model import Change, Check, Difference, Figure, Report
from klaviyo_pipeline.status.gather import gather as gather_status
from klaviyo_pipeline.warehouse.errors import DatabaseMissingError
from klaviyo_pipeline.warehouse.latest_loads import changes_since

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from klaviyo_pipeline.transfers.folder import Folder

A_DAY = timedelta(days=1)


def gather(repository: dg.RepositoryDefinition | None, instance: dg.DagsterInstance, folder: Folder) -> Report:
    """The report of now. The arguments are those of the state of the tables.

    Raises:
        ConfigurationError: if a setting is wrong.
        WarehouseError: if the database cannot be read.
    """
    status = gather_status(repository, instance, folder)
    duckdb = KlaviyoDuckDBResource()
    zone, currency = account_of_tables(duckdb)
    drawn, changes = _landed(duckdb, status.at, zone, currency)
    results = [(_check(record), record) for record in _evaluations(instance)]
    compared = [(check, record) for check, record in results if check.name == COUNTS_AGREE]
    return Report(
        at=status.at,
        timezone=zone.key,
        status=status,
        figures=drawn,
        changes=changes,
        checks=[check for check, _record in results],
        reconciliation=[check for check, _record in compared],
        differences=[each for _result, record in compared for each in _differences(record)],
    )


def _landed(
    duckdb: KlaviyoDuckDBResource, now: datetime, zone: ZoneInfo, currency: str
) -> tuple[Sequence[Figure], Sequence[Change]]:
    schema = analytics_schema(duckdb.schema_or_default)
    try:
        with duckdb.warehouse().reading() as con:
            changes = [Change(*each) for each in changes_since(con, now - A_DAY)]
            return list(figures(con, schema, now, zone, currency)), changes
    except DatabaseMissingError:
        return (), ()


def _evaluations(instance: dg.DagsterInstance) -> Iterable[tuple[Any, datetime]]:
    """The latest result of each of the project's checks, and its time, by asset and name."""
    days = daily_partitions(environment.PARTITION_START.value, environment.TIMEZONE.value)
    keys = sorted({key for checks in build_checks(days) for key in checks.check_keys})
    for key in keys:
        if found := latest_result(instance, key):
            yield found


def _check(found: tuple[Any, datetime]) -> Check:
    evaluation, at = found
    return Check(
        asset=evaluation.asset_key.to_user_string(),
        name=evaluation.check_name,
        passed=evaluation.passed,
        is_error=not evaluation.passed and evaluation.severity is dg.AssetCheckSeverity.ERROR,
        text=evaluation.description or "",
        at=at,
    )


def _differences(found: tuple[Any, datetime]) -> Iterable[Difference]:
    table = found[0].metadata.get("first_differences")
    for record in table.records if table is not None else ():
        row = record.data
        yield Difference(str(row["day"]), str(row["metric"]), int(row["ours"]), int(row["klaviyos"]))
