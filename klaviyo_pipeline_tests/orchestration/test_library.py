"""Accounts as guests in a Dagster project of others, with its own resources, executor, assets and automation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd
import pytest
from dagster_duckdb import DuckDBResource

import klaviyo_pipeline
from klaviyo_pipeline import KlaviyoTranslator, build_definitions
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.orchestration.names import names_in
from klaviyo_pipeline.sandbox.admin import truth
from klaviyo_pipeline.sandbox.options import SandboxOptions
from klaviyo_pipeline.sandbox.server import RunningSandbox, running_sandbox
from klaviyo_pipeline_tests.orchestration.conftest import FIRST_DAY, LAST_DAY, UNTIL

BRANDS = {"brand_us": 3, "brand_uk": 4}
SOURCES = ("metrics", "events", "event_metrics", "lists", "list_profiles")
DAYS = {"dagster/asset_partition_range_start": FIRST_DAY, "dagster/asset_partition_range_end": LAST_DAY}


@dataclass
class Brands:
    """A project that was there before, with two accounts in it."""

    definitions: dg.Definitions
    shops: dict[str, RunningSandbox]
    file: Path
    other_file: Path

    def run(self, *keys: Sequence[str], job: str = "", tags: Mapping[str, str] | None = None) -> list[dg.AssetKey]:
        """Materialize assets in one run; the keys that were materialized."""
        found = (
            self.definitions.resolve_job_def(job) if job else self.definitions.resolve_implicit_global_asset_job_def()
        )
        done = found.execute_in_process(asset_selection=[dg.AssetKey(list(key)) for key in keys] or None, tags=tags)
        assert done.success
        return sorted(event.asset_key for event in done.get_asset_materialization_events() if event.asset_key)

    def ids(self, table: str) -> list[str]:
        with duckdb.connect(str(self.file), read_only=True) as con:
            return [row[0] for row in con.execute(f"SELECT id FROM {table} ORDER BY id").fetchall()]


def _others(file: Path) -> dg.Definitions:
    """The project that was there before."""

    @dg.asset
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"order_id": [1, 2, 3]})

    @dg.asset(ins={"lists": dg.AssetIn(["brand_us", "lists"])})
    def counted(orders: pd.DataFrame, lists: pd.DataFrame, duckdb: DuckDBResource) -> int:
        with duckdb.get_connection() as con:
            con.execute("CREATE TABLE counted AS SELECT ? AS orders, ? AS lists", [len(orders), len(lists)])
        return len(lists)

    nightly = dg.define_asset_job("nightly", selection=["orders"])

    @dg.sensor(job=nightly, name="automation_conditions")
    def watching() -> dg.SkipReason:
        return dg.SkipReason("Nothing to do.")

    return dg.Definitions(
        assets=[orders, counted],
        jobs=[nightly],
        schedules=[dg.ScheduleDefinition(job=nightly, cron_schedule="0 3 * * *")],
        sensors=[watching],
        resources={"duckdb": DuckDBResource(database=str(file)), "io_manager": dg.mem_io_manager},
        executor=dg.multiprocess_executor.configured({"max_concurrent": 2}),
        loggers={"console": dg.colored_console_logger},
    )


@pytest.fixture(scope="module")
def brands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brands]:
    folder = tmp_path_factory.mktemp("brands")
    with pytest.MonkeyPatch.context() as patch:
        shops = {
            name: SandboxOptions(seed=seed, profiles=40, events=200, days=6, until=UNTIL, lists=seed)
            for name, seed in BRANDS.items()
        }
        with running_sandbox(shops["brand_us"]) as us, running_sandbox(shops["brand_uk"]) as uk:
            patch.setenv("BRAND_US_KEY", us.api_key)
            patch.setenv("BRAND_UK_KEY", uk.api_key)
            patch.delenv("KLAVIYO_API_KEY", raising=False)
            running = {"brand_us": us, "brand_uk": uk}
            accounts = [
                build_definitions(
                    account=name,
                    api_key=dg.EnvVar(f"{name.upper()}_KEY"),
                    base_url=shop.url,
                    database=str(folder / "klaviyo.duckdb"),
                    timezone="UTC",
                    first_day="2026-11-01",
                    sources=SOURCES,
                    owners=["team:growth"],
                )
                for name, shop in running.items()
            ]
            merged = dg.Definitions.merge(_others(folder / "others.duckdb"), *accounts)
            dg.Definitions.validate_loadable(merged)
            yield Brands(merged, running, folder / "klaviyo.duckdb", folder / "others.duckdb")


def test_accounts_when_merged_into_a_project_then_its_names_and_resources_stay_its_own(brands: Brands) -> None:
    repository = brands.definitions.get_repository_def()

    resources = repository.get_top_level_resources()
    assert repository.get_job("nightly").executor_def.name == "multiprocess"
    assert {"duckdb", "io_manager"} <= set(brands.definitions.resources or {})
    assert "brand_us_io_manager" in resources
    assert repository.has_sensor_def("automation_conditions")
    for name in BRANDS:
        assert repository.has_job(f"{name}_hourly")
        assert repository.has_schedule_def(f"{name}_daily_schedule")
        assert repository.has_sensor_def(f"{name}_new_metrics_sensor")


def test_account_when_built_then_every_name_begins_with_it() -> None:
    names = names_in(build_definitions(account="brand_us", key_prefix=["shops", "us"], sources=["all"]))

    ops = {name for name in names if name.startswith("shops__us")}
    assert ops
    assert not {name for name in names if not name.startswith(("brand_us", "shops__us", "shops_us"))}, names


def test_two_accounts_when_run_with_assets_of_others_then_each_has_the_rows_of_its_shop(brands: Brands) -> None:
    keys = [(brand, source) for brand in BRANDS for source in SOURCES]

    done = brands.run(*keys, ("orders",), ("counted",), tags=DAYS)

    assert set(done) == {dg.AssetKey(list(key)) for key in [*keys, ("orders",), ("counted",)]}
    for name, shop in brands.shops.items():
        for table, window in {
            "lists": (),
            "metrics": (),
            "events": (f"{FIRST_DAY}T00:00Z", "2026-11-21T00:00Z"),
        }.items():
            assert brands.ids(f"{name}.{table}") == sorted(row["id"] for row in truth(shop.store, table, *window)), (
                table
            )
    with duckdb.connect(str(brands.other_file), read_only=True) as con:
        assert con.execute("FROM counted").fetchall() == [(3, BRANDS["brand_us"])]


def test_account_when_its_own_jobs_run_then_checks_reconciliation_and_analytics_pass(brands: Brands) -> None:
    brands.run(*(("brand_uk", source) for source in SOURCES), tags=DAYS)
    for job in ("brand_uk_checks", "brand_uk_reconciliation"):
        done = brands.definitions.resolve_job_def(job).execute_in_process()
        failed = [each for each in done.get_asset_check_evaluations() if not each.passed]
        assert done.get_asset_check_evaluations()
        assert not [each for each in failed if each.check_name in {"counts_agree_with_klaviyo", "references_exist"}]

    done = brands.run(("brand_uk_analytics", "daily_metrics"))

    assert done == [dg.AssetKey(["brand_uk_analytics", "daily_metrics"])]
    with duckdb.connect(str(brands.file), read_only=True) as con:
        assert con.execute("SELECT count(*) > 0 FROM brand_uk_analytics.daily_metrics").fetchone() == (True,)


def test_translator_when_given_then_it_decides_keys_groups_descriptions_tags_and_owners() -> None:
    class Ours(KlaviyoTranslator):
        def get_asset_key(self, source: Source, key: dg.AssetKey) -> dg.AssetKey:
            return dg.AssetKey(["raw", *key.path[:-1], f"kl_{source.name}"])

        def get_group_name(self, source: Source, group: str) -> str:
            return "people" if "profile" in source.name else group

        def get_description(self, source: Source, description: str) -> str:
            return f"Ours. {description}"

        def get_tags(self, source: Source, tags: Mapping[str, str]) -> Mapping[str, str]:
            return {**tags, "tier": "bronze"}

        def get_owners(self, source: Source, owners: Sequence[str]) -> Sequence[str]:
            return ["team:crm"]

    definitions = build_definitions(account="shop", sources=["core"], translator=Ours())
    dg.Definitions.validate_loadable(definitions)
    specs = {spec.key: spec for spec in definitions.resolve_all_asset_specs()}

    found = specs[dg.AssetKey(["raw", "shop", "kl_profiles"])]
    assert (found.group_name, list(found.owners), found.tags["tier"]) == ("people", ["team:crm"], "bronze")
    assert (found.description or "").startswith("Ours. ")
    assert found.metadata["table"] == "profiles"
    events = dg.AssetKey(["raw", "shop", "kl_events"])
    assert events in {each.asset_key for each in specs[dg.AssetKey(["shop_analytics", "daily_metrics"])].deps}


def test_executor_when_asked_for_then_definitions_have_one() -> None:
    assert build_definitions(sources=["lists"], executor=True).executor is dg.in_process_executor
    assert build_definitions(sources=["lists"]).executor is None


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"account": "brand-us"}, "account"),
        ({"resource_keys": {"warehouse": "x"}}, "warehouse"),
        ({"resource_keys": {"duckdb": "same", "io_manager": "same"}}, "several resources"),
        ({"resource_keys": {"duckdb": "not a name"}}, "duckdb"),
        ({"sources": ["evnts"]}, "evnts"),
        ({"owners": ["nobody"]}, "owners"),
        ({"first_day": "yesterday"}, "first_day"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"key_prefix": ["raw", ""]}, "key_prefix"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_argument_when_wrong_then_the_error_names_it(given: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        build_definitions(**given)  # type: ignore[arg-type]


def test_names_at_the_top_of_the_package_are_those_of_the_library() -> None:
    assert {name for name in klaviyo_pipeline.__all__ if not name.startswith("__")} == {
        "KlaviyoComponent",
        "KlaviyoTranslator",
        "build_definitions",
    }
    with pytest.raises(AttributeError, match="no attribute 'build_definition'"):
        klaviyo_pipeline.build_definition  # noqa: B018 - looked up for its error
