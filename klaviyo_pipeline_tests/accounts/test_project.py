"""Several accounts in one project and one database, from one file."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import dagster as dg
import duckdb
import pytest

from klaviyo_pipeline import clock, environment
from klaviyo_pipeline.accounts.file import BrokenAccount, read_accounts
from klaviyo_pipeline.accounts.parts import account_parts, project_accounts
from klaviyo_pipeline.alerts.problems import problems
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.model import SMALL
from klaviyo_pipeline.klaviyo.catalogue.registry import CORE, SOURCES
from klaviyo_pipeline.klaviyo.catalogue.revisions import DEFAULT_REVISION
from klaviyo_pipeline.klaviyo.client.rate_limits import limits_of_account
from klaviyo_pipeline.orchestration.names import names_in
from klaviyo_pipeline.report.gather import check_keys
from klaviyo_pipeline.report.gather import gather as gather_report
from klaviyo_pipeline.sandbox.admin import truth
from klaviyo_pipeline.status.gather import gather
from klaviyo_pipeline.status.scope import scope_of_project
from klaviyo_pipeline.transfers.folder import Folder
from klaviyo_pipeline_tests.accounts.brands import DAYS, Brands, brands_in, fetched
from klaviyo_pipeline_tests.orchestration.conftest import FIRST_DAY
from klaviyo_pipeline_tests.warehouse.processes import OUTSIDER, holding

TABLES = {"lists": (), "templates": (), "metrics": (), "events": (f"{FIRST_DAY}T00:00Z", "2026-11-21T00:00Z")}


@pytest.fixture(scope="module")
def brands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brands]:
    with brands_in(tmp_path_factory.mktemp("brands")) as made:
        yield made


@pytest.fixture
def loaded(brands: Brands) -> dg.Definitions:
    """The project of two accounts, whose core data sources have landed."""
    brands.name(dict.fromkeys(("us", "uk"), ", sources: [core]"))
    definitions = brands.definitions
    if not brands.database.exists():
        keys = [f"{name}/{source}" for name in ("us", "uk") for source in CORE]
        brands.run(definitions, keys, tags=DAYS)
    return definitions


def ids(brands: Brands, account: str, table: str) -> list[str]:
    return [row[0] for row in brands.sql(f"SELECT id FROM {account}.{table} ORDER BY id")]


def planted(brands: Brands, account: str, table: str) -> list[str]:
    return sorted(row["id"] for row in truth(brands.shops[account].store, table, *TABLES[table]))


def test_two_accounts_when_loaded_then_each_schema_has_the_rows_of_its_shop(
    brands: Brands, loaded: dg.Definitions
) -> None:
    for account in ("us", "uk"):
        for table in TABLES:
            assert ids(brands, account, table) == planted(brands, account, table), (account, table)


@pytest.mark.parametrize("account", ["us", "uk"])
def test_account_when_its_jobs_run_then_checks_reconciliation_and_analytics_are_about_it(
    brands: Brands, loaded: dg.Definitions, account: str
) -> None:
    for job in (f"{account}_checks", f"{account}_reconciliation"):
        evaluated = brands.run(loaded, job=job).get_asset_check_evaluations()
        assert {each.asset_key.path[0] for each in evaluated} == {account}
        assert not [each for each in evaluated if not each.passed and each.check_name == "counts_agree_with_klaviyo"]

    done = brands.run(loaded, [f"{account}_analytics/daily_metrics", f"{account}_analytics/list_growth"])

    assert all("plot" in event.materialization.metadata for event in done.get_asset_materialization_events())
    (counted,) = brands.sql(f"SELECT sum(events) FROM {account}_analytics.daily_metrics")
    assert counted == (len(planted(brands, account, "events")),)


def test_views_over_all_accounts_when_built_then_they_follow_the_tables_of_each_without_a_run(
    brands: Brands, loaded: dg.Definitions
) -> None:
    tables = [f"{account}_analytics/{table}" for account in ("us", "uk") for table in ("daily_metrics", "list_growth")]
    brands.run(loaded, tables)

    done = brands.run(loaded, ["all_accounts/daily_metrics", "all_accounts/list_growth"])

    for table in ("daily_metrics", "list_growth"):
        own = [(name, brands.sql(f"SELECT count(*) FROM {name}_analytics.{table}")[0][0]) for name in ("uk", "us")]
        assert all(rows for _name, rows in own)
        assert brands.sql(f"SELECT account, count(*) FROM all_accounts.{table} GROUP BY ALL ORDER BY ALL") == own
        (made,) = done.asset_materializations_for_node(f"all_accounts__{table}")
        assert made.metadata["dagster/row_count"].value == sum(rows for _name, rows in own)
        assert "plot" in made.metadata
    assert brands.sql("SELECT DISTINCT account, currency FROM all_accounts.daily_metrics ORDER BY ALL") == [
        ("uk", "EUR"),
        ("us", "EUR"),
    ]
    with duckdb.connect(str(brands.database)) as con:
        con.execute("DELETE FROM uk_analytics.list_growth")
    assert brands.sql("SELECT DISTINCT account FROM all_accounts.list_growth") == [("us",)]


def test_view_over_all_accounts_when_no_account_has_the_table_then_it_fails_and_with_one_it_says_which_are_missing(
    brands: Brands, loaded: dg.Definitions
) -> None:
    with pytest.raises(dg.Failure, match="campaign_performance has not been built for any account yet"):
        brands.run(loaded, ["all_accounts/campaign_performance"])
    brands.run(loaded, ["us_analytics/campaign_performance"])

    done = brands.run(loaded, ["all_accounts/campaign_performance"])

    (made,) = done.asset_materializations_for_node("all_accounts__campaign_performance")
    assert made.metadata["not_built_yet"].value == "uk"
    assert [each.data["account"] for each in made.metadata["rows_by_account"].records] == ["us"]


def test_accounts_when_they_share_a_group_then_each_sensor_watches_the_tables_of_its_own(brands: Brands) -> None:
    brands.name({"us": ", group: brands", "uk": ", group: brands"})
    repository = brands.definitions.get_repository_def()
    sensors = [f"{name}_automation_conditions_sensor" for name in ("us", "uk", "all_accounts")]

    selections = [repository.get_sensor_def(name).asset_selection for name in sensors]
    watched = [each.resolve(repository.asset_graph) for each in selections if each]

    assert [{key.path[0].removesuffix("_analytics") for key in keys} for keys in watched] == [
        {"us"},
        {"uk"},
        {"all_accounts"},
    ]
    # Dagster makes it for assets that no other sensor watches.
    assert not repository.has_sensor_def("default_automation_condition_sensor")


def test_third_account_when_added_to_the_file_then_a_reload_has_it_and_the_others_stay(
    brands: Brands, loaded: dg.Definitions
) -> None:
    before = {account: ids(brands, account, "lists") for account in ("us", "uk")}
    brands.name({"us": "", "uk": "", "fr": ", schema: brand_fr, key_prefix: brands/fr, sources: [lists]"})

    brands.run(brands.definitions, ["brands/fr/lists"])

    assert ids(brands, "brand_fr", "lists") == planted(brands, "fr", "lists")
    assert {account: ids(brands, account, "lists") for account in before} == before


def test_second_runs_when_one_shop_has_news_then_only_these_are_fetched_and_the_other_schema_is_as_it_was(
    brands: Brands, loaded: dg.Definitions
) -> None:
    store = brands.shops["us"].store
    list_id, profile = truth(store, "lists")[0]["id"], "PNEWS"
    store.put("profiles", [{"id": profile}])
    store.add_members(list_id, {profile: clock.now().isoformat()})
    before = brands.sql("SELECT * EXCLUDE (_loaded_at, _run_id) FROM uk.list_profiles ORDER BY ALL")
    keys = [f"{account}/list_profiles" for account in ("us", "uk")]
    config = {key.replace("/", "__"): {"config": {"incremental": True}} for key in keys}

    done = fetched(brands.run(loaded, keys, config=config))

    assert done == {"us/list_profiles": 1, "uk/list_profiles": 0}
    assert brands.sql(f"SELECT count(*) FROM us.list_profiles WHERE profile_id = '{profile}'") == [(1,)]
    assert brands.sql("SELECT * EXCLUDE (_loaded_at, _run_id) FROM uk.list_profiles ORDER BY ALL") == before


def test_sweep_when_a_row_is_gone_from_one_shop_then_the_same_id_of_the_other_account_stays(
    brands: Brands, loaded: dg.Definitions
) -> None:
    now = clock.now().isoformat()
    for account in ("us", "uk"):
        brands.shops[account].store.put("templates", [{"id": "TBOTH", "created": now, "updated": now}])
    keys = ["us/templates", "uk/templates"]
    brands.run(loaded, keys)
    brands.shops["us"].store.delete("templates", "TBOTH")

    whole = {"config": {"incremental": False}}
    brands.run(loaded, keys, config={key.replace("/", "__"): whole for key in keys})

    gone = "SELECT _deleted_at IS NOT NULL FROM {}.templates WHERE id = 'TBOTH'"
    assert [brands.sql(gone.format(account)) for account in ("us", "uk")] == [[(True,)], [(False,)]]


def test_report_when_there_are_several_accounts_then_it_has_the_charts_and_checks_of_each(
    brands: Brands, loaded: dg.Definitions
) -> None:
    for account in ("us", "uk"):
        brands.run(loaded, [f"{account}_analytics/daily_metrics"])
        brands.run(loaded, job=f"{account}_checks")

    report = gather_report(None, brands.instance, scope_of_project(Folder()))

    assert {check.asset.split("/")[0] for check in report.checks} == {"us", "uk"}
    charts = {figure.name: figure.title for figure in report.figures if figure.chart}
    assert charts["us-events"] == "us: Events per day by metric"
    assert {name.split("-")[0] for name in charts} == {"us", "uk"}
    assert {change.table.split(".")[0] for change in report.changes} >= {"us", "uk"}
    about = scope_of_project(Folder())
    assert check_keys(loaded.get_repository_def(), about) == check_keys(None, about)


def test_status_when_an_account_has_a_revision_of_its_own_then_the_share_is_that_of_its_rate_limit(
    brands: Brands, loaded: dg.Definitions
) -> None:
    old = "2025-07-15"
    brands.name({"us": f", sources: [universal_content], revision: '{old}'", "uk": ", sources: [lists]"})
    brands.run(brands.definitions, ["us/universal_content"])

    status = gather(None, brands.instance, scope_of_project(Folder()), disk=False)

    (used,) = [table.rate_limit_used for table in status.tables if table.asset == "us/universal_content"]
    ((requests, seconds),) = brands.sql(
        "SELECT requests, duration_s FROM klaviyo_pipeline.ledger WHERE table_name = 'us.universal_content' "
        "ORDER BY entry DESC LIMIT 1"
    )
    assert used == SOURCES["universal_content"].tier_for(old, frozenset()).share_of_steady(requests, seconds)
    assert used != SOURCES["universal_content"].tier_for(DEFAULT_REVISION, frozenset()).share_of_steady(
        requests, seconds
    )


def test_alerts_when_an_account_has_a_revision_that_ends_then_this_is_a_problem(brands: Brands) -> None:
    brands.name({"us": ", sources: [lists], revision: '2024-10-15'", "uk": ", sources: [lists]"})
    definitions = brands.definitions
    about = scope_of_project(Folder())
    status = gather(None, brands.instance, about, disk=False)

    found = problems(status, definitions.get_repository_def(), brands.instance, revisions=about.revisions)

    assert [(each.key, "2024-10-15" in each.sentence) for each in found if "revision" in each.key] == [
        ("revision 2024-10-15", True)
    ]


def test_alerts_when_the_database_of_an_account_is_busy_then_the_sensor_looks_again_later(
    brands: Brands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klaviyo_pipeline.alerts.sensor._PATIENCE_S", 0.1)
    monkeypatch.setenv("KLAVIYO_ALERT_WEBHOOK", "http://127.0.0.1:9/")
    own = brands.folder / "own.duckdb"
    brands.name({"us": ", sources: [lists]", "uk": f", sources: [lists], database: {own}"})
    repository = brands.definitions.get_repository_def()
    context = dg.build_sensor_context(brands.instance, repository_def=repository)

    with holding(OUTSIDER, own, "write"):
        found = repository.get_sensor_def("alerts").evaluate_tick(context)

    assert (found.skip_message or "").startswith("Nothing was looked at: ")
    assert "own.duckdb" in (found.skip_message or "")


def test_account_when_wrong_then_the_log_names_it_and_the_others_are_assets(
    brands: Brands, caplog: pytest.LogCaptureFixture
) -> None:
    brands.name({"us": ", sources: [lists]", "uk": ", timezone: Mars"}, "  it: {api_key_env: IT, sources: [lists]}")

    with caplog.at_level(logging.ERROR):
        found = {key.path[0] for key in brands.definitions.resolve_all_asset_keys()}

    assert {"us", "it"} <= found
    assert "uk" not in found
    assert "klaviyo.yml:3:" in caplog.text


def test_accounts_when_named_like_anything_of_the_project_then_they_load_side_by_side_or_the_message_says_why(
    brands: Brands, monkeypatch: pytest.MonkeyPatch
) -> None:
    brands.name({"us": ", sources: [lists]"})
    file, whole = brands.folder / "klaviyo.yml", environment.API_KEY.name
    names = sorted(names_in(brands.definitions) | {"klaviyo", "default", "us_lists", "us_references"})
    lines = [f"  {name}: {{api_key_env: US_KEY, sources: [lists]}}\n" for name in names if name != "us"]
    monkeypatch.setenv(whole, "pk_own")
    monkeypatch.setenv("KLAVIYO_SOURCES", "lists")

    for more in (
        "",
        "  shop: {api_key_env: US_KEY, key_prefix: klaviyo}\n",
        "  shop: {api_key_env: A, schema: klaviyo}\n",
    ):
        file.write_text(f"accounts:\n  us: {{api_key_env: US_KEY, sources: [lists]}}\n{more or ''.join(lines)}")

        dg.Definitions.validate_loadable(brands.definitions)

        broken = {each.name: str(each.error) for each in read_accounts() if isinstance(each, BrokenAccount)}
        assert broken if more else {"duckdb", "io_manager", "us_duckdb", "us_analytics", "us_lists"} <= set(broken)
        if more:
            assert "is that of the account default" in broken["shop"]


def test_choices_when_an_account_has_its_own_then_only_its_assets_and_schedules_have_them(brands: Brands) -> None:
    own = (
        ", sources: [core], options: {metrics: [Placed Order], leave_out: [profiles.phone_number]}, write_modes: "
        "{campaigns: replace}, shrink: {share: 0.5, rows: 7}, owners: [team:us], schedule: {auto_start: true, "
        "hourly: '*/20 * * * *', timezone: America/New_York}"
    )
    brands.name({"us": own, "uk": ", sources: [core]"})

    definitions = brands.definitions
    repository = definitions.get_repository_def()
    specs = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    hourly = [repository.get_schedule_def(f"{account}_hourly_schedule") for account in ("us", "uk")]
    columns = [
        {column.name for column in specs[f"{account}/profiles"].metadata["dagster/column_schema"].columns}
        for account in ("us", "uk")
    ]

    assert [specs[f"{account}/campaigns"].metadata["write_mode"] for account in ("us", "uk")] == ["replace", "merge"]
    assert columns[1] - columns[0] == {"phone_number"}
    assert [specs[f"{account}/lists"].owners for account in ("us", "uk")] == [["team:us"], ["team:data-platform"]]
    assert [each.cron_schedule for each in hourly] == ["*/20 * * * *", "7 * * * *"]
    assert [each.execution_timezone for each in hourly] == ["America/New_York", "UTC"]
    assert [each.default_status.value for each in hourly] == ["RUNNING", "STOPPED"]
    us, uk = project_accounts()
    assert (us.naming.choices.chosen("metrics"), uk.naming.choices.chosen("metrics")) == (("Placed Order",), None)
    assert (us.duckdb.shrink_limits().rows, uk.duckdb.shrink_limits().rows) == (7, 10)


def test_default_account_when_its_key_is_set_then_it_is_beside_those_of_the_file(
    brands: Brands, monkeypatch: pytest.MonkeyPatch
) -> None:
    brands.name({"us": ", sources: [lists]"})
    assert [each.name for each in project_accounts()] == ["us"]
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_own")
    monkeypatch.setenv("KLAVIYO_SOURCES", "lists")

    repository = brands.definitions.get_repository_def()

    assert [each.name for each in project_accounts()] == ["default", "us"]
    assert {"klaviyo_daily", "us_daily"} <= set(repository.job_names)
    conditions = [
        repository.get_sensor_def(name) for name in ("automation_conditions", "us_automation_conditions_sensor")
    ]
    watched = [each.asset_selection.resolve(repository.asset_graph) for each in conditions if each.asset_selection]
    assert not watched[0] & watched[1]
    monkeypatch.delenv("KLAVIYO_API_KEY")
    brands.name({"us": "", "uk": ""})
    with pytest.raises(ConfigurationError, match="--account"):
        account_parts()


def test_account_named_like_the_default_one_when_in_the_file_then_it_has_its_keys_jobs_and_resources(
    brands: Brands,
) -> None:
    (brands.folder / "klaviyo.yml").write_text("accounts:\n  klaviyo: {api_key_env: US_KEY, sources: [lists]}\n")

    definitions = brands.definitions
    repository = definitions.get_repository_def()

    assert dg.AssetKey(["klaviyo", "lists"]) in definitions.resolve_all_asset_keys()
    assert {"klaviyo", "duckdb", "io_manager"} == set(definitions.resources or {})
    assert repository.has_sensor_def("alerts")
    assert account_parts().duckdb.schema_or_default == "klaviyo"


def test_accounts_when_with_one_key_then_they_share_rate_limits_and_others_do_not(
    brands: Brands, monkeypatch: pytest.MonkeyPatch
) -> None:
    brands.name({"us": "", "uk": "", "fr": ""})
    monkeypatch.setenv("UK_KEY", "pk_of_uk")
    monkeypatch.setenv("US_KEY", "pk_one_key")
    file = brands.folder / "klaviyo.yml"
    file.write_text(
        file.read_text().replace(brands.shops["fr"].url, brands.shops["us"].url).replace("FR_KEY", "US_KEY")
    )

    us, uk, fr = (
        limits_of_account(each.klaviyo.client().account, 1.0).of("lists", SMALL) for each in project_accounts()
    )
    while us.reserve() == 0.0:
        pass

    assert fr.reserve() > 0.0
    assert uk.reserve() == 0.0


def test_key_when_its_variable_is_not_set_then_the_error_names_account_and_variable(
    brands: Brands, monkeypatch: pytest.MonkeyPatch
) -> None:
    brands.name({"us": ""})
    monkeypatch.delenv("US_KEY")

    with pytest.raises(ConfigurationError, match=r"environment variable US_KEY of account 'us' in .*klaviyo.yml"):
        account_parts("us").klaviyo.client()
