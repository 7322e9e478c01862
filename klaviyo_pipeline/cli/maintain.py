"""`maintain`: frees disk space."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import click

from klaviyo_pipeline import clock
from klaviyo_pipeline.cli.output import as_json, print_json, printable

if TYPE_CHECKING:
    from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
    from klaviyo_pipeline.warehouse.lake import Lake

WORTH_SHARE, WORTH_BYTES = 0.25, 50_000_000
"""A database is compacted if at least this share of it, and so many bytes, are free."""


class Done(NamedTuple):
    """One piece of maintenance: its subject, the result, and the freed bytes."""

    what: str
    text: str
    freed_bytes: int


@click.command()
@click.option("--dry-run", is_flag=True, help="Only print what the command would remove.")
@click.option(
    "--keep-days",
    default=30,
    show_default=True,
    type=click.IntRange(1, 36_500),
    help="Keep runs that ended, and snapshots of a DuckLake that were made, in the last days.",
)
@as_json
def maintain(dry_run: bool, keep_days: int, json_: bool) -> None:
    """Remove old runs from DAGSTER_HOME and stages that no run can resume, and compact the database.

    The command removes only what this package wrote: runs of its own definitions that ended more than --keep-days ago,
    and stages with its manifest. Rows and the ledger stay. It compacts the database if a quarter of it, and 50 MB, are
    free. In a DuckLake it merges small files, and removes old snapshots and their files. Runs wait meanwhile.
    """
    from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource

    duckdb = KlaviyoDuckDBResource()
    done = [*_runs(keep_days, dry_run), *_stages(duckdb, dry_run), *_database(duckdb, keep_days, dry_run)]
    if json_:
        print_json([each._asdict() for each in done])
        return
    for each in done:
        click.echo(printable(f"{each.what}: {each.text}"))
    click.echo(f"{'Would free' if dry_run else 'Freed'} {_mb(sum(each.freed_bytes for each in done))}.")


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


def _stages(duckdb: KlaviyoDuckDBResource, dry_run: bool) -> Iterator[Done]:
    area = duckdb.staging_area()
    stale = area.stale(clock.now())
    size = sum(file.lstat().st_size for folder in stale for file in folder.iterdir())
    if stale and not dry_run:
        area.remove_stale(clock.now())
    yield Done("Stages", f"{len(stale):,} that no run can resume {_removed(dry_run)} from {area.root}", size)


def _database(duckdb: KlaviyoDuckDBResource, keep_days: int, dry_run: bool) -> Iterator[Done]:
    from klaviyo_pipeline.warehouse.compacting import compact, space
    from klaviyo_pipeline.warehouse.database import Database
    from klaviyo_pipeline.warehouse.lake import Lake

    database = duckdb.warehouse()
    if not database.exists():
        yield Done("Database", f"there is none at {database.name} yet", 0)
        return
    if isinstance(database, Lake):
        yield _lake(database, keep_days, dry_run)
    if not isinstance(database, Database):
        return
    before = space(database)
    found = f"{_mb(before.free)} of {_mb(before.size)} are free in {database.file}"
    if before.free < max(WORTH_BYTES, WORTH_SHARE * before.size):
        yield Done("Database", f"{found}; it is not worth compacting", 0)
    elif dry_run:
        yield Done("Database", f"{found}; it would be compacted", before.free)
    else:
        after = compact(database)
        yield Done("Database", f"{found}; compacted to {_mb(after.size)}", before.size - after.size)


def _lake(lake: Lake, keep_days: int, dry_run: bool) -> Done:
    from klaviyo_pipeline.warehouse.lake_upkeep import tidy

    done = tidy(lake, keep_days, dry_run=dry_run)
    merged = "" if dry_run else f", merged to {done.files_after:,}"
    return Done(
        "Database",
        f"{done.files_before:,} files of tables in {lake.name}{merged}; {done.snapshots:,} snapshots older than "
        f"{keep_days} days and {done.removed:,} old files {_removed(dry_run)}",
        0,
    )


def _removed(dry_run: bool) -> str:
    return "would be removed" if dry_run else "removed"


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
