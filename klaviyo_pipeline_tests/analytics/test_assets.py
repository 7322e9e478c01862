"""The assets of analytics: what Dagster shows of them, what they ask Klaviyo, how they fail, and what starts them."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from PIL import Image

from klaviyo_pipeline.analytics.assets import GROUP, build_analytics_assets
from klaviyo_pipeline.analytics.tables import TABLES
from klaviyo_pipeline.orchestration.assets.build import build_assets
from klaviyo_pipeline.orchestration.partitions import daily_partitions
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.sandbox.options import SandboxOptions, ServerOptions
from klaviyo_pipeline.sandbox.server import running_sandbox
from klaviyo_pipeline_tests.orchestration.conftest import LAST_DAY, World, failure_text, world
from klaviyo_pipeline_tests.orchestration.test_commands import Shell

__all__ = ["world"]

ASSETS = tuple(build_analytics_assets())
DAILY = ASSETS[list(TABLES).index("daily_metrics")]


def metadata_of(result: dg.ExecuteInProcessResult, table: str) -> dict[str, Any]:
    """What a run says of a table."""
    (made,) = result.asset_materializations_for_node(f"{GROUP}__{table}")
    return {name: value.value for name, value in made.metadata.items()}


def test_assets_are_described_down_to_the_column_and_follow_their_sources() -> None:
    for asset, table in zip(ASSETS, TABLES.values(), strict=True):
        (spec,) = asset.specs
        assert spec.key.path == [GROUP, table.name]
        assert spec.group_name == GROUP
        assert {dep.asset_key.path[-1] for dep in spec.deps} == set(table.made_from)
        columns = spec.metadata["dagster/column_schema"].columns
        assert [column.name for column in columns] == [column.name for column in table.columns]
        assert all(column.description for column in columns)
        assert table.sql in spec.metadata["sql"].md_str


def test_page_of_a_table_has_rows_time_zone_and_a_plot(world: World) -> None:
    needed = ("events", "metrics", "campaigns", "profiles", "lists", "list_profiles")
    result = world.run(*needed, days=("2026-11-01", LAST_DAY), extra_assets=ASSETS)
    assert result.success

    for name in TABLES:
        metadata = metadata_of(result, name)
        assert metadata["dagster/row_count"] == world.sql(f"SELECT count(*) FROM klaviyo_analytics.{name}")[0][0] > 0
        assert metadata["dagster/table_name"] == f"klaviyo_analytics.{name}"
        assert (metadata["account_timezone"], metadata["account_currency"]) == ("Europe/Copenhagen", "EUR")
        png = base64.b64decode(metadata["plot"].partition("base64,")[2].rstrip(")"))
        assert len(Image.open(io.BytesIO(png)).convert("RGB").getcolors(1000) or []) > 5
    assert world.sandbox.counts()["endpoints"]["get_accounts"] == {"200": 1}
    assert world.sql("SELECT id, timezone, currency FROM klaviyo_analytics.account") == [
        ("NrdHvn", "Europe/Copenhagen", "EUR")
    ]


def test_key_without_the_scope_for_accounts_makes_days_of_the_storage_time_zone_and_says_so(tmp_path: Path) -> None:
    shop = SandboxOptions(seed=7, profiles=5, events=40, days=2, until="2026-11-20T12:00:00+00:00", lists=1)
    keys = {"pk_sandbox": frozenset({"events:read", "metrics:read"})}
    with running_sandbox(shop, ServerOptions(rate_limits=False, keys=keys)) as sandbox:
        world = World(sandbox, tmp_path / "warehouse.duckdb", timezone="Asia/Tokyo")
        result = world.run("events", "metrics", days=("2026-11-17", "2026-11-23"), extra_assets=(DAILY,))

        assert result.success
        assert metadata_of(result, "daily_metrics")["account_timezone"] == "Asia/Tokyo"
        days = "SELECT DISTINCT timezone('Asia/Tokyo', datetime)::DATE FROM klaviyo.events"
        assert set(world.column("SELECT day FROM klaviyo_analytics.daily_metrics")) == set(world.column(days))


def test_table_when_its_sources_were_never_loaded_fails_with_one_sentence(world: World) -> None:
    assert world.run("metrics").success

    assert failure_text(world.run(extra_assets=(DAILY,))) == (
        "daily_metrics is made from events and metrics in schema klaviyo, but events is not there yet: "
        "materialize klaviyo/events first."
    )


def test_table_is_made_without_asking_klaviyo_when_its_time_zone_was_asked_for_today(world: World) -> None:
    assert world.run("events", "metrics", days=LAST_DAY, extra_assets=(DAILY,)).success
    world.sandbox.reset_counts()

    assert world.run(extra_assets=(DAILY,), klaviyo={"api_key": "pk_wrong"}).success

    assert world.sandbox.counts()["total"] == 0


def test_condition_asks_for_a_table_when_a_day_of_its_sources_was_loaded_and_not_before() -> None:
    assets = [*build_assets(daily_partitions("2026-11-01", "UTC")), *ASSETS]
    resources = {"klaviyo": KlaviyoResource(), "duckdb": KlaviyoDuckDBResource()}
    defs = dg.Definitions(assets, resources=resources)
    instance = dg.DagsterInstance.ephemeral()
    wanted = dg.AssetSelection.groups(GROUP)
    first = dg.evaluate_automation_conditions(defs, instance, asset_selection=wanted)
    loaded = dg.AssetKey(["klaviyo", "events"])
    instance.report_runless_asset_event(dg.AssetMaterialization(loaded, partition="2026-11-05"))

    second = dg.evaluate_automation_conditions(defs, instance, asset_selection=wanted, cursor=first.cursor)
    third = dg.evaluate_automation_conditions(defs, instance, asset_selection=wanted, cursor=second.cursor)

    follow = {name for name, table in TABLES.items() if "events" in table.made_from}
    assert {name for name in TABLES if second.get_num_requested(dg.AssetKey([GROUP, name]))} == follow
    assert third.total_requested == 0


def test_days_of_events_and_what_is_made_from_them_are_one_command(world: World) -> None:
    shell = Shell(world, None)
    select = 'key:"klaviyo/events" or key:"klaviyo/metrics" or key:"klaviyo_analytics/daily_metrics"'

    done = shell.launch("--assets", select, "--partition-range", "2026-11-17...2026-11-18")

    assert done.returncode == 0, done.stderr
    events = world.sql("SELECT count(*) FROM klaviyo.events")
    assert world.sql("SELECT sum(events)::BIGINT FROM klaviyo_analytics.daily_metrics") == events


@pytest.mark.parametrize("name", TABLES)
def test_sql_says_what_it_is_for(name: str) -> None:
    assert TABLES[name].sql.startswith("-- ")
