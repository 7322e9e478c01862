"""`erase`, `export` and `apply-privacy`: a person's rights, and privacy rules for rows that have landed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from klaviyo_pipeline.cli.account import of_account
from klaviyo_pipeline.cli.failing import Failed, WrongInput
from klaviyo_pipeline.cli.folder import transfers_folder
from klaviyo_pipeline.cli.output import as_json, print_json, printable, warn

if TYPE_CHECKING:
    from klaviyo_pipeline.orchestration.erasing import Everywhere
    from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
    from klaviyo_pipeline.people import Person

Command = Callable[..., Any]


def _who(command: Command) -> Command:
    """The options that name a person."""
    for option, text in reversed(
        (
            ("--profile", "Id of a Klaviyo profile."),
            ("--email", "Mail address."),
            ("--phone", "Phone number, international (+49 …) or national."),
            ("--external-id", "Id in your own system."),
        )
    ):
        command = click.option(option, multiple=True, help=f"{text} Can be given several times.")(command)
    return command


_databases = click.option(
    "--database", multiple=True, help="A DuckDB file; by default those of all accounts and transfers."
)


@click.command()
@_who
@_databases
@click.option("--dry-run", is_flag=True, help="Only print what the command would erase.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
def erase(
    profile: tuple[str, ...],
    email: tuple[str, ...],
    phone: tuple[str, ...],
    external_id: tuple[str, ...],
    database: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    json_: bool,
) -> None:
    """Erase a person from databases, stages, exports and Dagster's records, and keep them from coming back.

    The options name the person; the tables tell the other identifiers. Rows of the person are removed. Where other rows
    mention them, the value becomes [erased]. Each database is copied into a new file, so that no byte is left. Needs
    KLAVIYO_PRIVACY_SECRET. Erase the person in Klaviyo first.
    """
    from klaviyo_pipeline import environment
    from klaviyo_pipeline.orchestration import dagster_home
    from klaviyo_pipeline.orchestration.erasing import erase_everywhere

    person, secret = _person(profile, email, phone, external_id), environment.PRIVACY_SECRET.value.encode()
    if not secret:
        raise WrongInput(
            "KLAVIYO_PRIVACY_SECRET is not set. It keys the hashes that keep the person out of later loads."
        )
    places, home = _places(database), dagster_home.given_home()
    if not dry_run and not yes:
        _show(erase_everywhere(places, person, secret, home, dry_run=True), dry_run=True)
        click.confirm("Erase all of this? It cannot be undone", abort=True)
    done = erase_everywhere(places, person, secret, home, dry_run=dry_run)
    if json_:
        print_json(_as_json(done))
    else:
        _show(done, dry_run=dry_run)
    if done.held:
        raise Failed(
            f"Runs have {done.held} stages open, which may hold the person. Run the command again when they have ended."
        )


@click.command()
@_who
@click.option("--database", help="A DuckDB file; by default that of the project.")
@click.option("--output", type=click.Path(path_type=Path), help="A new file; by default one beside the database.")
@as_json
def export(
    profile: tuple[str, ...],
    email: tuple[str, ...],
    phone: tuple[str, ...],
    external_id: tuple[str, ...],
    database: str | None,
    output: Path | None,
    json_: bool,
) -> None:
    """Write all that is held of a person to a JSON file that only you can read.

    It has the rows of the person, and the rows that mention them, by table. erase removes files in the folder
    klaviyo-exports beside the database, and no others.
    """
    from klaviyo_pipeline import environment
    from klaviyo_pipeline.orchestration.erasing import export as write

    person = _person(profile, email, phone, external_id)
    (place,) = _places((database,) if database else ())[:1]
    try:
        path, rows = write(place.warehouse(), person, environment.PRIVACY_SECRET.value.encode(), output)
    except FileExistsError as error:
        raise WrongInput(str(error)) from None
    if json_:
        print_json({"file": str(path), "rows": rows})
        return
    for table, count in rows.items():
        click.echo(printable(f"{table}: {count:,} rows"))
    click.echo(f"Written to {path}." if rows else f"Nothing is held. {path} says so.")


def _person(
    profile: tuple[str, ...], email: tuple[str, ...], phone: tuple[str, ...], external_id: tuple[str, ...]
) -> Person:
    from klaviyo_pipeline.people import Kind, Person, tokens

    given = {Kind.PROFILE: profile, Kind.EMAIL: email, Kind.PHONE: phone, Kind.EXTERNAL: external_id}
    if not any(given.values()):
        raise WrongInput("Name the person: --profile, --email, --phone or --external-id.")
    for kind, values in given.items():
        for value in values:
            if not list(tokens(kind, value)) or (kind is Kind.EMAIL and "@" not in value.strip("@ ")):
                raise WrongInput(f"--{kind.replace('_', '-')} is {value!r}, which is none.")
    return Person(*(frozenset(values) for values in given.values()))


def _places(databases: tuple[str, ...]) -> list[KlaviyoDuckDBResource]:
    """The databases, each file once."""
    from klaviyo_pipeline.accounts.file import Account, BrokenAccount, read_accounts
    from klaviyo_pipeline.accounts.parts import parts_of
    from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
    from klaviyo_pipeline.transfers.file.model import database_file
    from klaviyo_pipeline.transfers.file.reading import TransferFile
    from klaviyo_pipeline.transfers.folder import Broken

    own = KlaviyoDuckDBResource()
    if databases:
        places = [own.at(database_file(each)) for each in databases]
    else:
        accounts, files = read_accounts(), transfers_folder().all()
        for each in (*accounts, *files):
            if isinstance(each, BrokenAccount | Broken):
                raise each.error  # nobody knows where its rows are
        places = [own, *(parts_of(each).duckdb for each in accounts if isinstance(each, Account))]
        places += [own.at(each.transfer.database_file) for each in files if isinstance(each, TransferFile)]
    found = {place.warehouse().name: place for place in reversed(places)}
    return list(reversed(found.values()))


def _show(done: Everywhere, *, dry_run: bool) -> None:
    verb = "would be erased" if dry_run else "erased"
    for file, erased in done.databases.items():
        click.echo(printable(f"{file}: {erased.profiles:,} profiles"))
        for table, count in erased.rows.items():
            click.echo(printable(f"  {table}: {count:,} rows {verb}"))
        for table, count in erased.values.items():
            click.echo(printable(f"  {table}: {count:,} values in other rows {verb}"))
    click.echo(f"Stages: {done.stages:,} {verb}. Exports: {done.exports:,} {verb}.")
    if done.records is None:
        click.echo("Dagster's records: DAGSTER_HOME is not set.")
        return
    click.echo(f"Dagster's records: {done.records.values:,} values in {done.records.files:,} files {verb}.")
    for path in done.records.unread:
        warn(f"{path} mentions the person, and its form is unknown. It is unchanged: remove it yourself.")


def _as_json(done: Everywhere) -> dict[str, Any]:
    records = done.records
    return {
        "databases": {
            file: {"profiles": erased.profiles, "rows": erased.rows, "values": erased.values}
            for file, erased in done.databases.items()
        },
        "stages": done.stages,
        "held_stages": done.held,
        "exports": done.exports,
        "records": {"values": records.values, "files": records.files, "unread": list(map(str, records.unread))}
        if records
        else None,
    }


@click.command()
@of_account
@as_json
def apply_privacy(account: str | None, json_: bool) -> None:
    """Apply the account's privacy rules to rows that have landed before.

    No byte of the old values is left in the database. A second time changes nothing.
    """
    from klaviyo_pipeline.accounts.parts import account_parts
    from klaviyo_pipeline.loads.ruling import apply_rules

    of = account_parts(account)
    rules, database = of.klaviyo.rules(), of.duckdb.warehouse()
    if not rules:
        raise WrongInput("The account has no privacy rules: set KLAVIYO_PRIVACY, or privacy in klaviyo.yml.")
    if not database.exists():
        raise WrongInput(f"There is no database at {database.name}.")
    changed = apply_rules(database, of.duckdb.schema_or_default, rules)
    if json_:
        print_json(changed)
        return
    for table, count in changed.items():
        click.echo(printable(f"{table}: {count:,} values changed"))
    if not changed:
        click.echo("Nothing to change.")
