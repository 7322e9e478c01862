"""Gathers the report: the state of the tables, the charts, the checks, and what loads have changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from klaviyo_pipeline.accounts.parts import default_parts
from klaviyo_pipeline.analytics.account import account_of_tables
from klaviyo_pipeline.analytics.building import analytics_schema
from klaviyo_pipeline.orchestration.checks.build import build_checks
from klaviyo_pipeline.orchestration.checks.reconciliation import COUNTS_AGREE
from klaviyo_pipeline.orchestration.checks.results import latest_result
from klaviyo_pipeline.report.figures import figures
from klaviyo_pipeline.report.model import Change, Check, Difference, Figure, Report
from klaviyo_pipeline.status.gather import gather as gather_status
from klaviyo_pipeline.warehouse.latest_loads import changes_since

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from klaviyo_pipeline.accounts.parts import AccountParts
    from klaviyo_pipeline.status.model import Status
    from klaviyo_pipeline.status.scope import Scope

A_DAY = timedelta(days=1)


def gather(repository: dg.RepositoryDefinition | None, instance: dg.DagsterInstance, scope: Scope) -> Report:
    """The report of now. The arguments are those of the state of the tables.

    Raises:
        ConfigurationError: if a setting is wrong.
        WarehouseError: if a database cannot be read.
    """
    status = gather_status(repository, instance, scope)
    accounts = scope.accounts or [default_parts()]
    known = {each.name: account_of_tables(each.duckdb) for each in accounts}
    results = [(_check(record), record) for record in _evaluations(instance, check_keys(repository, scope))]
    compared = [(check, record) for check, record in results if check.name == COUNTS_AGREE]
    return Report(
        at=status.at,
        timezone=_zones({name: zone.key for name, (zone, _currency) in known.items()}),
        status=status,
        figures=[each for account in accounts for each in _figures(account, status.at, *known[account.name], accounts)],
        changes=_changes(accounts, status, is_whole=scope.guest is None),
        checks=[check for check, _record in results],
        reconciliation=[check for check, _record in compared],
        differences=[each for _result, record in compared for each in _differences(record)],
    )


def _zones(of: Mapping[str, str]) -> str:
    """The time zone of the charts' days, or those of the accounts."""
    zones = list(dict.fromkeys(of.values()))
    return zones[0] if len(zones) == 1 else ", ".join(f"{zone} ({name})" for name, zone in of.items())


def _figures(
    account: AccountParts, now: datetime, zone: ZoneInfo, currency: str, accounts: Sequence[AccountParts]
) -> Sequence[Figure]:
    """The charts of an account, which have its name if there are several."""
    with account.duckdb.warehouse().reading_if_made() as con:
        schema = analytics_schema(account.duckdb.schema_or_default)
        found = list(figures(con, schema, now, zone, currency)) if con is not None else []
    if len(accounts) == 1:
        return found
    return [replace(each, name=f"{account.name}-{each.name}", title=f"{account.name}: {each.title}") for each in found]


def _changes(accounts: Sequence[AccountParts], status: Status, *, is_whole: bool) -> Sequence[Change]:
    """What loads have changed within a day, in each database once; in a project of others the account's tables only."""
    own = {table.table for table in status.tables}
    databases = {database.name: database for database in (each.duckdb.warehouse() for each in accounts)}
    found = list[Change]()
    for database in databases.values():
        with database.reading_if_made() as con:
            found += [Change(*each) for each in changes_since(con, status.at - A_DAY)] if con is not None else []
    return [each for each in found if is_whole or each.table in own]


def check_keys(repository: dg.RepositoryDefinition | None, scope: Scope) -> set[dg.AssetCheckKey]:
    """The checks of the project; without its definitions, and in a project of others, those of the accounts."""
    if repository is not None and scope.guest is None:
        return set(repository.asset_graph.asset_check_keys)
    accounts = scope.accounts or [default_parts()]
    return {key for each in accounts for made in build_checks(each.days, each.naming) for key in made.check_keys}


def _evaluations(instance: dg.DagsterInstance, keys: Iterable[dg.AssetCheckKey]) -> Iterable[tuple[Any, datetime]]:
    """The latest result of each check, and its time, by asset and name."""
    for key in sorted(keys):
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
