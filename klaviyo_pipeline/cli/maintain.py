"""`maintain`: frees disk space."""

from __future__ import annotations

import click

from klaviyo_pipeline.cli.output import as_json, print_json, printable


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
    """Remove old runs from DAGSTER_HOME and stages that no run can resume, and compact the databases.

    The command removes only what this package wrote: runs of its own definitions that ended more than --keep-days ago,
    and stages with its manifest. Rows and the ledger stay. It compacts a database if a quarter of it, and 50 MB, are
    free. In a DuckLake it merges small files, and removes old snapshots and their files. Runs wait meanwhile. The job
    klaviyo_maintain does the same each week.
    """
    from klaviyo_pipeline import upkeep

    done = list(upkeep.maintain(keep_days, dry_run=dry_run))
    if json_:
        print_json([each._asdict() for each in done])
        return
    for each in done:
        click.echo(printable(f"{each.what}: {each.text}"))
    click.echo(f"{'Would free' if dry_run else 'Freed'} {upkeep.megabytes(sum(each.freed_bytes for each in done))}.")
