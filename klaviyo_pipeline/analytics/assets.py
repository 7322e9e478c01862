"""The assets of analytics."""
# No `from __future__ import annotations` here: Dagster reads an asset's resources off its signature.

import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from klaviyo_pipeline.analytics.more_tables import tables_of
from klaviyo_pipeline.analytics.steps import sql_of
from klaviyo_pipeline.analytics.tables import AnalyticsTable
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.orchestration.account import DEFAULT, Naming
from klaviyo_pipeline.orchestration.assets.plots import plotted
from klaviyo_pipeline.orchestration.failures import plain_failures
from klaviyo_pipeline.orchestration.once_per_run import account_of_run
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.warehouse.tables import Column

GROUP = KEY_PREFIX = "klaviyo_analytics"

_FENCE = "\n\n```sql\n"


def following() -> dg.AutomationCondition[dg.AssetKey]:
    """Build a table after its sources have been loaded, and while none of them is being loaded.

    Plain ``eager()`` does not work, because it waits for days that were never loaded. Dagster's sensor for automation
    conditions is off until somebody starts it.
    """
    condition = dg.AutomationCondition.eager().without(~dg.AutomationCondition.any_deps_missing())
    return condition.with_label("follows what was loaded")


def build_analytics_assets(naming: Naming = DEFAULT) -> list[dg.AssetsDefinition]:
    """An asset for each analytics table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        return [_build_asset(table, naming) for table in tables_of(naming.chosen()).values()]


def _build_asset(table: AnalyticsTable, naming: Naming) -> dg.AssetsDefinition:
    # The catalog's list shows descriptions without rendering Markdown.
    description, fence, example = table.description.partition(_FENCE)
    description = description.replace("`", "")

    @dg.asset(
        key=naming.analytics_key(table.name),
        group_name=f"{naming.group}_analytics",
        kinds={"sql", "duckdb"},
        owners=list(naming.owners_or_default()),
        description=description,
        deps=[naming.asset_key(SOURCES[name]) for name in table.made_from],
        # Without it Dagster's command line refuses ranges of days of selections that these assets are part of.
        backfill_policy=dg.BackfillPolicy.single_run(),
        automation_condition=following(),
        metadata={
            "dagster/column_schema": column_schema(table.columns, table.key),
            **({"example": dg.MetadataValue.md(fence.strip() + "\n" + example)} if example else {}),
            "sql": dg.MetadataValue.md("\n".join(f"```sql\n{sql_of(name)}```" for name in table.files)),
        },
    )
    @naming.with_resources
    def made_by_sql(
        context: dg.AssetExecutionContext, klaviyo: KlaviyoResource, duckdb: KlaviyoDuckDBResource
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        return _make(context, table, klaviyo, duckdb)

    return made_by_sql


@plain_failures()
def _make(
    context: dg.AssetExecutionContext, table: AnalyticsTable, klaviyo: KlaviyoResource, duckdb: KlaviyoDuckDBResource
) -> "dg.MaterializeResult":  # type: ignore[type-arg]
    """Build a table.

    Raises:
        dagster.Failure: with one sentence that says what is missing or went wrong. The table is unchanged.
    """
    from klaviyo_pipeline.analytics.account import zone_of_account
    from klaviyo_pipeline.analytics.building import build

    ask = partial(account_of_run, context.run.run_id)
    zone, currency = zone_of_account(klaviyo, duckdb, context.log.warning, ask)
    built = build(duckdb.warehouse(), table, duckdb.schema_or_default, zone)
    context.log.info(
        f"{built.table_path}: {built.rows:,} rows, {built.days:,} days built in {built.duration_s:.1f} s; "
        f"the database was held for {max(built.holds):.1f} s at most."
    )
    if built.unreadable_values:
        context.log.warning(
            f"{built.unreadable_values:,} events have a $value that is not an amount, or has two meanings such as "
            "1,234. No sum of money includes them. The column unreadable_values counts them by day and metric."
        )
    metadata: dict[str, Any] = {
        "dagster/row_count": built.rows,
        **({} if built.unreadable_values is None else {"unreadable_values": built.unreadable_values}),
        "dagster/table_name": built.table_path,
        "build_seconds": round(built.duration_s, 3),
        "longest_hold_seconds": round(max(built.holds), 3),
        "days_made_anew": built.days,
        "account_timezone": zone.key,
        **({"account_currency": currency} if currency else {}),
    }
    return dg.MaterializeResult(metadata={**metadata, **_plot(context, table, duckdb, zone)})


def _plot(
    context: dg.AssetExecutionContext, table: AnalyticsTable, duckdb: KlaviyoDuckDBResource, zone: ZoneInfo
) -> dict[str, dg.MetadataValue[Any]]:
    from klaviyo_pipeline.analytics.charts import chart_of_table

    return plotted(
        lambda: chart_of_table(duckdb.warehouse(), table, duckdb.schema_or_default, zone), context.log.warning
    )


def column_schema(columns: Sequence[Column], key: Sequence[str]) -> dg.TableSchema:
    """Columns as Dagster shows them, and which of them tell rows apart."""
    single = len(key) == 1
    constraints = {name: dg.TableColumnConstraints(nullable=not single, unique=single) for name in key}
    return dg.TableSchema(
        [
            dg.TableColumn(column.name, column.type, column.comment, constraints=constraints.get(column.name))
            for column in columns
        ]
    )
