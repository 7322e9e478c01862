"""`preview`: the first rows of a transfer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from klaviyo_pipeline.cli.account import of_account
from klaviyo_pipeline.cli.folder import transfers_folder
from klaviyo_pipeline.cli.output import as_json, cell, print_json, print_table, warn

if TYPE_CHECKING:
    from klaviyo_pipeline.orchestration.assets.spec import LoadSpec
    from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource

_Previewed = tuple["LoadSpec", "KlaviyoDuckDBResource", "KlaviyoResource"]
"""What is previewed, the database that it would land in, and the account that has it."""


@click.command()
@click.argument("config")
@click.option("--rows", default=10, show_default=True, type=click.IntRange(1, 1000), help="Number of rows to show.")
@of_account
@as_json
def preview(config: str, rows: int, account: str | None, json_: bool) -> None:
    """Show the first rows of CONFIG, the file or name of a transfer, with the types of its table. Writes no row.

    With --account, CONFIG is a data source, as it is an asset of this account.
    """
    from klaviyo_pipeline.klaviyo.catalogue.revisions import who_answers
    from klaviyo_pipeline.loads.preview import preview as first_rows
    from klaviyo_pipeline.orchestration.assets.config import default_request

    spec, lands, klaviyo = _of_transfer(config) if account is None else _of_account(config, account)
    client, place = klaviyo.client(), lands.place(spec.destination, spec.key.path[-1])
    found = first_rows(client, default_request(spec), place.zone, rows, place)
    if sentence := who_answers(client.written_revision, found.revision):
        warn(sentence)
    if json_:
        columns = [{"name": name, "type": kind} for name, kind in found.columns]
        print_json({"columns": columns, "rows": list(found.rows)})
        return
    headers = [f"{name}:{kind}" for name, kind in found.columns]
    print_table(headers, [[cell(row[name]) for name, _kind in found.columns] for row in found.rows])
    if not found.rows:
        click.echo("This window has no rows.", err=True)


def _of_transfer(config: str) -> _Previewed:
    from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
    from klaviyo_pipeline.transfers.file.reading import read_file
    from klaviyo_pipeline.transfers.loading import spec_of

    folder = transfers_folder()
    by_name = not Path(config).exists() and folder.path_of(config) is not None
    file = folder.get(config) if by_name else read_file(Path(config))
    for warning in file.warnings:
        warn(warning)
    spec = spec_of(file)
    return spec, KlaviyoDuckDBResource(), spec.account(KlaviyoResource())


def _of_account(source: str, account: str) -> _Previewed:
    from klaviyo_pipeline.accounts.parts import account_parts
    from klaviyo_pipeline.klaviyo.catalogue.registry import source_named
    from klaviyo_pipeline.orchestration.assets.spec import default_spec
    from klaviyo_pipeline.transfers.file.model import source_name

    of = account_parts(account)
    return default_spec(source_named(source_name(source)), of.days, naming=of.naming), of.duckdb, of.klaviyo
