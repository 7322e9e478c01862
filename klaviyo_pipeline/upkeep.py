"""Upkeep of the project: frees disk space. The command `maintain` and a weekly job do it."""
# No `from __future__ import annotations` here: Dagster reads the op's config class off its signature.

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import dagster as dg
from pydantic import Field

from klaviyo_pipeline import clock, environment
from klaviyo_pipeline.orchestration.failures import plain_failures
from klaviyo_pipeline.orchestration.run_config import launch_schema

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
    from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
    from klaviyo_pipeline.warehouse.interface import Warehouse
    from klaviyo_pipeline.warehouse.lake import Lake

MAINTAIN_JOB = "klaviyo_maintain"
_WEEKLY = "41 3 * * 0"
"""Before the weekly loads, when few others run."""
WORTH_SHARE, WORTH_BYTES = 0.25, 50_000_000
"""A database is compacted if at least this share of it, and so many bytes, are free."""


class Done(NamedTuple):
    """One piece of maintenance: its subject, the result, and the freed bytes."""

    what: str
    text: str
    freed_bytes: int


class MaintainConfig(dg.Config):
    """What the job keeps."""

    keep_days: int = Field(
        default=30,
        ge=1,
        le=36_500,
        description="The job keeps runs that ended, and snapshots of a DuckLake that were made, in the last days.",
    )


def upkeep_definitions(*, running: bool) -> dg.Definitions:
    """The job and its schedule; ``running`` says whether the schedule is on from the start."""
    text = "Removes old runs and stages that no run can resume, compacts databases, and merges small files of a lake."

    @dg.op(name=f"{MAINTAIN_JOB}_all", config_schema=launch_schema(MaintainConfig), description=text)
    def maintain_all(context: dg.OpExecutionContext) -> None:
        with plain_failures():
            for each in maintain(MaintainConfig(**context.op_config).keep_days):
                context.log.info(f"{each.what}: {each.text}")

    @dg.job(name=MAINTAIN_JOB, description=text)
    def maintain_job() -> None:
        maintain_all()

    schedule = dg.ScheduleDefinition(
        name=f"{MAINTAIN_JOB}_schedule",
        job=maintain_job,
        cron_schedule=_WEEKLY,
        execution_timezone=environment.TIMEZONE.value,
        default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
        description=text,
    )
    return dg.Definitions(jobs=[maintain_job], schedules=[schedule])


def maintain(keep_days: int, *, dry_run: bool = False) -> Iterator[Done]:
    """Remove old runs and stages, and tend the databases of the environment and of all accounts.

    Args:
        keep_days: Runs that ended, and snapshots of a lake that were made, in the last days are kept.
        dry_run: Only tell what would be removed.

    Raises:
        ConfigurationError: A setting is wrong.
        WarehouseError: A database cannot be read or written.
    """
    from klaviyo_pipeline.accounts.parts import project_accounts
    from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource

    places = [KlaviyoDuckDBResource(), *(each.duckdb for each in project_accounts(report=False))]
    yield from _runs(keep_days, dry_run)
    for area in {each.staging_area().root: each.staging_area() for each in places}.values():
        yield _stages(area, dry_run)
    yield from _databases(places, keep_days, dry_run)


def _runs(keep_days: int, dry_run: bool) -> Iterator[Done]:
    from klaviyo_pipeline.orchestration import dagster_home, old_runs

    home = dagster_home.given_home()
    if home is None:
        yield Done("Dagster's runs", "DAGSTER_HOME is not set, so Dagster keeps none", 0)
        return
    with dagster_home.instance() as instance:
        found = list(old_runs.old_runs(instance, home, clock.now() - timedelta(days=keep_days)))
        if not dry_run:
            for run in found:
                old_runs.remove(instance, run)
    text = f"{len(found):,} that ended more than {keep_days} days ago {_removed(dry_run)}"
    yield Done("Dagster's runs", text, sum(run.size for run in found))


def _stages(area: "StagingArea", dry_run: bool) -> Done:
    stale = area.stale(clock.now())
    size = sum(file.lstat().st_size for folder in stale for file in folder.iterdir())
    if stale and not dry_run:
        area.remove_stale(clock.now())
    return Done("Stages", f"{len(stale):,} that no run can resume {_removed(dry_run)} from {area.root}", size)


def _databases(places: Sequence["KlaviyoDuckDBResource"], keep_days: int, dry_run: bool) -> Iterator[Done]:
    from klaviyo_pipeline.warehouse.lake import Lake

    for name, database in {each.warehouse().name: each.warehouse() for each in places}.items():
        if not database.exists():
            yield Done("Database", f"there is none at {name} yet", 0)
        elif isinstance(database, Lake):
            yield _lake(database, keep_days, dry_run)
        else:
            yield from _file(database, dry_run)


def _file(database: "Warehouse", dry_run: bool) -> Iterator[Done]:
    from klaviyo_pipeline.warehouse.compacting import compact, space
    from klaviyo_pipeline.warehouse.database import Database

    if not isinstance(database, Database):
        return
    before = space(database)
    found = f"{megabytes(before.free)} of {megabytes(before.size)} are free in {database.file}"
    if before.free < max(WORTH_BYTES, WORTH_SHARE * before.size):
        yield Done("Database", f"{found}; it is not worth compacting", 0)
    elif dry_run:
        yield Done("Database", f"{found}; it would be compacted", before.free)
    else:
        after = compact(database)
        yield Done("Database", f"{found}; compacted to {megabytes(after.size)}", before.size - after.size)


def _lake(lake: "Lake", keep_days: int, dry_run: bool) -> Done:
    from klaviyo_pipeline.warehouse.lake_upkeep import tidy

    done = tidy(lake, keep_days, dry_run=dry_run)
    after = "" if dry_run else f", now {done.files_after:,}"
    return Done(
        "Database",
        f"{done.files_before:,} files of tables in {lake.name}{after}; {done.snapshots:,} snapshots older than "
        f"{keep_days} days and {done.removed:,} old files {_removed(dry_run)}",
        0,
    )


def _removed(dry_run: bool) -> str:
    return "would be removed" if dry_run else "removed"


def megabytes(size: int) -> str:
    """A number of bytes for people."""
    return f"{size / 1e6:,.1f} MB"
