"""`reconcile`: compares our counts with Klaviyo's own, and reads differences again."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from klaviyo_pipeline.cli.account import of_account
from klaviyo_pipeline.cli.output import as_json, print_json, print_table

if TYPE_CHECKING:
    from klaviyo_pipeline.loads.reconciliation import MemberDifference, Reconciliation

_DAY = click.DateTime(["%Y-%m-%d"])
_QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}


@click.command()
@click.option("--from", "first", type=_DAY, metavar="DAY", help="First day of events; by default 90 days ago.")
@click.option("--to", "last", type=_DAY, metavar="DAY", help="Last day of events; by default today.")
@click.option("--members", is_flag=True, help="Compare members of lists instead of events (fifteen lists a minute).")
@click.option("--repair", is_flag=True, help="Read the days or lists that differ again.")
@click.option("--accept-shrink", is_flag=True, help="With --repair: clear or mark any number of rows.")
@of_account
@as_json
def reconcile(
    first: datetime | None,
    last: datetime | None,
    members: bool,
    repair: bool,
    accept_shrink: bool,
    account: str | None,
    json_: bool,
) -> None:
    """Compare the tables with Klaviyo's own counts: events per metric and day, or members per list.

    Exit code 1 if counts differ (with --repair: still differ).
    """
    from klaviyo_pipeline.accounts.parts import account_parts
    from klaviyo_pipeline.loads import reconciliation
    from klaviyo_pipeline.loads.destination import Destination
    from klaviyo_pipeline.orchestration.automation.repair import repair_events, repair_members

    of = account_parts(account)
    duckdb = of.duckdb
    client, area = of.klaviyo.client(), duckdb.staging_area()
    consent: dict[str, Any] = {"run_config": _QUIET, "accept_shrink": accept_shrink, "naming": of.naming}
    if members:
        place = duckdb.place(Destination(), "list_profiles")
        lists = reconciliation.reconcile_members(client, place, area)
        if lists and repair:
            _reread(lambda job, instance: [repair_members(job, lists, instance=instance, **consent)])
            lists = reconciliation.reconcile_members(client, place, area, [each.list_id for each in lists])
        _show_lists(lists, json_)
        sys.exit(1 if lists else 0)
    chosen = of.naming.choices.chosen("metrics")
    days = (first.date() if first else None, last.date() if last else None)
    place = duckdb.place(Destination(), "events")
    found = reconciliation.reconcile_events(client, place, area, *days, chosen=chosen)
    if found.differences and repair:
        also = reconciliation.following_events(place)
        _reread(lambda job, instance: repair_events(job, found, instance=instance, also=also, **consent))
        found = reconciliation.reconcile_events(client, place, area, *days, chosen=chosen)
    _show_events(found, json_)
    sys.exit(1 if found.differences else 0)


def _reread(read: Any) -> None:  # noqa: ANN401 - a function of a job and an instance
    from klaviyo_pipeline.cli.failing import Failed
    from klaviyo_pipeline.definitions import defs
    from klaviyo_pipeline.orchestration import dagster_home

    with dagster_home.instance() as instance:
        results = read(defs.resolve_implicit_global_asset_job_def(), instance)
    if not all(result.success for result in results):
        raise Failed("The repair failed, and its rows did not land. The messages above say why.")


def _show_events(found: Reconciliation, json_: bool) -> None:
    if json_:
        print_json(asdict(found))
        return
    if not found.days:
        click.echo("No day of events has landed yet. Load events first.")
        return
    if found.differences:
        headers = ["day", "metric", "metric id", "here", "at Klaviyo"]
        rows = [[each.day, each.metric_name, each.metric_id, each.ours, each.klaviyos] for each in found.differences]
        print_table(headers, rows)
    for name, why in found.not_counted.items():
        click.echo(f"Not compared: {name}: {why}", err=True)
    click.echo(
        f"{found.events:,} events of {found.metrics} metrics on {len(found.days)} days "
        f"({found.days[0]} to {found.days[-1]}): "
        + (f"{len(found.differences)} counts differ." if found.differences else "as many as Klaviyo counts.")
    )


def _show_lists(lists: tuple[MemberDifference, ...], json_: bool) -> None:
    if json_:
        print_json([asdict(each) for each in lists])
        return
    if lists:
        print_table(["list", "here", "at Klaviyo"], [[each.list_id, each.ours, each.klaviyos] for each in lists])
    else:
        click.echo("Every list has as many members here as Klaviyo counts.")
