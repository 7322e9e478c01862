"""The definitions of what is about all tables: the asset of their state, and its job and schedule."""

from __future__ import annotations

import dagster as dg

from klaviyo_pipeline import environment
from klaviyo_pipeline.status.assets import STATUS, build_status_asset

STATUS_JOB = "klaviyo_status_job"
_HOURLY = "37 * * * *"
"""Half an hour after the hourly loads have begun."""


def overview_definitions() -> dg.Definitions:
    """The asset, its job and its schedule, which runs from the start if ``KLAVIYO_AUTOMATION`` is on."""
    job = dg.define_asset_job(
        STATUS_JOB, selection=[STATUS], description="Updates the page of the asset klaviyo_status."
    )
    running = environment.AUTOMATION.value == "on"
    schedule = dg.ScheduleDefinition(
        name=f"{STATUS}_schedule",
        job=job,
        cron_schedule=_HOURLY,
        execution_timezone=environment.TIMEZONE.value,
        default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
        description=job.description,
    )
    return dg.Definitions(assets=[build_status_asset()], jobs=[job], schedules=[schedule])
