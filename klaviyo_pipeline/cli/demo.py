"""`demo` and `with-sandbox`: the project without an account."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

    from klaviyo_pipeline.demo import DemoRun


@click.command()
@click.option("--days", default=365, show_default=True, help="Days of events, profiles and campaigns to load.")
def demo(days: int) -> None:
    """Load the data sources of KLAVIYO_SOURCES and show the landed rows.

    The rows come from Klaviyo if KLAVIYO_API_KEY is set, else from a sandbox. The command also builds the analytics
    tables. The days end today, or at the end of the sandbox's history, so that a second run finds the same rows. A
    database holds rows of a sandbox or of an account, never of both.
    """
    from rich.console import Console

    from klaviyo_pipeline import environment
    from klaviyo_pipeline.demo import analytics_made, klaviyo_or_sandbox, run_demo
    from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
    from klaviyo_pipeline.report.assets import report_file
    from klaviyo_pipeline.warehouse.database import Database

    console, started = Console(soft_wrap=True), time.monotonic()
    with klaviyo_or_sandbox(days) as running:
        where = "your Klaviyo account" if running is None else f"a sandbox at {running.url}"
        console.print(f"Loading {len(environment.sources())} data sources, {days} days of them, from {where}…")
        run = run_demo(days, running)
    compared = running is not None
    console.print(_summary(run, compared=compared))
    total_s = time.monotonic() - started
    database = KlaviyoDuckDBResource().warehouse()
    file = database.path if isinstance(database, Database) else None
    rows = sum(row.rows for row in run.rows)
    console.print(f"{rows:,} rows of {run.first} to {run.last} in {file or database.name}, in {total_s:.0f} s.")
    parts = {"the start" + (" of the sandbox and Dagster" if compared else ""): total_s - sum(run.seconds.values())}
    parts |= run.seconds
    console.print("Of these: " + ", ".join(f"{part_s:.1f} s for {part}" for part, part_s in parts.items()) + ".")
    if not compared:
        console.print(
            "The demo did not compare the rows with your account. `ok` means that each id is in the table once. "
            "`klaviyo-pipeline reconcile` compares the counts of events with Klaviyo's own."
        )
    console.print("Analytics tables:")
    for made in analytics_made():
        console.print(f"  {made.name:<40} {made.rows:>8,} rows")
    console.print("\nNext:")
    ours = _as_typed("klaviyo-pipeline")
    steps = {str(report_file()): "the report: open it in a browser"}
    steps[f"{ours} chart daily_metrics"] = "draws artifacts/daily_metrics.png"
    if not Path("pyproject.toml").exists():
        steps[f"{ours} init"] = "writes the files of a project into this folder"
    ui = f"{ours} with-sandbox -- {_as_typed('dg')} dev" if compared else f"{_as_typed('dg')} dev"
    steps["make dev" if Path("Makefile").exists() else ui] = "the same assets in Dagster's UI"
    for command, text in steps.items():
        console.print(f"  {command:<40} {text}")
    if file:
        console.print(f"  python -c \"import duckdb; duckdb.connect('{file}').sql('from klaviyo.events').show()\"")
    if compared:
        console.print("Your own account needs a database of its own: set KLAVIYO_API_KEY and KLAVIYO_DUCKDB_PATH.")
    if not all(row.is_right for row in run.rows):
        sys.exit(1)


def _as_typed(command: str) -> str:
    """A command of this environment, with its folder if a shell would not find it."""
    here = Path(sys.executable).with_name(command)
    found = shutil.which(command)
    if not here.exists() or (found and Path(found).samefile(here)):
        return command
    return str(here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else here)


def _summary(run: DemoRun, *, compared: bool) -> Table:
    """A line for each data source: the landed rows, and the sandbox's rows if the demo compared them."""
    from rich.table import Table

    table = Table("table", "rows", "distinct ids", *(["in Klaviyo"] if compared else []), "seconds", "")
    for row in run.rows:
        expected = ["" if row.expected is None else f"{row.expected:,}"] if compared else []
        verdict = "ok" if row.is_right else "[red]differs[/red]"
        table.add_row(row.table, f"{row.rows:,}", f"{row.ids:,}", *expected, f"{row.seconds:.1f}", verdict)
    return table


@click.command()
@click.argument("command", nargs=-1, required=True)
def with_sandbox(command: tuple[str, ...]) -> None:
    """Run a COMMAND against a sandbox, unless KLAVIYO_API_KEY is set.

    The command starts the sandbox whose rows the database has. It refuses a database with rows of an account.
    """
    import subprocess

    from klaviyo_pipeline import environment
    from klaviyo_pipeline.demo import klaviyo_or_sandbox
    from klaviyo_pipeline.orchestration import dagster_home

    dagster_home.given_home()
    with klaviyo_or_sandbox() as running:
        if running is not None:
            click.echo(
                f"No KLAVIYO_API_KEY: reading from a sandbox at {running.url}, "
                f"whose history ends at {environment.SANDBOX_END.value}."
            )
        sys.exit(subprocess.run(command, check=False).returncode)  # noqa: S603 - the user's own command
