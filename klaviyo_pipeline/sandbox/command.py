"""The `sandbox` command: a Klaviyo without an account. Importing it loads nothing but click."""

import click


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8765, show_default=True, help="Port to listen on; 0 takes a free one.")
@click.option("--seed", default=1, show_default=True, help="Same seed, sizes and --until: same data.")
@click.option("--profiles", default=2_000, show_default=True, help="Number of customers.")
@click.option("--events", default=20_000, show_default=True, help="Number of events.")
@click.option("--days", default=30, show_default=True, help="Length of the history.")
@click.option("--until", default=None, help="End of the history, ISO 8601.  [default: the current hour]")
@click.option("--lists", default=6, show_default=True, help="Number of lists; the last is empty.")
@click.option("--templates", default=25, show_default=True, help="Number of templates.")
@click.option("--campaigns", default=40, show_default=True, help="Number of campaigns.")
@click.option("--no-rate-limits", is_flag=True, help="Answer every request, however many.")
@click.option("--latency-ms", default=0.0, show_default=True, help="Wait before each answer.")
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="NAME[=SCOPE,...]",
    help="Accept this key beside pk_sandbox, with these scopes only (none named: all). Repeatable.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND[:OPERATION][=PROBABILITY]",
    help="Misbehave: 429, 500, 502..504, 520..524, reset, hang, truncated, invalid-json, html-200, html-403, "
    "content-type, duplicates, row-changes, list-deleted, bad-cursor, clock-skew, skewed-date, "
    "unknown-attributes, wrong-types, case-twins, huge-pages, short-pages, empty-pages, or drop-day:YYYY-MM-DD. "
    "Repeatable.",
)
@click.option("--fault-seed", default=1, show_default=True, help="Same seed, same requests: same faults.")
@click.option(
    "--missing-revision",
    type=click.Choice(["fall-forward", "refuse"]),
    default="fall-forward",
    show_default=True,
    help="What a request without a revision header gets.",
)
def sandbox(
    host: str,
    port: int,
    seed: int,
    profiles: int,
    events: int,
    days: int,
    until: str | None,
    lists: int,
    templates: int,
    campaigns: int,
    no_rate_limits: bool,
    latency_ms: float,
    keys: tuple[str, ...],
    faults: tuple[str, ...],
    fault_seed: int,
    missing_revision: str,
) -> None:
    """Run a local Klaviyo over generated data."""
    from klaviyo_pipeline.sandbox.faults.plan import Fault, FaultPlan
    from klaviyo_pipeline.sandbox.options import DEFAULT_KEY, SandboxOptions, ServerOptions
    from klaviyo_pipeline.sandbox.server import run

    accepted: dict[str, frozenset[str]] = {DEFAULT_KEY: frozenset()}
    for key in keys:
        name, _, scopes = key.partition("=")
        accepted[name] = frozenset(filter(None, scopes.split(",")))
    try:
        plan = FaultPlan(fault_seed, [Fault.parse(each) for each in faults])
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--fault") from None
    run(
        SandboxOptions(seed, profiles, events, days, until, lists, templates, campaigns),
        ServerOptions(not no_rate_limits, latency_ms, accepted, missing_revision),
        host=host,
        port=port,
        faults=plan,
        say=lambda line: click.echo(line),
    )
