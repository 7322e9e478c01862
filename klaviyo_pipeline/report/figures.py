"""The charts of the report: the last 90 days of the analytics tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from klaviyo_pipeline.charts.counting import Counted, chart_of
from klaviyo_pipeline.charts.model import Chart, Series, Step
from klaviyo_pipeline.report.model import Figure, Mark
from klaviyo_pipeline.warehouse.tables import existing_columns, full_name

if TYPE_CHECKING:
    import duckdb

DAYS = 90
_MESSAGES = ("received", "bounced", "unsubscribed", "marked_as_spam")


@dataclass(frozen=True)
class _Plan:
    """A chart of one table; ``{table}`` in the query stands for it."""

    name: str
    title: str
    table: str
    query: str
    is_money: bool = False
    is_level: bool = False


_PLANS = (
    _Plan(
        "events",
        "Events per day by metric",
        "daily_metrics",
        "SELECT day, metric_name AS series, events AS amount FROM {table}",
    ),
    _Plan(
        "campaign-revenue",
        "Net revenue per day by campaign",
        "campaign_performance",
        "SELECT event_day AS day, campaign_name AS series, net_revenue AS amount FROM {table} WHERE net_revenue <> 0",
        is_money=True,
    ),
    _Plan(
        "flow-revenue",
        "Net revenue per day by flow",
        "flow_performance",
        "SELECT event_day AS day, coalesce(flow_name, flow_id) AS series, net_revenue AS amount FROM {table} "
        "WHERE net_revenue <> 0",
        is_money=True,
    ),
    _Plan(
        "list-growth",
        "Members by list",
        "list_growth",
        "SELECT day, list_name AS series, net AS amount FROM {table}",
        is_level=True,
    ),
)


def figures(
    con: duckdb.DuckDBPyConnection, schema: str, end: datetime, zone: ZoneInfo, currency: str
) -> Iterator[Figure]:
    """The charts of the analytics tables in a schema, over the days before ``end`` (aware) in their time zone."""
    start = end - timedelta(days=DAYS - 1)
    for plan in _PLANS:
        unit, mark = currency if plan.is_money else "", Mark.LINE if plan.is_level else Mark.BAR
        figure = Figure(plan.name, plan.title, unit=unit, mark=mark)
        if not existing_columns(con, schema, plan.table):
            yield replace(figure, missing=_not_built(plan.table))
            continue
        query = plan.query.format(table=full_name(con, schema, plan.table))
        counted = Counted(plan.title, query, is_level=plan.is_level, by_day=True)
        yield _filled(figure, chart_of(con, counted, start, end, zone, step=Step.DAY))
    yield _deliverability(con, schema, start, end, zone)


def _deliverability(
    con: duckdb.DuckDBPyConnection, schema: str, start: datetime, end: datetime, zone: ZoneInfo
) -> Figure:
    """Weekly shares of messages that bounced, led to an unsubscription, or were marked as spam, in percent."""
    figure = Figure("deliverability", "Deliverability per week", unit="%", mark=Mark.LINE)
    there = [name for name in ("campaign_performance", "flow_performance") if existing_columns(con, schema, name)]
    if not there:
        return replace(figure, missing=_not_built("campaign_performance"))
    of_all = " UNION ALL BY NAME ".join(
        f"SELECT event_day AS day, {', '.join(_MESSAGES)} FROM {full_name(con, schema, name)}" for name in there
    )
    query = (
        f"SELECT day, unnest([{', '.join(repr(name) for name in _MESSAGES)}]) AS series, "
        f"unnest([{', '.join(f'coalesce({name}, 0)' for name in _MESSAGES)}]) AS amount FROM ({of_all})"
    )
    counted = chart_of(con, Counted(figure.title, query, by_day=True), start, end, zone, step=Step.WEEK)
    sums = {series.name: series.values for series in counted.series}
    if not sums:
        return _filled(figure, counted)
    sent = [got + lost for got, lost in zip(sums["received"], sums["bounced"], strict=True)]
    shares = tuple(
        Series(name.replace("_", " "), tuple(_percent(part, whole) for part, whole in zip(sums[name], of, strict=True)))
        for name, of in (("bounced", sent), ("unsubscribed", sums["received"]), ("marked_as_spam", sums["received"]))
    )
    return _filled(figure, replace(counted, series=shares))


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 3) if whole else 0.0


def _filled(figure: Figure, chart: Chart) -> Figure:
    if chart.is_empty:
        return replace(figure, missing=f"The last {DAYS} days have nothing to show here.")
    return replace(figure, chart=chart)


def _not_built(table: str) -> str:
    return f"The table {table} has not been built yet. Materialize klaviyo_analytics/{table}."
