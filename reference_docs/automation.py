"""`automation.md`: assets, checks, jobs, schedules and sensors, from what Dagster loads."""

from __future__ import annotations

from typing import Any

import dagster as dg

from reference_docs.markdown import code, codes, described, table
from reference_docs.package import checks, definitions

INTRO = """\
# Checks, jobs, schedules and sensors

Dagster shows these names. [Automation](../automation.md) says how to turn them on and what to do when a check fails.
Each transfer adds a job, and a schedule if it repeats.
"""


def page() -> str:
    """The page's text."""
    parts = [INTRO, "## Asset checks\n", _checks()]
    jobs = [_job(each) for each in definitions().jobs or ()]
    schedules = [_schedule(each) for each in definitions().schedules or ()]
    sensors = [_sensor(each) for each in definitions().sensors or ()]
    for title, headers, rows in (
        ("Jobs", ["job", "what it does"], jobs),
        ("Schedules", ["schedule", "cron", "at first", "starts", "what it does"], schedules),
        ("Sensors", ["sensor", "at first", "interval", "what it does"], sensors),
    ):
        if rows:
            parts += [f"## {title}\n", table(headers, sorted(rows))]
    return "\n".join(parts)


def _checks() -> str:
    rows = [
        [
            code(spec.name),
            described(spec.description, f"the check {spec.name}"),
            "blocks" if spec.blocking else "",
            codes(sorted(asset.removeprefix("klaviyo/") for asset in assets)),
        ]
        for spec, assets in checks()
    ]
    return table(["check", "passes if", "", "on"], sorted(rows))


def _job(job: Any) -> list[str]:
    return [code(job.name), described(job.description, f"the job {job.name}")]


def _schedule(schedule: Any) -> list[str]:
    cron = schedule.cron_schedule
    crons = codes([cron] if isinstance(cron, str) else cron)
    text = described(schedule.description, f"the schedule {schedule.name}")
    return [code(schedule.name), crons, _status(schedule), code(schedule.job_name or ""), text]


def _sensor(sensor: Any) -> list[str]:
    every = sensor.minimum_interval_seconds
    seconds = f"{every} s" if every else "30 s"
    text = described(sensor.description, f"the sensor {sensor.name}")
    return [code(sensor.name), _status(sensor), seconds, text]


def _status(definition: Any) -> str:
    running = (dg.DefaultScheduleStatus.RUNNING, dg.DefaultSensorStatus.RUNNING)
    return "on" if definition.default_status in running else "off"
