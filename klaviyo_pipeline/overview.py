"""The definitions of what is about all tables: their state, the report and alerts."""

from __future__ import annotations

from collections.abc import Callable, Collection

import dagster as dg

from klaviyo_pipeline import environment
from klaviyo_pipeline.accounts.parts import AccountParts
from klaviyo_pipeline.alerts.sensor import SENSOR, alerts_sensor
from klaviyo_pipeline.orchestration.account import DEFAULT, Naming
from klaviyo_pipeline.report.assets import REPORT, build_report_asset
from klaviyo_pipeline.status.assets import STATUS, build_status_asset
from klaviyo_pipeline.status.scope import Scope, scope_of_guest, scope_of_project
from klaviyo_pipeline.transfers.folder import Folder

OVERVIEW = tuple(DEFAULT.overview_key(name).to_user_string() for name in (STATUS, REPORT))
"""The assets that say something about all others."""
_HOURLY = "37 * * * *"
"""Half an hour after the hourly loads have begun."""
_DAILY = "23 7 * * *"
"""Half an hour after the daily checks have begun."""


def overview_definitions(*, running: bool) -> dg.Definitions:
    """The project's overview; ``running`` says whether its schedules and its sensor are on from the start."""
    return _overview(DEFAULT, lambda: scope_of_project(Folder()), environment.TIMEZONE.value, running=running)


def overview_of_guest(account: AccountParts, defs: dg.Definitions) -> dg.Definitions:
    """The overview of an account in a project of others: of its own assets, with names that begin with its own.

    Args:
        account: The account.
        defs: Its definitions.
    """
    own = {key for each in defs.assets or () if isinstance(each, dg.AssetsDefinition) for key in each.keys}
    return _overview(
        account.naming,
        lambda: scope_of_guest(account),
        account.duckdb.zone.key,
        running=account.naming.choices.is_automatic(),
        own=own,
    )


def _overview(
    naming: Naming,
    scope: Callable[[], Scope],
    timezone: str,
    *,
    running: bool,
    own: Collection[dg.AssetKey] | None = None,
) -> dg.Definitions:
    status, report = naming.overview_key(STATUS), naming.overview_key(REPORT)
    jobs = [
        dg.define_asset_job(
            naming.name_of("klaviyo_status_job"),
            selection=[status],
            description=f"Updates the page of the asset {status.to_user_string()}.",
        ),
        dg.define_asset_job(
            naming.name_of("klaviyo_report_job"),
            selection=[status, report],
            description=f"Writes the report of the asset {report.to_user_string()}.",
        ),
    ]
    schedules = [
        dg.ScheduleDefinition(
            name=f"{job.name.removesuffix('_job')}_schedule",
            job=job,
            cron_schedule=cron,
            execution_timezone=timezone,
            default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
            description=job.description,
        )
        for job, cron in zip(jobs, (_HOURLY, _DAILY), strict=True)
    ]
    return dg.Definitions(
        assets=[build_status_asset(naming, scope), build_report_asset(naming, scope)],
        jobs=jobs,
        schedules=schedules,
        sensors=[alerts_sensor(naming.sensor_name(SENSOR), scope, running=running, own=own)],
    )
