"""The definitions of the project without transfers, and the names that they use."""

from __future__ import annotations

from functools import cache

import dagster as dg

from klaviyo_pipeline.analytics.assets import build_analytics_assets
from klaviyo_pipeline.orchestration.assets.build import build_assets
from klaviyo_pipeline.orchestration.assets.io_manager import KlaviyoDuckDBIOManager
from klaviyo_pipeline.orchestration.automation.schedules import automation_definitions
from klaviyo_pipeline.orchestration.checks.build import build_checks
from klaviyo_pipeline.orchestration.console import console
from klaviyo_pipeline.orchestration.event_log import record_once
from klaviyo_pipeline.orchestration.names import names_in
from klaviyo_pipeline.orchestration.partitions import daily_partitions
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.transfers.preview_job import preview_job


def built_in_definitions(days: dg.DailyPartitionsDefinition) -> dg.Definitions:
    """The assets, their checks and resources, jobs, schedules and sensors, over these day partitions."""
    duckdb = KlaviyoDuckDBResource()
    checks = build_checks(days)
    record_once(checks)
    return dg.Definitions.merge(
        dg.Definitions(
            assets=[*build_assets(days), *build_analytics_assets()],
            asset_checks=checks,
            jobs=[preview_job],
            resources={
                "klaviyo": KlaviyoResource(),
                "duckdb": duckdb,
                "io_manager": KlaviyoDuckDBIOManager(duckdb=duckdb),
            },
            # One process: eight assets take 4 s of overhead so, 26 to 36 s with a process each.
            executor=dg.in_process_executor,
            loggers={"console": console},
        ),
        automation_definitions(days),
    )


@cache
def taken_names() -> frozenset[str]:
    """The names that no transfer can have, in any environment."""
    return names_in(built_in_definitions(daily_partitions("2024-01-01", "UTC")))
