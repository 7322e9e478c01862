"""What Dagster loads: the assets, their resources, and how they run."""

from __future__ import annotations

import dagster as dg

from klaviyo_pipeline.analytics.assets import build_analytics_assets
from klaviyo_pipeline.orchestration import environment
from klaviyo_pipeline.orchestration.assets import build_assets
from klaviyo_pipeline.orchestration.automation import automation_definitions
from klaviyo_pipeline.orchestration.checks import build_checks
from klaviyo_pipeline.orchestration.console import console
from klaviyo_pipeline.orchestration.event_log import write_events_in_batches
from klaviyo_pipeline.orchestration.io_manager import KlaviyoDuckDBIOManager
from klaviyo_pipeline.orchestration.partitions import daily_partitions
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.transfers.definitions import transfer_definitions
from klaviyo_pipeline.transfers.folder import Folder
from klaviyo_pipeline.transfers.preview_job import preview_job

_duckdb = KlaviyoDuckDBResource()
_days = daily_partitions(environment.PARTITION_START.value, environment.TIMEZONE.value)
_checks = build_checks(_days)
write_events_in_batches(_checks)

defs = dg.Definitions.merge(
    dg.Definitions(
        assets=[*build_assets(_days), *build_analytics_assets()],
        asset_checks=_checks,
        jobs=[preview_job],
        resources={
            "klaviyo": KlaviyoResource(),
            "duckdb": _duckdb,
            "io_manager": KlaviyoDuckDBIOManager(duckdb=_duckdb),
        },
        # One process: eight assets take 4 s of overhead so, 26 to 36 s with a process each.
        executor=dg.in_process_executor,
        loggers={"console": console},
    ),
    automation_definitions(_days),
    transfer_definitions(Folder()),
)
