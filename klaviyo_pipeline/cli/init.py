"""`init`: the files of a project."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from klaviyo_pipeline.cli.output import as_json, print_json, printable


@click.command()
@click.argument("folder", default=".", type=click.Path(file_okay=False, path_type=Path))
@as_json
def init(folder: Path, json_: bool) -> None:
    """Write the files of a project into FOLDER, which is this one by default.

    The files are settings of Dagster, .env.example, transfers with examples, units of systemd, and a compose file. The
    command never overwrites a file.
    """
    from klaviyo_pipeline.project.files import write_project

    written = write_project(folder)
    if json_:
        print_json(asdict(written))
        return
    for label, names in (("wrote", written.wrote), ("kept ", written.kept)):
        for name in names:
            click.echo(printable(f"{label} {folder / name}"))
    click.echo("\nNext:")
    if folder != Path():
        click.echo(printable(f"  cd {folder}"))
    click.echo("  cp .env.example .env && chmod 600 .env    then write the API key into it")
    click.echo('  export DAGSTER_HOME="$PWD"                Dagster keeps its records in .dagster')
    click.echo("  klaviyo-pipeline check                    checks settings, transfers, accounts and the database")
    click.echo("  dg dev                                    the assets in Dagster's UI")
    click.echo("Without an account: klaviyo-pipeline with-sandbox -- dg dev")
