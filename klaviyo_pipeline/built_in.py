"""The definitions of the project without transfers, and the names that they use."""

from __future__ import annotations

from functools import cache

import dagster as dg

from klaviyo_pipeline.analytics.assets import build_analytics_assets
from klaviyo_pipeline.orchestration.account import DEFAULT, Naming
from klaviyo_pipeline.orchestration.assets.build import build_assets
from klaviyo_pipeline.orchestration.assets.io_manager import KlaviyoDuckDBIOManager
from klaviyo_pipeline.orchestration.automation.schedules import automation_definitions
from klaviyo_pipeline.orchestration.checks.build import build_checks
from klaviyo_pipeline.orchestration.console import console
from klaviyo_pipeline.orchestration.event_log import record_once
from klaviyo_pipeline.orchestration.names import names_in
from klaviyo_pipeline.orchestration.partitions import daily_partitions
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.overview import overview_definitions
from klaviyo_pipeline.transfers.preview_job import preview_job


def built_in_definitions(days: dg.DailyPartitionsDefinition) -> dg.Definitions:
    """The definitions of the account in the environment, with the project's executor, logger, preview and overview."""
    return dg.Definitions.merge(
        account_definitions(days, KlaviyoResource(), KlaviyoDuckDBResource()),
        overview_definitions(),
        dg.Definitions(
            jobs=[preview_job],
            # One process: eight assets take 4 s of overhead so, 26 to 36 s with a process each.
            executor=dg.in_process_executor,
            loggers={"console": console},
        ),
    )


def account_definitions(
    days: dg.DailyPartitionsDefinition,
    klaviyo: KlaviyoResource,
    duckdb: KlaviyoDuckDBResource,
    naming: Naming = DEFAULT,
) -> dg.Definitions:
    """The assets of an account, their checks and resources, jobs, schedules and sensors, over these day partitions."""
    checks = build_checks(days, naming)
    record_once(checks)
    resources = {"klaviyo": klaviyo, "duckdb": duckdb, "io_manager": KlaviyoDuckDBIOManager(duckdb=duckdb)}
    return dg.Definitions.merge(
        dg.Definitions(
            assets=[*build_assets(days, naming), *build_analytics_assets(naming)],
            asset_checks=checks,
            resources={naming.resource_key(name): resource for name, resource in resources.items()},
        ),
        automation_definitions(days, naming),
    )


@cache
def taken_names() -> frozenset[str]:
    """The names that no transfer can have, in any environment."""
    return names_in(built_in_definitions(daily_partitions("2024-01-01", "UTC")))
