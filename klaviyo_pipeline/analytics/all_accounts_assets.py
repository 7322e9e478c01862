"""The assets of the views over all accounts, and the sensor that keeps their pages current."""
# No `from __future__ import annotations` here: Dagster reads the type of an asset's context off its signature.

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import dagster as dg

from klaviyo_pipeline import environment
from klaviyo_pipeline.accounts.parts import AccountParts
from klaviyo_pipeline.accounts.validation import ALL_ACCOUNTS
from klaviyo_pipeline.analytics.all_accounts import AllAccounts, chart_of_all, columns_of, unite
from klaviyo_pipeline.analytics.assets import column_schema, following
from klaviyo_pipeline.analytics.more_tables import tables_of
from klaviyo_pipeline.analytics.tables import AnalyticsTable
from klaviyo_pipeline.orchestration.assets.plots import plotted
from klaviyo_pipeline.orchestration.failures import plain_failures
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
from klaviyo_pipeline.warehouse.errors import TableMissingError
from klaviyo_pipeline.warehouse.interface import Warehouse

SENSOR = f"{ALL_ACCOUNTS}_automation_conditions_sensor"


def all_accounts_definitions(accounts: Sequence[AccountParts], *, running: bool) -> dg.Definitions:
    """An asset for each analytics table of the accounts; ``running`` says whether their sensor is on from the start."""
    tables: dict[str, tuple[AnalyticsTable, list[AccountParts]]] = {}
    for each in accounts:
        for name, table in tables_of(each.naming.chosen()).items():
            tables.setdefault(name, (table, []))[1].append(each)
    sensor = dg.AutomationConditionSensorDefinition(
        SENSOR,
        target=dg.AssetSelection.key_prefixes(ALL_ACCOUNTS),
        default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
        description="Updates the views over all accounts after the analytics tables of an account.",
    )
    return dg.Definitions(assets=[_build_asset(*each) for each in tables.values()], sensors=[sensor])


def _build_asset(table: AnalyticsTable, accounts: Sequence[AccountParts]) -> dg.AssetsDefinition:
    names = ", ".join(each.name for each in accounts)
    resources = {each.name: each.naming.resource_key("duckdb") for each in accounts}
    first_sentence = table.description.partition("\n")[0].replace("`", "")

    @dg.asset(
        key=[ALL_ACCOUNTS, table.name],
        group_name=ALL_ACCOUNTS,
        kinds={"sql", "duckdb", "view"},
        owners=environment.owners(),
        description=f"A view over {table.name} of the accounts {names}; the column account has their names.\n\n"
        f"{first_sentence}",
        deps=[each.naming.analytics_key(table.name) for each in accounts],
        required_resource_keys=set(resources.values()),
        automation_condition=following(),
        metadata={"dagster/column_schema": column_schema(columns_of(table), ("account", *table.key))},
    )
    def view(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        own = {name: getattr(context.resources, key) for name, key in resources.items()}
        return _unite(context, table, own)

    return view


@plain_failures()
def _unite(
    context: dg.AssetExecutionContext, table: AnalyticsTable, own: dict[str, KlaviyoDuckDBResource]
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Make the view anew.

    Raises:
        dagster.Failure: with one sentence that says what is missing or went wrong.
    """
    schemas: dict[str, dict[str, str]] = {}
    databases: dict[str, Warehouse] = {}
    for account, duckdb in own.items():
        database = duckdb.warehouse()
        databases[database.name] = database
        schemas.setdefault(database.name, {})[account] = duckdb.schema_or_default
    views = {name: unite(database, table, schemas[name]) for name, database in databases.items()}
    made = {name: view for name, view in views.items() if view is not None}
    if not made:
        raise TableMissingError(
            f"{table.name} has not been built for any account yet: materialize the assets that it depends on first."
        )
    for name, view in made.items():
        context.log.info(f"{view.table_path} in {name}: {sum(view.rows.values()):,} rows of {', '.join(view.rows)}.")
    largest = max(made, key=lambda name: len(made[name].rows))
    plot = plotted(
        lambda: chart_of_all(databases[largest], table, schemas[largest], KlaviyoDuckDBResource().zone),
        context.log.warning,
    )
    return dg.MaterializeResult(metadata={**_metadata(made, own), **plot})


def _metadata(made: Mapping[str, AllAccounts], accounts: Collection[str]) -> dict[str, Any]:
    rows = {account: (name, count) for name, view in made.items() for account, count in view.rows.items()}
    missing = [account for account in accounts if account not in rows]
    records = [
        dg.TableRecord({"account": account, "rows": count, "database": name}) for account, (name, count) in rows.items()
    ]
    columns = [dg.TableColumn("account"), dg.TableColumn("rows", "int"), dg.TableColumn("database")]
    return {
        "dagster/row_count": sum(count for _name, count in rows.values()),
        "dagster/table_name": ", ".join(dict.fromkeys(view.table_path for view in made.values())),
        "rows_by_account": dg.MetadataValue.table(records, dg.TableSchema(columns)),
        **({"not_built_yet": ", ".join(missing)} if missing else {}),
    }
