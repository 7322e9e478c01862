"""`transfer`: creates, changes and deletes transfers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from klaviyo_pipeline.cli.failing import WrongInput
from klaviyo_pipeline.cli.folder import transfers_folder
from klaviyo_pipeline.cli.output import as_json, print_json, warn
from klaviyo_pipeline.cli.transfer_views import history, list_, run, show

_timezone = click.option("-t", "--timezone", default=None, help="Time zone of CRON, an IANA name.  [default: UTC]")
_delay = click.option("-D", "--delay", default=None, help="Time between a tick and its run: seconds, or 30m, 1h30m.")


@click.group()
def transfer() -> None:
    """Imports as files in the folder transfers/ (KLAVIYO_TRANSFERS_DIR). Each is an asset and a job."""


for _command in (list_, show, history, run):
    transfer.add_command(_command)


@transfer.command()
@click.argument("name", required=False)
@click.argument("cron", required=False)
@click.argument("database", required=False)
@click.argument("table", required=False)
@click.argument("config", required=False, type=click.Path(path_type=Path))
@_timezone
@_delay
@click.option("--no-schedule", is_flag=True, help="Do not add a schedule.")
@click.option("--account", default=None, help="Instead of the arguments: all data sources of this account.")
@click.option("--schema", "schema_", default=None, help="With --account: the schema of the tables.")
@click.option("--mode", default=None, help="With --account: append, replace, replace_on_new_data or merge.")
@click.option("--cron", "every", default=None, help="With --account: the schedule.  [default: none]")
@click.option("--database", "lands_in", default=None, help="With --account: a DuckDB file or name.")
@as_json
def create(
    name: str | None,
    cron: str | None,
    database: str | None,
    table: str | None,
    config: Path | None,
    timezone: str | None,
    delay: str | None,
    no_schedule: bool,
    account: str | None,
    schema_: str | None,
    mode: str | None,
    every: str | None,
    lands_in: str | None,
    json_: bool,
) -> None:
    """Create the transfer NAME from CONFIG, to run by CRON and load TABLE in DATABASE.

    CRON has five fields, or is @hourly, @daily, @weekly or @monthly. DATABASE is a DuckDB file, or a name:
    sample_db is data/sample_db.duckdb. CONFIG has Treasure Data's form or ours. The command copies it with its
    comments.

    With --account and --schema it creates a transfer for each data source that is an asset of the account. Their names
    are ACCOUNT_SOURCE, and their tables are named like the data sources.
    """
    if account is not None:
        if name is not None or not schema_:
            raise WrongInput("--account needs --schema, and takes no arguments.")
        schedule = dict(_schedule_values(every, timezone, delay)) if every else {}
        _create_all(account, schema_, mode or "merge", lands_in or "", schedule, json_)
        return
    if given := [option for option, value in (("--schema", schema_), ("--mode", mode), ("--cron", every)) if value]:
        raise WrongInput(f"{given[0]} needs --account.")
    if name is None or cron is None or database is None or table is None or config is None:
        raise WrongInput("Missing argument: give NAME, CRON, DATABASE, TABLE and CONFIG, or --account.")
    _create_one(name, cron, database, table, config, timezone, delay, no_schedule, json_)


def _create_all(account: str, schema: str, mode: str, database: str, schedule: dict[str, Any], json_: bool) -> None:
    from klaviyo_pipeline.accounts.parts import account_parts
    from klaviyo_pipeline.cli.transfer_views import as_dict
    from klaviyo_pipeline.orchestration.automation.reloading import reload_or_advice
    from klaviyo_pipeline.transfers.whole_accounts import WholeAccount, create_transfers

    wanted = WholeAccount(account=account, schema=schema, mode=mode, database=database, schedule=schedule)
    made = create_transfers(transfers_folder(), wanted, account_parts(account).naming.chosen())
    if json_:
        print_json([as_dict(file) for file in made])
        return
    for file in made:
        click.echo(f"Created {file.path}: asset transfers/{file.name}, job {file.name}.")
    click.echo(reload_or_advice())


def _create_one(
    name: str,
    cron: str,
    database: str,
    table: str,
    config: Path,
    timezone: str | None,
    delay: str | None,
    no_schedule: bool,
    json_: bool,
) -> None:
    from klaviyo_pipeline.transfers.file.reading import read_file
    from klaviyo_pipeline.yaml_files.problems import FileError

    given = read_file(config)
    if not (database.strip() and table.strip()):
        raise WrongInput("DATABASE and TABLE must not be blank.")
    if not (cron.strip() or no_schedule):
        raise WrongInput("CRON is blank: give a schedule, or --no-schedule.")
    destination = "out" if given.theirs else "destination"
    changes: list[tuple[tuple[str, ...], Any]] = [
        ((destination, "database"), database),
        ((destination, "table"), table),
    ]
    changes += _schedule_changes(cron or None, timezone, delay)
    if no_schedule:
        changes.append((("schedule", "repeat"), False))
    try:
        made = transfers_folder().create(name, given.text, changes, str(config))
    except FileError as error:
        raise _about_arguments(error, {"cron": "CRON", "timezone": "--timezone", "delay": "--delay"}) from None
    _say(made, "Created", json_)


def _schedule_changes(cron: str | None, timezone: str | None, delay: str | None) -> list[tuple[tuple[str, ...], Any]]:
    return [(("schedule", key), value) for key, value in _schedule_values(cron, timezone, delay)]


def _schedule_values(cron: str | None, timezone: str | None, delay: str | None) -> list[tuple[str, Any]]:
    """What is given of a schedule: a delay without a unit is a number."""
    number = int(delay) if delay is not None and re.fullmatch(r"0|[1-9][0-9]{0,9}", delay) else delay
    given = (("cron", cron), ("timezone", timezone), ("delay", number))
    return [(key, value) for key, value in given if value is not None]


def _about_arguments(error: Exception, names: dict[str, str]) -> WrongInput:
    """Names the argument of a wrong value, because the file has no line with it."""
    from klaviyo_pipeline.yaml_files.problems import FileError

    assert isinstance(error, FileError)
    texts = []
    for problem in error.problems:
        first, _, rest = problem.text.partition(" ")
        argument = names.get(first.removeprefix("schedule.")) if first.startswith("schedule.") else None
        texts.append(f"{argument} {rest}" if argument else problem.at(error.file))
    return WrongInput("\n".join(texts))


@transfer.command()
@click.argument("name")
@click.argument("config", required=False, type=click.Path(path_type=Path))
@click.option("--cron", default=None, help="The schedule.")
@_timezone
@_delay
@click.option("--database", default=None, help="Another DuckDB file or name.")
@click.option("--table", default=None, help="Another table.")
@click.option("--mode", default=None, help="append, replace, replace_on_new_data or merge.")
@click.option("--schedule/--no-schedule", "repeat", default=None, help="Turn the schedule on or off.")
@as_json
def update(
    name: str,
    config: Path | None,
    cron: str | None,
    timezone: str | None,
    delay: str | None,
    database: str | None,
    table: str | None,
    mode: str | None,
    repeat: bool | None,
    json_: bool,
) -> None:
    """Change the transfer NAME: the given options, and with CONFIG what it imports. The rest of its file stays."""
    from klaviyo_pipeline.transfers.file.reading import read_file
    from klaviyo_pipeline.yaml_files.problems import FileError

    folder = transfers_folder()
    now = folder.get(name)
    given = read_file(config) if config else now
    changes: list[tuple[tuple[str, ...], Any]] = []
    if config:
        lands, when = now.transfer.destination, now.transfer.schedule
        database, table = database or lands.database or None, table or lands.table or None
        if when is not None and given.transfer.schedule is None:
            cron, timezone = cron or when.cron or None, timezone or when.timezone
            delay = delay if delay is not None else str(when.delay)
            repeat = when.repeat if repeat is None else repeat
    section = "out" if given.theirs else "destination"
    places = (("database", database), ("table", table), ("mode", mode))
    changes += [((section, key), value) for key, value in places if value is not None]
    changes += _schedule_changes(cron, timezone, delay)
    if repeat is not None:
        changes.append((("schedule", "repeat"), repeat))
    if not changes and config is None:
        raise WrongInput("Give an option or a CONFIG to change.")
    try:
        made = folder.update(name, changes, given.text if config else None)
    except FileError as error:
        raise _about_arguments(error, {"cron": "--cron", "timezone": "--timezone", "delay": "--delay"}) from None
    _say(made, "Updated", json_)


@transfer.command()
@click.argument("name")
@as_json
def pause(name: str, json_: bool) -> None:
    """Skip the ticks of NAME's schedule until you resume it. A running Dagster needs no reload."""
    _set_paused(name, True, json_)


@transfer.command()
@click.argument("name")
@as_json
def resume(name: str, json_: bool) -> None:
    """Resume NAME's schedule. The first run also reads the window of the skipped ticks."""
    _set_paused(name, False, json_)


def _set_paused(name: str, paused: bool, json_: bool) -> None:

    folder = transfers_folder()
    if not folder.get(name).transfer.repeats:
        raise WrongInput(f"{name} has no schedule; add one: transfer update {name} --cron … --schedule")
    made = folder.update(name, [(("schedule", "paused"), paused)])
    if json_:
        print_json({"name": name, "paused": paused, "file": str(made.path)})
    else:
        click.echo(f"{'Paused' if paused else 'Resumed'} {name}.")


@transfer.command()
@click.argument("name")
@as_json
def delete(name: str, json_: bool) -> None:
    """Delete the transfer NAME. Its table, its lines in the ledger and its runs in Dagster stay."""
    path = transfers_folder().delete(name)
    if json_:
        print_json({"name": name, "deleted": str(path)})
    else:
        click.echo(f"Deleted {path}. The table and its history stay.")


@transfer.command()
def schema() -> None:
    """Print the JSON Schema of transfer files, for editors."""
    from klaviyo_pipeline.transfers.file.json_schema import json_schema

    print_json(json_schema())


def _start_of(made: Any) -> str:  # noqa: ANN401 - a TransferFile
    """Says who turns the schedule on."""
    if made.transfer.schedule.auto_start:
        return "Dagster turns the schedule on when it first loads it; its ticks need a running dagster-daemon."
    return "The schedule is off (auto_start: false) until you turn it on in Dagster's UI, under Automation."


def _say(made: Any, done: str, json_: bool) -> None:  # noqa: ANN401 - a TransferFile
    from klaviyo_pipeline.cli.transfer_views import as_dict
    from klaviyo_pipeline.orchestration.automation.reloading import reload_or_advice
    from klaviyo_pipeline.transfers.definitions import schedule_name

    for warning in made.warnings:
        warn(warning)
    if json_:
        print_json(as_dict(made))
        return
    click.echo(
        f"{done} {made.path}: asset transfers/{made.name}, job {made.name}"
        + (f", schedule {schedule_name(made.name)}." if made.transfer.repeats else ", no schedule.")
    )
    if made.transfer.repeats:
        click.echo(_start_of(made))
    click.echo(reload_or_advice())
    click.echo(f"Run it now: klaviyo-pipeline transfer run {made.name}")
