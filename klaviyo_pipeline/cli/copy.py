"""`copy`: brings all tables to another destination."""

from __future__ import annotations

import click

from klaviyo_pipeline.cli.output import as_json, print_json, printable


@click.command("copy")
@click.option("--to", required=True, metavar="DESTINATION", help="A DuckDB file, or as in KLAVIYO_DESTINATION.")
@click.option("--from", "from_", metavar="DESTINATION", help="By default the project's destination.")
@as_json
def copy_(to: str, from_: str | None, json_: bool) -> None:
    """Copy all tables and the ledger to another, empty destination, such as a DuckLake, or back to a file.

    Set KLAVIYO_DESTINATION or KLAVIYO_DUCKDB_PATH afterwards: the next run then continues where the last run ended. The
    source does not change. Views are not copied. Stop schedules meanwhile, or rows that land later are not in the copy.
    """
    from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
    from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
    from klaviyo_pipeline.warehouse.copying import copy

    duckdb = KlaviyoDuckDBResource()
    source = duckdb.warehouse_at(from_) if from_ else duckdb.warehouse()
    target = duckdb.warehouse_at(to)
    by_day = {name: each.fixed_time for name, each in SOURCES.items() if each.fixed_time}
    done = copy(source, target, by_day)
    if json_:
        print_json({"from": source.name, "to": target.name, "rows": done.rows, "views": done.views})
        return
    for table, rows in done.rows.items():
        click.echo(printable(f"{table}: {rows:,} rows"))
    for view in done.views:
        click.echo(printable(f"{view}: a view, which was not copied"))
    click.echo(printable(f"Copied {sum(done.rows.values()):,} rows from {source.name} to {target.name}."))
