"""The chart on an asset's page: what has just landed, and what was before it. Counts and names only, no person."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import dagster as dg

from klaviyo_pipeline import clock
from klaviyo_pipeline.charts.counting import Counted, chart_of
from klaviyo_pipeline.charts.sparklines import trends
from klaviyo_pipeline.errors import PipelineError
from klaviyo_pipeline.orchestration.resources import IMPATIENT, KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.redaction import redact
from klaviyo_pipeline.warehouse.errors import without_values
from klaviyo_pipeline.warehouse.sql import literal, quote

if TYPE_CHECKING:
    import duckdb

    from klaviyo_pipeline.charts.model import Chart
    from klaviyo_pipeline.klaviyo.catalogue.model import Source
    from klaviyo_pipeline.klaviyo.extract.model import ExtractRequest
    from klaviyo_pipeline.warehouse.interface import Warehouse


AskNames = Callable[[str], Mapping[str, str]]
"""From a data source to the names of its rows, by id."""

_SHORTEST = timedelta(days=1)
_PATIENCE_S = 10.0
"""A run does not wait longer than this for others that hold the database, just to draw."""


@dataclass(frozen=True)
class Plot:
    """What is plotted of a data source.

    Attributes:
        time: The column whose time decides where a row is on the chart.
        context: How far back a chart goes if there are rows, so that what has just landed can be compared.
        counted: From the quoted name of the table, and of the table of names if it is there, to what is counted.
        names: The data source that has the names of the series.
    """

    time: str
    context: timedelta
    counted: Callable[[str, str | None], Counted]
    names: str | None = None


def _events(events: str, metrics: str | None) -> Counted:
    named = f"LEFT JOIN {metrics} AS named ON named.id = metric_id" if metrics else ""
    name = "coalesce(named.name, metric_id)" if metrics else "metric_id"
    return Counted(
        "Events per {step} by metric",
        f"SELECT datetime AS instant, {name} AS series, 1 AS amount FROM {events} {named}",
    )


def _event_metrics(events: str, _names: str | None) -> Counted:
    query = f"SELECT event_datetime AS instant, name AS series, 1 AS amount FROM {events}"
    return Counted("Events per {step} by metric", query)


def _profiles(profiles: str, _names: str | None) -> Counted:
    query = f"SELECT created AS instant, '' AS series, 1 AS amount FROM {profiles}"
    return Counted("Profiles created per {step}", query)


def _campaigns(campaigns: str, _names: str | None) -> Counted:
    query = (
        f"SELECT send_time AS instant, channel AS series, 1 AS amount FROM {campaigns} "
        "WHERE lower(status) IN ('sent', 'sending', 'variations sent')"
    )
    return Counted("Campaigns sent per {step} by channel", query)


def _list_profiles(members: str, lists: str | None) -> Counted:
    named = f"LEFT JOIN {lists} AS named ON named.id = list_id" if lists else ""
    name = "coalesce(named.name, list_id)" if lists else "list_id"
    query = f"SELECT joined_group_at AS instant, {name} AS series, 1 AS amount FROM {members} {named}"
    return Counted("Members by list, as they joined", query, is_level=True)


PLOTS = {
    "events": Plot("datetime", timedelta(days=7), _events, names="metrics"),
    "event_metrics": Plot("event_datetime", timedelta(days=7), _event_metrics),
    "profiles": Plot("created", timedelta(days=60), _profiles),
    "campaigns": Plot("send_time", timedelta(days=180), _campaigns),
    "list_profiles": Plot("joined_group_at", timedelta(days=180), _list_profiles, names="lists"),
}
"""By data source. What has no time worth plotting (metrics, templates, lists) has no chart."""


def chart_of_load(
    database: Warehouse,
    request: ExtractRequest,
    schema: str,
    table: str,
    zone: ZoneInfo,
    ask: AskNames | None = None,
) -> Chart | None:
    """The chart of what a request has landed in a table; None where there is none to draw.

    ``ask`` is as for ``chart_of_source``.

    Raises:
        WarehouseError: if the database cannot be read.
    """
    window, plot = request.window, PLOTS.get(request.source.name)
    if plot is None:
        return None
    end = min(window.end or window.now, window.now + timedelta(days=1))
    loaded = None
    if window.start and request.time_field is not None and request.time_field.name == plot.time:
        loaded = (window.start, end)
    patient = database.waiting(_PATIENCE_S)
    return chart_of_source(patient, request.source, schema, table, zone, window.start, end, loaded=loaded, ask=ask)


def chart_of_source(
    database: Warehouse,
    source: Source,
    schema: str,
    table: str,
    zone: ZoneInfo,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    loaded: tuple[datetime, datetime] | None = None,
    ask: AskNames | None = None,
) -> Chart | None:
    """The chart of a data source's table from ``start`` (or the first row) to ``end`` (or now); None if it is empty.

    Args:
        database: The database.
        source: The data source.
        schema: The table's schema.
        table: The table.
        zone: The time zone in which days begin.
        start: The chart's beginning.
        end: The chart's end.
        loaded: What a run loaded, to be marked.
        ask: Gives the names of a data source's rows by id. It is asked where the names have not landed, as after a
            first load, and the series would have ids for names; without holding the database.

    Raises:
        KeyError: for a data source that has no chart.
        TableMissingError: if there is no such table.
        WarehouseError: if the database cannot be read.
    """
    from klaviyo_pipeline.warehouse.tables import existing_columns, full_name

    plot, end, asked = PLOTS[source.name], end or clock.now(), None
    while True:
        with database.reading() as con:
            names = full_name(con, schema, plot.names) if plot.names else None
            if plot.names and not existing_columns(con, schema, plot.names):
                names = asked
            if names is not None or asked is not None or not plot.names or ask is None:
                return _chart(con, source, (schema, table), names, zone, start, end, loaded)
        asked = _relation(ask(plot.names))


def _chart(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    place: tuple[str, str],
    names: str | None,
    zone: ZoneInfo,
    start: datetime | None,
    end: datetime,
    loaded: tuple[datetime, datetime] | None,
) -> Chart | None:
    """The chart of a table, with the names of its series as a relation in SQL; None if it is empty."""
    from klaviyo_pipeline.warehouse.errors import TableMissingError
    from klaviyo_pipeline.warehouse.tables import DELETED_AT, existing_columns, full_name

    plot, columns = PLOTS[source.name], existing_columns(con, *place)
    if not columns:
        raise TableMissingError(f"There is no table {'.'.join(place)} yet: materialize klaviyo/{source.name} first.")
    there = full_name(con, *place)
    if any(column.name == DELETED_AT for column in columns):
        there = f"(FROM {there} WHERE {DELETED_AT} IS NULL)"
    first = _first(con, there, plot.time)
    if first is None:
        return None
    start = max(first, min(start or first, end - plot.context))
    chart = chart_of(con, plot.counted(there, names), min(start, end - _SHORTEST), end, zone, loaded=loaded)
    return None if chart.is_empty else chart


def ask_names(klaviyo: KlaviyoResource, duckdb: KlaviyoDuckDBResource, source: str) -> dict[str, str]:
    """The names of a data source's rows at Klaviyo, by id; none if Klaviyo cannot or may not tell at once."""
    from klaviyo_pipeline.loads.metric_names import names_at_klaviyo

    try:
        return names_at_klaviyo(klaviyo.with_settings(**IMPATIENT).client(), duckdb.staging_area(), clock.now(), source)
    except PipelineError:
        return {}


def plotted(make: Callable[[], Chart | None], warn: Callable[[str], None]) -> dict[str, dg.MetadataValue[Any]]:
    """A chart as metadata; none if there is nothing to see, or if it fails: no load fails by it.

    ``trend`` is a table with a line of bars for each series, which Dagster shows unfolded; ``plot`` is an image.
    Dagster shows images in Markdown from data URIs (its sanitizer lets ``data:`` pass, its content security policy
    says nothing of images; looked up in dagster-webserver 1.13.27).
    """
    try:
        chart = make()
        if chart is None:
            return {}
        from klaviyo_pipeline.charts.drawing import draw

        encoded = base64.b64encode(draw(chart)).decode()
    except Exception as error:  # whatever it is, the rows have landed
        warn(f"The rows have landed, but their plot failed: {type(error).__name__}: {without_values(error)}")
        return {}
    return {"trend": _trend(chart), "plot": dg.MetadataValue.md(f"![{chart.title}](data:image/png;base64,{encoded})")}


def _trend(chart: Chart) -> dg.MetadataValue[Any]:
    first, last = (chart.bins[at].date().isoformat() for at in (0, -1))
    value = "now" if chart.is_level else "total"
    headers = (chart.title, f"{first} to {last}", value)
    records = [
        dg.TableRecord(dict(zip(headers, (redact(each.name), each.bars, f"{each.value:,.10g}"), strict=True)))
        for each in trends(chart)
    ]
    return dg.MetadataValue.table(records, dg.TableSchema([dg.TableColumn(name) for name in headers]))


def _relation(names: Mapping[str, str]) -> str:
    """Names by id as a relation in SQL."""
    rows = ", ".join(f"({literal(id_)}, {literal(name)})" for id_, name in names.items())
    return f"(FROM (VALUES {rows}) AS asked (id, name))" if rows else "(SELECT NULL AS id, NULL AS name WHERE false)"


def _first(con: duckdb.DuckDBPyConnection, table: str, time: str) -> datetime | None:
    # As microseconds: fetching TIMESTAMPTZ as a Python value would need pytz.
    found = con.execute(f"SELECT epoch_us(min({quote(time)})) FROM {table}").fetchall()[0][0]
    return None if found is None else datetime.fromtimestamp(found / 1e6, UTC)
