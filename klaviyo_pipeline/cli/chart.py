"""`chart`: writes the chart of an asset's page to a file."""

from __future__ import annotations

from functools import partial

import click

from klaviyo_pipeline.cli.account import of_account
from klaviyo_pipeline.cli.output import as_json, print_json


@click.command()
@click.argument("name")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="The PNG file.  [default: artifacts/NAME.png]")
@of_account
@as_json
def chart(name: str, output: str | None, account: str | None, json_: bool) -> None:
    """Draw the chart of the asset's page from the landed rows.

    NAME is a data source (events, event_metrics, profiles, campaigns, list_profiles) or a table of analytics
    (daily_metrics, campaign_performance, list_growth, profile_activity, flow_performance, consent_overview,
    campaign_comparison, list_sizes, segment_sizes, suppression_overview). --json prints the values instead. The command
    asks Klaviyo for the names of metrics and lists that have not landed. Without a usable key the chart has ids.
    """
    from klaviyo_pipeline.accounts.parts import account_parts
    from klaviyo_pipeline.analytics.account import zone_of_tables
    from klaviyo_pipeline.analytics.charts import chart_of_table
    from klaviyo_pipeline.analytics.more_tables import ALL
    from klaviyo_pipeline.charts.drawing import draw
    from klaviyo_pipeline.cli.failing import Failed, WrongInput
    from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
    from klaviyo_pipeline.orchestration.assets.plots import PLOTS, ask_names, chart_of_source
    from klaviyo_pipeline.paths import file_path
    from klaviyo_pipeline.private_files import write_over

    if name not in {*PLOTS, *ALL}:
        raise WrongInput(f"{name!r} has no chart. Charts exist for: {', '.join([*PLOTS, *ALL])}.")
    of = account_parts(account)
    duckdb = of.duckdb
    database, schema = duckdb.warehouse(), duckdb.schema_or_default
    if name in ALL:
        drawn = chart_of_table(database, ALL[name], schema, zone_of_tables(duckdb))
    else:
        drawn = chart_of_source(
            database, SOURCES[name], schema, name, duckdb.zone, ask=partial(ask_names, of.klaviyo, duckdb)
        )
    if drawn is None:
        raise Failed(f"{name} has no rows to draw.")
    if json_:
        print_json(
            {
                "title": drawn.title,
                "timezone": drawn.timezone,
                "begins": drawn.bins,
                "series": {each.name: each.values for each in drawn.series},
            }
        )
        return
    file = file_path(output or f"artifacts/{name}.png", "--output")
    write_over(file, draw(drawn), lambda begin: begin.startswith(b"\x89PNG\r\n"))
    click.echo(f"{drawn.title}: {file}")
