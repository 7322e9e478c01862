"""`transfer list`, `show`, `history` and `run`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from klaviyo_pipeline import clock
from klaviyo_pipeline.cli.failing import Failed, WrongInput
from klaviyo_pipeline.cli.folder import transfers_folder
from klaviyo_pipeline.cli.landed import window_text
from klaviyo_pipeline.cli.output import as_json, cell, duration, print_json, print_pairs, print_table, printable, warn

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from klaviyo_pipeline.status.model import TableStatus
    from klaviyo_pipeline.transfers.file.model import Transfer
    from klaviyo_pipeline.transfers.file.reading import TransferFile
    from klaviyo_pipeline.transfers.folder import Folder
    from klaviyo_pipeline.warehouse.interface import Warehouse


_HEADERS = [
    *("Name", "Cron", "Timezone", "Delay", "Database", "Table", "Status"),
    *("Account", "Schema", "Last load", "State", "Rows", "Next run"),
]


@click.command("list")
@as_json
def list_(json_: bool) -> None:
    """List the transfers with their last and next runs. A broken file is listed with the reason."""
    from klaviyo_pipeline.status.wording import minute
    from klaviyo_pipeline.transfers.folder import Broken

    folder = transfers_folder()
    files, states = folder.all(), _states(folder)
    if json_:
        print_json([_broken(file) if isinstance(file, Broken) else _with_state(file, states) for file in files])
        return
    rows = []
    for file in files:
        if isinstance(file, Broken):
            rows.append([file.name, *[""] * 5, "broken", *[""] * 6])
            continue
        when, lands = file.transfer.schedule, file.transfer.destination
        scheduled = [when.cron, when.timezone, when.delay] if when and file.transfer.repeats else ["", "", ""]
        when_next = minute(next_run(file))
        rows.append([file.name, *scheduled, lands.database, lands.table or file.name, _status(file)])
        rows[-1] += [_account(file.transfer), *_landed(states.get(file.name)), when_next]
    print_table(_HEADERS, rows)
    for file in files:
        if isinstance(file, Broken):
            click.echo(str(file.error), err=True)


@click.command()
@click.argument("name")
@as_json
def show(name: str, json_: bool) -> None:
    """Show the settings of the transfer NAME, and its next run."""
    file = transfers_folder().get(name)
    from klaviyo_pipeline.klaviyo.catalogue.revisions import revision_text

    if json_:
        print_json(as_dict(file))
        return
    for warning in file.warnings:
        warn(warning)
    made = file.transfer
    when, lands = made.schedule if made.repeats else None, made.destination
    options = ", ".join(f"{option}={cell(value)}" for option, value in made.options.items())
    http = ", ".join(f"{setting}={value:g}" for setting, value in made.http_settings.items())
    print_pairs(
        [
            ("Name", name),
            ("Cron", when.cron if when else "none"),
            ("Timezone", when.timezone if when else None),
            ("Delay", when.delay if when else None),
            ("Database", lands.database or _database(file).name),
            ("Schema", lands.schema_name),
            ("Table", lands.table or name),
            ("Mode", lands.mode),
            ("Partition key", lands.partition_key),
            ("Storage timezone", lands.timezone),
            ("Source", made.source),
            ("Options", options),
            ("HTTP", http),
            ("Account", _account(made)),
            ("Revision", made.revision and revision_text(made.revision, _answers(made))),
            ("Run on change", made.run_on_change),
            ("Status", _status(file)),
            ("Starts", "by hand, in Dagster's UI" if when and not when.auto_start else None),
            ("Next run", next_run(file)),
            ("File", file.path),
        ]
    )


@click.command()
@click.argument("name")
@click.option("-n", "--limit", default=20, show_default=True, type=click.IntRange(1), help="Number of runs to show.")
@as_json
def history(name: str, limit: int, json_: bool) -> None:
    """Show the runs of the transfer NAME, newest first: from Dagster's records and the ledger."""
    from klaviyo_pipeline.orchestration import dagster_home
    from klaviyo_pipeline.transfers.history import history as runs_of

    file = transfers_folder().get(name)
    with dagster_home.kept_instance() as instance:
        runs = runs_of(name, instance, _database(file), limit)
    if json_:
        print_json([{**asdict(run), "duration_s": run.duration_s} for run in runs])
        return
    rows = [
        [
            run.run_id,
            run.status,
            run.rows,
            run.inserted,
            run.started,
            run.ended,
            duration(run.duration_s),
            window_text(run.window_start, run.window_end),
        ]
        for run in runs
    ]
    print_table(["Run", "Status", "Rows", "Inserted", "Start", "End", "Duration", "Window"], rows, widest=50)
    for run in runs:
        if run.error:
            click.echo(printable(f"{run.run_id} failed: {run.error}"), err=True)


@click.command()
@click.argument("name")
@click.option("--from", "start", default=None, help="Read from this time on, ISO 8601.  [default: the last run's end]")
@click.option("--to", "end", default=None, help="Read up to this time, ISO 8601.  [default: now]")
@click.option("--accept-shrink", is_flag=True, help="Land a read that has far fewer rows than the table.")
@click.option("-q", "--quiet", is_flag=True, help="Show warnings and errors only.")
@as_json
def run(name: str, start: str | None, end: str | None, accept_shrink: bool, quiet: bool, json_: bool) -> None:
    """Run the transfer NAME now and wait for it. Exit code 1 if it fails."""
    from klaviyo_pipeline.orchestration import dagster_home
    from klaviyo_pipeline.transfers.running import run as run_now

    file = transfers_folder().get(name)
    _check_window(file, start, end)
    for warning in file.warnings:
        warn(warning)
    with dagster_home.kept_instance() as instance:
        log_level = "WARNING" if quiet or json_ else "INFO"
        outcome = run_now(file, instance, start=start, end=end, accept_shrink=accept_shrink, log_level=log_level)
    if json_:
        said = {"run_id": outcome.run_id, "success": outcome.success, "error": outcome.message}
        print_json({**said, **outcome.metadata})
    if not outcome.success:
        raise Failed(f"Run {outcome.run_id} of {name} failed: {outcome.message}")
    if not json_:
        landed = outcome.metadata
        if landed:
            counts = ", ".join(f"{landed[f'rows_{what}']:,} {what}" for what in ("fetched", "inserted", "updated"))
            click.echo(
                f"Run {outcome.run_id}: {counts}; {landed['dagster/table_name']} has {landed['dagster/row_count']:,}."
            )
        else:
            click.echo(f"Run {outcome.run_id}: nothing to read, because everything before that time has landed.")


def _check_window(file: TransferFile, start: str | None, end: str | None) -> None:

    from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
    from klaviyo_pipeline.times import parse_time

    zone = KlaviyoDuckDBResource().at(None, file.transfer.destination.timezone).zone
    since = parse_time(start, zone, "--from") if start is not None else None
    until = parse_time(end, zone, "--to") if end is not None else None
    if (since or until) and not file.transfer.catalogued.takes_window:
        raise WrongInput(f"{file.transfer.source} has no time field, so it takes neither --from nor --to.")
    if since and since >= clock.now():
        raise WrongInput(f"--from is {start!r}, which lies in the future.")
    if since and until and since >= until:
        raise WrongInput(f"--from {start!r} is not before --to {end!r}.")


def next_run(file: TransferFile) -> datetime | None:
    """The next tick of the schedule; None without a schedule, or if it is paused."""
    from klaviyo_pipeline.orchestration.automation.cron import delayed, parse_delay
    from klaviyo_pipeline.orchestration.automation.ticks import next_tick

    when = file.transfer.schedule
    if when is None or not file.transfer.repeats or when.paused:
        return None
    crons = delayed(when.cron, parse_delay(when.delay))
    return next_tick(crons, when.timezone, clock.now())


def _states(folder: Folder) -> Mapping[str, TableStatus]:
    """The states of the transfers' tables by name; none, with a warning, if a database cannot be read."""
    from klaviyo_pipeline.errors import PipelineError
    from klaviyo_pipeline.orchestration import dagster_home
    from klaviyo_pipeline.status.gather import of_transfers

    try:
        with dagster_home.kept_instance() as instance:
            return of_transfers(instance, folder)
    except PipelineError as error:
        warn(f"The state of the tables is not known. {error}")
        return {}


def _landed(state: TableStatus | None) -> list[str]:
    """Schema, last load, state and rows, for people."""
    from klaviyo_pipeline.status.wording import minute

    if state is None:
        return [""] * 4
    rows = "" if state.rows is None else f"{state.rows:,}"
    return [state.table.rpartition(".")[0], minute(state.last_load), state.state.value, rows]


def _with_state(file: TransferFile, states: Mapping[str, TableStatus]) -> dict[str, Any]:
    given = {**as_dict(file), "account": _account(file.transfer)}
    if (state := states.get(file.name)) is None:
        return given
    return {
        **given,
        "schema": state.table.rpartition(".")[0],
        "last_load": state.last_load,
        "state": state.state.value,
        "rows": state.rows,
        "error": state.error,
    }


def as_dict(file: TransferFile) -> dict[str, Any]:
    """A transfer as JSON, without a key in plain text."""
    made = file.transfer.model_dump(by_alias=True, exclude={"api_token"})
    return {
        "name": file.name,
        "status": _status(file),
        "next_run": next_run(file),
        **made,
        "revision_answers": _answers(file.transfer),
        "http": file.transfer.http_settings,
        "file": str(file.path),
        "warnings": list(file.warnings),
    }


def _answers(made: Transfer) -> str:
    """The revision that will answer a transfer; blank if its account decides."""
    from klaviyo_pipeline.klaviyo.catalogue.revisions import check_revision, expected_answer

    return expected_answer(check_revision(made.revision)) if made.revision else ""


def _broken(file: Any) -> dict[str, Any]:  # noqa: ANN401 - a Broken
    problems = [asdict(problem) for problem in file.error.problems]
    return {"name": file.name, "status": "broken", "file": str(file.path), "problems": problems}


def _status(file: TransferFile) -> str:
    when = file.transfer.schedule
    if when is None or not file.transfer.repeats:
        return "by hand"
    return "paused" if when.paused else "scheduled"


def _account(made: Transfer) -> str:
    """Where the API key comes from; never the key."""
    from klaviyo_pipeline.transfers.file.authentications import REFERENCE

    if not made.api_token:
        return made.authentication or "default"
    found = REFERENCE.fullmatch(made.api_token.strip())
    return f"API key in the environment variable {found[1]}" if found else "API key in the file"


def _database(file: TransferFile) -> Warehouse:
    from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource

    return KlaviyoDuckDBResource().at(file.transfer.database_file).warehouse()
