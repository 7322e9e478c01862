"""`sweep`: marks profiles that Klaviyo no longer has."""

from __future__ import annotations

from dataclasses import asdict

import click

from klaviyo_pipeline.cli.account import of_account
from klaviyo_pipeline.cli.output import as_json, print_json


@click.command()
@click.option("--accept-shrink", is_flag=True, help="Mark any number of profiles.")
@of_account
@as_json
def sweep(accept_shrink: bool, account: str | None, json_: bool) -> None:
    """Find profiles that were deleted in Klaviyo or merged into others, and set their _deleted_at.

    Reads the ids of all profiles: a minute for each 75,000. The job klaviyo_sweep does the same each week.
    """
    from klaviyo_pipeline import environment
    from klaviyo_pipeline.accounts.parts import account_parts
    from klaviyo_pipeline.loads.destination import Destination
    from klaviyo_pipeline.loads.gone_profiles import mark_gone_profiles
    from klaviyo_pipeline.warehouse.sandbox_rows import Origin

    of = account_parts(account)
    duckdb, client = of.duckdb, of.klaviyo.client()
    marked = mark_gone_profiles(
        client,
        duckdb.place(Destination(), "profiles"),
        duckdb.staging_area(),
        origin=Origin(environment.sandbox_end(client.base_url)),
        shrink=None if accept_shrink else duckdb.shrink_limits(),
    )
    if json_:
        print_json(asdict(marked))
    else:
        click.echo(
            f"{marked.alive:,} profiles compared: {marked.deleted:,} are gone from Klaviyo and marked now, "
            f"{marked.revived:,} are there again."
        )
