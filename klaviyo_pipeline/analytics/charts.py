"""Charts of the analytics tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from klaviyo_pipeline import clock
from klaviyo_pipeline.analytics.building import analytics_schema
from klaviyo_pipeline.analytics.tables import AnalyticsTable
from klaviyo_pipeline.charts.counting import Counted, chart_of
from klaviyo_pipeline.charts.model import Step, step_for
from klaviyo_pipeline.times import start_of
from klaviyo_pipeline.warehouse.errors import TableMissingError
from klaviyo_pipeline.warehouse.tables import existing_columns, full_name

if TYPE_CHECKING:
    import duckdb

    from klaviyo_pipeline.charts.model import Chart
    from klaviyo_pipeline.warehouse.interface import Warehouse


def chart_of_table(database: Warehouse, table: AnalyticsTable, schema: str, zone: ZoneInfo) -> Chart | None:
    """The chart of an analytics table, over all its days up to today; None if it is empty.

    Args:
        database: The database.
        table: The table.
        schema: The schema of the loaded tables.
        zone: The account's time zone, in which the table's days are.

    Raises:
        TableMissingError: if it has not been built.
        WarehouseError: if the database cannot be read.
    """
    kept_in = analytics_schema(schema)
    with database.reading() as con:
        if not existing_columns(con, kept_in, table.name):
            raise TableMissingError(
                f"There is no table {kept_in}.{table.name} yet: materialize klaviyo_analytics/{table.name} first."
            )
        made = full_name(con, kept_in, table.name)
        return chart_up_to_now(con, replace(table.chart, query=table.chart.query.format(table=made)), zone)


def chart_up_to_now(con: duckdb.DuckDBPyConnection, counted: Counted, zone: ZoneInfo) -> Chart | None:
    """The chart of rows from the first one to today; None if it is empty."""
    end = clock.now()
    first = _first(con, counted, end, zone)
    if first is None:
        return None
    start = min(first, end - timedelta(days=7))
    step = step_for(start, end)
    chart = chart_of(con, counted, start, end, zone, step=Step.DAY if step is Step.HOUR else step)
    return None if chart.is_empty else chart


def _first(con: duckdb.DuckDBPyConnection, counted: Counted, end: datetime, zone: ZoneInfo) -> datetime | None:
    """When the first day or instant on a chart begins, in UTC."""
    if counted.by_day:
        query, until = f"SELECT min(day) FROM ({counted.query}) WHERE day <= ?", end.astimezone(zone).date()
    else:
        # As microseconds: fetching TIMESTAMPTZ as a Python value would need pytz.
        query, until = f"SELECT epoch_us(min(instant)) FROM ({counted.query}) WHERE instant < ?", end
    found = con.execute(query, [until]).fetchall()[0][0]
    if isinstance(found, date):
        return start_of(found, zone)
    return None if found is None else datetime.fromtimestamp(found / 1e6, UTC)
