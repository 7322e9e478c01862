"""`demo` and `with-sandbox`: the project without an account."""

from __future__ import annotations

import sys
import time

import click


@click.command()
@click.option("--days", default=365, show_default=True, help="How many days of events, profiles and campaigns to load.")
def demo(days: int) -> None:
    """Load all nine data sources and show what landed: from Klaviyo if KLAVIYO_API_KEY is set, else a sandbox.

    Tables of analytics are made from them, too.
    """
    from rich.console import Console
    from rich.table import Table

    from klaviyo_pipeline.demo import analytics_made, klaviyo_or_sandbox, run_demo, timed
    from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource

    console, started = Console(), time.monotonic()
    with klaviyo_or_sandbox() as running:
        where = "your Klaviyo account" if running is None else f"a sandbox at {running.url}"
        console.print(f"Loading nine data sources, {days} days of them, from {where}…")
        rows = run_demo(days, running)
    table = Table("table", "rows", "distinct ids", "in Klaviyo", "seconds", "")
    for row in rows:
        expected = "" if row.expected is None else f"{row.expected:,}"
        verdict = "ok" if row.is_right else "[red]differs[/red]"
        table.add_row(row.table, f"{row.rows:,}", f"{row.ids:,}", expected, f"{row.seconds:.1f}", verdict)
    console.print(table)
    database = KlaviyoDuckDBResource().warehouse()
    console.print(f"{sum(row.rows for row in rows):,} rows in {database.path}, in {timed(started)}. From them, in SQL:")
    for made in analytics_made():
        console.print(f"  {made.name:<40} {made.rows:>8,} rows")
    console.print("\nNext:")
    console.print("  klaviyo-pipeline chart daily_metrics   draws daily_metrics.png")
    console.print("  make dev                               the same assets in Dagster's UI")
    console.print(f"  python -c \"import duckdb; duckdb.connect('{database.path}').sql('from klaviyo.events').show()\"")
    console.print("  export KLAVIYO_API_KEY=…               to load your own account (see .env.example)")
    if not all(row.is_right for row in rows):
        sys.exit(1)


@click.command()
@click.argument("command", nargs=-1, required=True)
def with_sandbox(command: tuple[str, ...]) -> None:
    """Run a COMMAND with a sandbox to read from, unless KLAVIYO_API_KEY is set."""
    import subprocess

    from klaviyo_pipeline.demo import klaviyo_or_sandbox

    with klaviyo_or_sandbox() as running:
        if running is not None:
            click.echo(f"No KLAVIYO_API_KEY: reading from a sandbox at {running.url}.")
        sys.exit(subprocess.run(command, check=False).returncode)  # noqa: S603 - the user's own command
