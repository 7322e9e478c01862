"""The definitions of what is about all tables: their state, the report and alerts."""

from __future__ import annotations

import dagster as dg

from klaviyo_pipeline import environment
from klaviyo_pipeline.alerts.sensor import alerts_sensor
from klaviyo_pipeline.report.assets import REPORT, build_report_asset
from klaviyo_pipeline.status.assets import STATUS, build_status_asset

OVERVIEW = (STATUS, REPORT)
"""The assets that say something about all others."""
STATUS_JOB = "klaviyo_status_job"
REPORT_JOB = "klaviyo_report_job"
_HOURLY = "37 * * * *"
"""Half an hour after the hourly loads have begun."""
_DAILY = "23 7 * * *"
"""Half an hour after the daily checks have begun."""


def overview_definitions(*, running: bool) -> dg.Definitions:
    """The assets, their jobs, and schedules and a sensor; ``running`` says whether these two are on from the start."""
    status = dg.define_asset_job(STATUS_JOB, [STATUS], description="Updates the page of the asset klaviyo_status.")
    report = dg.define_asset_job(
        REPORT_JOB, [STATUS, REPORT], description="Writes the report of the asset klaviyo_report."
    )
    schedules = [
        dg.ScheduleDefinition(
            name=f"{job.name.removesuffix('_job')}_schedule",
            job=job,
            cron_schedule=cron,
            execution_timezone=environment.TIMEZONE.value,
            default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
            description=job.description,
        )
        for job, cron in ((status, _HOURLY), (report, _DAILY))
    ]
    return dg.Definitions(
        assets=[build_status_asset(), build_report_asset()],
        jobs=[status, report],
        schedules=schedules,
        sensors=[alerts_sensor(running=running)],
    )
