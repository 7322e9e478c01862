"""The definitions of transfers: for each an asset with checks, a job and, if it repeats, a schedule."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from klaviyo_pipeline import environment
from klaviyo_pipeline.accounts.file import FILE as ACCOUNTS
from klaviyo_pipeline.accounts.file import accounts_digest
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.orchestration.assets.build import build_asset
from klaviyo_pipeline.orchestration.automation.changed_files import Watched, changed_files_sensor
from klaviyo_pipeline.orchestration.automation.cron import check_cron, parse_delay
from klaviyo_pipeline.orchestration.automation.delayed_schedules import tick_schedule
from klaviyo_pipeline.orchestration.automation.reloading import reload_or_advice
from klaviyo_pipeline.orchestration.checks.load import build_load_checks
from klaviyo_pipeline.transfers.file.reading import TransferFile
from klaviyo_pipeline.transfers.folder import Broken, Folder
from klaviyo_pipeline.transfers.loading import TAG, op_name, spec_of

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

_log = logging.getLogger(__name__)
SENSOR = "transfer_files"


def transfer_definitions(folder: Folder) -> dg.Definitions:
    """Definitions of all transfers of a folder. A broken file is logged, and absent."""
    assets, checks, jobs, schedules, good = [], [], [], [], []
    for file in folder.all():
        if isinstance(file, Broken):
            _log.error("Transfer %s is left out:\n%s", file.name, file.error)
            continue
        try:
            spec, job = spec_of(file), job_of(file)
            asset, check = build_asset(spec), build_load_checks(spec)
            schedule = schedule_of(file, job, folder) if file.transfer.repeats else None
        except Exception:
            # Whatever else is wrong with one transfer, the others are not to suffer for it.
            _log.exception("Transfer %s is left out.", file.name)
            continue
        good.append(file)
        assets.append(asset)
        checks.append(check)
        jobs.append(job)
        schedules += [schedule] if schedule else []
    sensors = [_sensor(folder, good, jobs, accounts_digest())] if good or accounts_digest() else []
    return dg.Definitions(assets=assets, asset_checks=checks, jobs=jobs, schedules=schedules, sensors=sensors)


def job_of(file: TransferFile) -> UnresolvedAssetJobDefinition:
    """The job that runs a transfer."""
    described = file.transfer.description or f"The transfer {file.name}: {file.transfer.catalogued.title}."
    return dg.define_asset_job(file.name, selection=[spec_of(file).key], tags={TAG: file.name}, description=described)


def schedule_name(name: str) -> str:
    """The name of a transfer's schedule."""
    return f"{name}_schedule"


def schedule_of(file: TransferFile, job: UnresolvedAssetJobDefinition, folder: Folder) -> dg.ScheduleDefinition:
    """The schedule of a transfer that repeats. It reads the file again at each tick, so a pause needs no reload."""
    schedule, name = file.transfer.schedule, file.name
    assert schedule is not None

    def run_config(tick: datetime) -> Mapping[str, Any] | str:
        try:
            now = folder.get(name).transfer
        except ConfigurationError as error:
            return str(error)
        if not now.repeats or now.schedule is None or now.schedule.paused:
            return f"{name} is paused. Resume it with: klaviyo-pipeline transfer resume {name}"
        if not now.incremental or now.options.get("end_time"):
            return {}
        return window_config(name, end=tick.isoformat())

    return tick_schedule(
        name=schedule_name(name),
        job=job,
        cron=check_cron(schedule.cron),
        timezone=schedule.timezone,
        delay=parse_delay(schedule.delay),
        running=schedule.auto_start and not schedule.paused,
        run_config=run_config,
        tags={TAG: name},
        description=f"Runs {name} by {schedule.cron!r} {schedule.timezone}, {schedule.delay or 'without'} delay.",
    )


def window_config(name: str, *, start: str | None = None, end: str | None = None) -> dict[str, Any]:
    """A run's config with the bounds of its window."""
    given: dict[str, Any] = {key: value for key, value in (("start_time", start), ("end_time", end)) if value}
    return {"ops": {op_name(name): {"config": given}}} if given else {}


def _sensor(
    folder: Folder, files: list[TransferFile], jobs: list[UnresolvedAssetJobDefinition], accounts: str
) -> dg.SensorDefinition:
    def watched() -> list[Watched]:
        asked = [file for file in folder.good() if file.transfer.run_on_change]
        return [Watched(file.name, file.digest, file.name, {TAG: file.name}) for file in asked]

    return changed_files_sensor(
        name=SENSOR,
        jobs=jobs,
        job_names=[file.name for file in files],
        watched=watched,
        not_loaded=lambda: " ".join(filter(None, [_not_loaded(files, folder.all()), _other_accounts(accounts)])),
        reload=lambda: reload_or_advice() if environment.DAGSTER_URL.value else "",
        description="Runs a transfer whose file has run_on_change when the file appears or changes. Its ticks name the "
        "files, also klaviyo.yml, that this code location has not loaded yet, and ask Dagster's web server in "
        "KLAVIYO_DAGSTER_URL for a reload.",
    )


def _other_accounts(loaded: str) -> str:
    """A sentence if klaviyo.yml has changed since it was loaded; blank if it has not."""
    return "" if accounts_digest() == loaded else f"Reload this code location for the accounts in {ACCOUNTS.text}."


def _not_loaded(loaded: list[TransferFile], now: list[TransferFile | Broken]) -> str:
    """The changes that need a reload: new and deleted transfers, and changed schedules. Blank if none."""
    before = {file.name: _when(file) for file in loaded}
    after = {file.name: _when(file) for file in now if isinstance(file, TransferFile)}
    found = {
        "new": after.keys() - before.keys(),
        "gone": before.keys() - {file.name for file in now},
        "with another schedule": {name for name in before.keys() & after.keys() if before[name] != after[name]},
    }
    parts = [f"{what}: {', '.join(sorted(names))}" for what, names in found.items() if names]
    return f"Reload this code location for transfers that are {'; '.join(parts)}." if parts else ""


def _when(file: TransferFile) -> tuple[object, ...] | None:
    """The part of a transfer's schedule that needs a reload."""
    schedule = file.transfer.schedule
    if schedule is None or not file.transfer.repeats:
        return None
    return schedule.cron, schedule.timezone, schedule.delay
