"""The definitions of the project without transfers, and the names that they use."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import dagster as dg

from klaviyo_pipeline.accounts.parts import AccountParts, project_accounts
from klaviyo_pipeline.accounts.validation import ALL_ACCOUNTS, DEFAULT
from klaviyo_pipeline.analytics.all_accounts_assets import all_accounts_definitions
from klaviyo_pipeline.analytics.assets import build_analytics_assets
from klaviyo_pipeline.orchestration.account import DEFAULT as DEFAULT_NAMING
from klaviyo_pipeline.orchestration.account import Naming
from klaviyo_pipeline.orchestration.assets.build import build_assets
from klaviyo_pipeline.orchestration.assets.io_manager import KlaviyoDuckDBIOManager
from klaviyo_pipeline.orchestration.automation.schedules import automation_definitions
from klaviyo_pipeline.orchestration.checks.build import build_checks
from klaviyo_pipeline.orchestration.console import console
from klaviyo_pipeline.orchestration.event_log import record_once
from klaviyo_pipeline.orchestration.names import names_in
from klaviyo_pipeline.orchestration.partitions import daily_partitions
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.overview import overview_definitions, overview_of_guest
from klaviyo_pipeline.transfers.preview_job import preview_job
from klaviyo_pipeline.upkeep import upkeep_definitions


def project_definitions(accounts: Sequence[AccountParts]) -> dg.Definitions:
    """The definitions of the project's accounts, with its executor, logger, preview, and the resources of transfers.

    Raises:
        ConfigurationError: if a setting of the environment is wrong.
    """
    made = [account_definitions(each.days, each.klaviyo, each.duckdb, each.naming) for each in accounts]
    if not any("klaviyo" in (each.resources or {}) for each in made):
        made.append(dg.Definitions(resources=_resources(KlaviyoResource(), KlaviyoDuckDBResource())))
    running = any(each.naming.choices.is_automatic() for each in accounts)
    if len(accounts) > 1:
        made.append(all_accounts_definitions(accounts, running=running))
    return dg.Definitions.merge(*made, _shared(running=running))


def built_in_definitions(days: dg.DailyPartitionsDefinition) -> dg.Definitions:
    """The definitions of the account in the environment, with the project's executor, logger, preview and overview."""
    return dg.Definitions.merge(
        account_definitions(days, KlaviyoResource(), KlaviyoDuckDBResource()),
        _shared(running=DEFAULT_NAMING.choices.is_automatic()),
    )


def _shared(*, running: bool) -> dg.Definitions:
    """What a project has once, however many accounts it has; ``running`` says whether it is so from the start."""
    return dg.Definitions.merge(
        overview_definitions(running=running),
        upkeep_definitions(running=running),
        dg.Definitions(
            jobs=[preview_job],
            # One process: eight assets take 4 s of overhead so, 26 to 36 s with a process each.
            executor=dg.in_process_executor,
            loggers={"console": console},
        ),
    )


def guest_definitions(account: AccountParts, *, overview: bool) -> dg.Definitions:
    """The definitions of an account in a project of others, with or without a status, a report and alerts."""
    made = account_definitions(account.days, account.klaviyo, account.duckdb, account.naming)
    return dg.Definitions.merge(made, overview_of_guest(account, made)) if overview else made


def account_definitions(
    days: dg.DailyPartitionsDefinition,
    klaviyo: KlaviyoResource,
    duckdb: KlaviyoDuckDBResource,
    naming: Naming = DEFAULT_NAMING,
) -> dg.Definitions:
    """The assets of an account, their checks and resources, jobs, schedules and sensors, over these day partitions."""
    checks = build_checks(days, naming)
    record_once(checks)
    resources = _resources(klaviyo, duckdb)
    return dg.Definitions.merge(
        dg.Definitions(
            assets=[*build_assets(days, naming), *build_analytics_assets(naming)],
            asset_checks=checks,
            resources={naming.resource_key(name): resource for name, resource in resources.items()},
        ),
        automation_definitions(days, naming),
    )


def _resources(klaviyo: KlaviyoResource, duckdb: KlaviyoDuckDBResource) -> dict[str, Any]:
    return {"klaviyo": klaviyo, "duckdb": duckdb, "io_manager": KlaviyoDuckDBIOManager(duckdb=duckdb)}


def taken_names() -> frozenset[str]:
    """The names that no transfer can have: those of the default account in any environment, and of the others.

    Raises:
        ConfigurationError: if klaviyo.yml is not YAML, or a setting of the environment is wrong.
    """
    others = [each for each in project_accounts(report=False) if each.name != DEFAULT]
    made = [account_definitions(each.days, each.klaviyo, each.duckdb, each.naming) for each in others]
    return _default_names().union([ALL_ACCOUNTS], *map(names_in, made))


@cache
def _default_names() -> frozenset[str]:
    return names_in(built_in_definitions(daily_partitions("2024-01-01", "UTC")))
