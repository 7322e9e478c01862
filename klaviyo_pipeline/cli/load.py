"""`load`: data sources of the account, into the project's database."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from klaviyo_pipeline.cli.account import of_account
from klaviyo_pipeline.cli.failing import WrongInput
from klaviyo_pipeline.cli.output import as_json, duration, print_json, printable

if TYPE_CHECKING:
    from klaviyo_pipeline.accounts.parts import AccountParts
    from klaviyo_pipeline.load_sources import SourceRun


@click.command()
@click.argument("sources", nargs=-1)
@click.option(
    "--all", "every", is_flag=True, help="Load the data sources that are assets, and build the analytics tables."
)
@click.option("-q", "--quiet", is_flag=True, help="Show errors only.")
@of_account
@as_json
def load(sources: tuple[str, ...], every: bool, quiet: bool, account: str | None, json_: bool) -> None:
    """Load SOURCES, or --all, from one account: one run and one line each.

    The first load reads everything, by day from the account's first day on. Later loads read the days that have not
    landed, and the lookback. After a stop or a failure, run it again: it resumes. If a data source fails, the command
    loads the others, except those that depend on it, and exits with code 1. It skips a data source that the key may not
    read. Data sources that most reports need, such as events, fail instead.
    """
    from klaviyo_pipeline.accounts.parts import account_parts
    from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES, no_source
    from klaviyo_pipeline.load_sources import load_sources
    from klaviyo_pipeline.transfers.file.model import source_name

    names = [source_name(each) for each in sources]
    for name in names:
        if name not in SOURCES:
            raise WrongInput(f"SOURCES has {name!r}, but {no_source(name)}")
    if bool(names) == every:
        raise WrongInput("Name data sources, or give --all, but not both.")
    of = account_parts(account)
    if others := [name for name in names if name not in of.naming.chosen()]:
        raise WrongInput(f"{', '.join(others)} {'is' if len(others) == 1 else 'are'} not chosen. {_advice(of, others)}")
    runs = []
    log_level = "CRITICAL" if quiet or json_ else "WARNING"
    for run in load_sources(list(of.naming.chosen()) if every else names, log_level, analytics=every, account=of):
        runs.append(run)
        if run.error and not json_:
            click.echo(printable(f"{run.source}: failed: {run.error}"), err=True)
        elif not (json_ or quiet):
            click.echo(_line(run))
    if json_:
        print_json([asdict(run) for run in runs])
    sys.exit(1 if any(run.error for run in runs) else 0)


def _advice(of: AccountParts, others: list[str]) -> str:
    """What to set so that data sources become assets."""
    from klaviyo_pipeline import environment

    if of.naming.choices.sources is not None:
        return f"Add them to sources of the account {of.name} in klaviyo.yml."
    return f"Set the environment variable KLAVIYO_SOURCES to {','.join([environment.SOURCES.text, *others])}"


def _line(run: SourceRun) -> str:
    if run.skipped:
        return printable(f"{run.source}: skipped: {run.skipped}")
    if "/" in run.source:
        return f"{run.source}: {run.total:,} rows in the table, {duration(run.seconds)}"
    days = f"{run.first} to {run.last}, " if run.first else ""
    outside = f", {run.outside:,} dated outside these days" if run.first and run.outside else ""
    deleted = f", {run.deleted:,} deleted" if run.deleted else ""
    changed = f"{run.inserted:,} inserted, {run.updated:,} updated{deleted}"
    return (
        f"{run.source}: {days}{run.fetched:,} rows fetched, {changed}{outside}"
        f"; {run.total:,} in the table, {duration(run.seconds)}"
    )
