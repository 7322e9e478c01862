"""The component for `dg`: its attributes are those of an account in klaviyo.yml, and its schema says what they take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from jsonschema import Draft202012Validator

from klaviyo_pipeline import KlaviyoComponent, KlaviyoTranslator
from klaviyo_pipeline.accounts.model import AccountSettings
from klaviyo_pipeline.component import KlaviyoScaffolder, KlaviyoScaffoldParams
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES

EVERYTHING = """
account: brand_us
api_key_env: BRAND_US_API_KEY
base_url: http://127.0.0.1:8765
revision: "2026-07-15"
sources: [lists, events, "catalog_*", -catalog_jobs]
database: data/brands.duckdb
schema: us
timezone: Europe/Copenhagen
first_day: "2026-01-01"
key_prefix: raw/us
group: brands
owners: [team:growth, crm@example.com]
options:
  metrics: [Placed Order]
  leave_out: [events.event_properties]
write_modes: {lists: replace}
privacy: {profiles.email: drop}
shrink: {share: 0.5, rows: 5}
schedule: {auto_start: true, hourly: "9 * * * *"}
overview: true
"""
LEAST = "account: brand_us\napi_key_env: BRAND_US_API_KEY\n"


def schema() -> dict[str, Any]:
    return KlaviyoComponent.model().model_json_schema()


def definitions(text: str) -> dg.Definitions:
    return KlaviyoComponent.resolve_from_yaml(text).build_defs(dg.ComponentTree.for_test().load_context)


def test_component_has_every_setting_of_an_account_in_klaviyo_yml() -> None:
    of_account = AccountSettings.model_json_schema(by_alias=True)["properties"]

    assert (
        schema()["properties"].keys()
        == of_account.keys() | {"account", "overview"}
        == yaml.safe_load(EVERYTHING).keys()
    )
    described = {name for name, each in schema()["properties"].items() if each.get("description")}
    assert schema()["properties"].keys() - described <= {"options", "shrink", "schedule"}


def test_component_when_every_field_is_given_then_definitions_follow_them() -> None:
    found = definitions(EVERYTHING)
    dg.Definitions.validate_loadable(found)

    specs = {spec.key: spec for spec in found.resolve_all_asset_specs()}
    lists = specs[dg.AssetKey(["raw", "us", "lists"])]
    assert (lists.group_name, list(lists.owners)) == ("brands", ["team:growth", "crm@example.com"])
    assert dg.AssetKey(["raw", "us", "catalog_items"]) in specs
    assert dg.AssetKey(["raw", "us", "catalog_jobs"]) not in specs
    events = found.resolve_assets_def(dg.AssetKey(["raw", "us", "events"]))
    assert isinstance(events.partitions_def, dg.DailyPartitionsDefinition)
    assert events.partitions_def.start.isoformat() == "2026-01-01T00:00:00+01:00"
    repository = found.get_repository_def()
    assert {each.default_status for each in repository.schedule_defs} == {dg.DefaultScheduleStatus.RUNNING}
    assert repository.get_schedule_def("brand_us_hourly_schedule").cron_schedule == "9 * * * *"
    assert {each.default_status for each in repository.sensor_defs} == {dg.DefaultSensorStatus.RUNNING}
    assert repository.has_sensor_def("brand_us_alerts_sensor")
    assert {dg.AssetKey(["raw", "us_status"]), dg.AssetKey(["raw", "us_report"])} <= specs.keys()
    resources = found.resources or {}
    assert resources["brand_us"].api_key_variable == "BRAND_US_API_KEY"
    assert resources["brand_us"].base_url == "http://127.0.0.1:8765"
    assert (resources["brand_us_duckdb"].database, resources["brand_us_duckdb"].schema_name) == (
        "data/brands.duckdb",
        "us",
    )


def test_component_when_only_named_then_schedules_are_as_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, status in (("off", dg.DefaultScheduleStatus.STOPPED), ("on", dg.DefaultScheduleStatus.RUNNING)):
        monkeypatch.setenv("KLAVIYO_AUTOMATION", given)
        found = definitions(f"{LEAST}sources: [lists]").get_repository_def()
        assert {each.default_status for each in found.schedule_defs} == {status}


@pytest.mark.parametrize(
    ("given", "is_right"),
    [
        (LEAST, True),
        (EVERYTHING, True),
        (f"{LEAST}first_day: '{{{{ env.FIRST_DAY }}}}'\nowners: ['{{{{ env.OWNER }}}}']", True),
        ("account: '{{ env.BRAND }}'\napi_key_env: '{{ env.BRAND }}_KEY'", True),
        ("account: brand-us\napi_key_env: X", False),
        ("account: brand_us", False),
        (f"{LEAST}sources: [evnts]", False),
        (f"{LEAST}first_day: yesterday", False),
        (f"{LEAST}owners: [nobody]", False),
        (f"{LEAST}write_modes: {{lists: upsert}}", False),
        (f"{LEAST}write_modes: {{evnts: merge}}", False),
        (f"{LEAST}api_key: pk_1", False),
    ],
    ids=lambda value: value.strip().splitlines()[-1] if isinstance(value, str) else "",
)
def test_schema_when_editors_and_dg_check_use_it_then_it_finds_what_is_wrong(given: str, is_right: bool) -> None:
    assert Draft202012Validator(schema()).is_valid(yaml.safe_load(given)) is is_right


def test_schema_completes_the_names_of_all_data_sources() -> None:
    items = schema()["properties"]["sources"]["items"]

    assert set(items["anyOf"][0]["enum"]) == {"default", "core", "all", *SOURCES}


@pytest.mark.parametrize(
    "wrong",
    ["timezone: Mars/Base", "schema: main.x'", 'sources: ["catalogue_*"]', "api_key_env: pk_1", "account: klaviyo_"],
)
def test_component_when_the_schema_allows_a_wrong_value_then_loading_names_it(wrong: str) -> None:
    given = {**yaml.safe_load(LEAST), **yaml.safe_load(wrong)}

    with pytest.raises(ConfigurationError, match=wrong.split(":")[0]):
        definitions(yaml.safe_dump(given))


def test_component_when_a_template_is_in_it_then_it_is_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAND", "uk")
    text = "account: 'brand_{{ env.BRAND }}'\napi_key_env: X\nsources: ['{{ env.BRAND and \"lists\" }}']"

    keys = {spec.key for spec in definitions(text).resolve_all_asset_specs()}

    assert dg.AssetKey(["brand_uk", "lists"]) in keys


def test_component_when_named_like_the_default_account_then_it_takes_no_resource_of_the_project() -> None:
    found = definitions("account: klaviyo\napi_key_env: X\nsources: [lists]")

    assert set(found.resources or {}) == {"klaviyo", "klaviyo_duckdb", "klaviyo_io_manager"}


def test_component_when_a_subclass_translates_then_its_assets_follow() -> None:
    class Bronze(KlaviyoTranslator):
        def get_asset_key(self, source: Source, key: dg.AssetKey) -> dg.AssetKey:
            return key.with_prefix("bronze")

    class OurComponent(KlaviyoComponent):
        def translator(self) -> KlaviyoTranslator:
            return Bronze()

    found = OurComponent.resolve_from_yaml(f"{LEAST}sources: [lists]").build_defs(
        dg.ComponentTree.for_test().load_context
    )
    assert dg.AssetKey(["bronze", "brand_us", "lists"]) in {spec.key for spec in found.resolve_all_asset_specs()}


@pytest.mark.parametrize(
    ("params", "account", "variable"),
    [
        (KlaviyoScaffoldParams(), "brand_us", "BRAND_US_API_KEY"),
        (KlaviyoScaffoldParams(account="us", api_key_env="KLAVIYO_API_KEY"), "us", "KLAVIYO_API_KEY"),
    ],
)
def test_scaffold_when_written_then_the_file_is_valid(
    tmp_path: Path, params: KlaviyoScaffoldParams, account: str, variable: str
) -> None:
    folder = tmp_path / "brand-us"
    folder.mkdir()
    KlaviyoScaffolder().scaffold(
        dg.ScaffoldRequest("klaviyo_pipeline.KlaviyoComponent", folder, "yaml", tmp_path, params, append=False)
    )

    written = yaml.safe_load((folder / "defs.yaml").read_text())
    assert written["type"] == "klaviyo_pipeline.KlaviyoComponent"
    assert (written["attributes"]["account"], written["attributes"]["api_key_env"]) == (account, variable)
    Draft202012Validator(schema()).validate(written["attributes"])
