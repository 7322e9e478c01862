"""The component for `dg`: its fields are the arguments of build_definitions, and its schema says what they take."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster.components.resolved.errors import ResolutionException
from jsonschema import Draft202012Validator

from klaviyo_pipeline import KlaviyoComponent, KlaviyoTranslator, build_definitions
from klaviyo_pipeline.component import KlaviyoScaffolder, KlaviyoScaffoldParams
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES

IN_CODE = {"api_key", "resource_keys", "executor", "translator"}
"""Arguments of build_definitions that no YAML file gives."""
EVERYTHING = """
account: brand_us
api_key_variable: BRAND_US_API_KEY
base_url: http://127.0.0.1:8765
sources: [lists, events, "catalog_*", -catalog_jobs]
database: data/brands.duckdb
schema: us
timezone: Europe/Copenhagen
first_day: "2026-01-01"
automation: true
key_prefix: [raw, us]
group: brands
owners: [team:growth, crm@example.com]
"""


def schema() -> dict[str, Any]:
    return KlaviyoComponent.model().model_json_schema()


def definitions(text: str) -> dg.Definitions:
    return KlaviyoComponent.resolve_from_yaml(text).build_defs(dg.ComponentTree.for_test().load_context)


def test_component_has_a_described_field_for_every_argument_of_build_definitions() -> None:
    arguments = set(inspect.signature(build_definitions).parameters)

    assert schema()["properties"].keys() == arguments - IN_CODE | {"api_key_variable"}
    assert all(each.get("description") for each in schema()["properties"].values())
    assert yaml.safe_load(EVERYTHING).keys() == schema()["properties"].keys()


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
    assert {each.default_status for each in repository.sensor_defs} == {dg.DefaultSensorStatus.RUNNING}
    resources = found.resources or {}
    assert resources["brand_us"].api_key == dg.EnvVar("BRAND_US_API_KEY")
    assert resources["brand_us"].base_url == "http://127.0.0.1:8765"
    assert (resources["brand_us_duckdb"].database, resources["brand_us_duckdb"].schema_name) == (
        "data/brands.duckdb",
        "us",
    )


def test_component_when_only_named_then_schedules_are_as_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, status in (("off", dg.DefaultScheduleStatus.STOPPED), ("on", dg.DefaultScheduleStatus.RUNNING)):
        monkeypatch.setenv("KLAVIYO_AUTOMATION", given)
        found = definitions("account: brand_us\nsources: [lists]").get_repository_def()
        assert {each.default_status for each in found.schedule_defs} == {status}


@pytest.mark.parametrize(
    ("given", "is_right"),
    [
        ("account: brand_us", True),
        (EVERYTHING, True),
        ("account: '{{ env.BRAND }}'\nfirst_day: '{{ env.FIRST_DAY }}'\nowners: ['{{ env.OWNER }}']", True),
        ("account: brand-us", False),
        ("sources: [lists]", False),
        ("account: brand_us\nsources: [evnts]", False),
        ("account: brand_us\nfirst_day: yesterday", False),
        ("account: brand_us\nowners: [nobody]", False),
        ("account: brand_us\nautomation: [on]", False),
        ("account: brand_us\napi_key: pk_1", False),
    ],
    ids=lambda value: value.strip().splitlines()[-1] if isinstance(value, str) else "",
)
def test_schema_when_editors_and_dg_check_use_it_then_it_finds_what_is_wrong(given: str, is_right: bool) -> None:
    assert Draft202012Validator(schema()).is_valid(yaml.safe_load(given)) is is_right


def test_schema_completes_the_names_of_all_data_sources() -> None:
    items = next(each for each in schema()["properties"]["sources"]["anyOf"] if each["type"] == "array")["items"]

    assert set(items["anyOf"][0]["enum"]) == {"default", "core", "all", *SOURCES}


@pytest.mark.parametrize("wrong", ["timezone: Mars/Base", "schema: ''' '''", 'sources: ["catalogue_*"]'])
def test_component_when_the_schema_allows_a_wrong_value_then_loading_names_it(wrong: str) -> None:
    with pytest.raises((ConfigurationError, ResolutionException), match=wrong.split(":")[0]):
        definitions(f"account: brand_us\n{wrong}")


def test_component_when_a_subclass_translates_then_its_assets_follow() -> None:
    class Bronze(KlaviyoTranslator):
        def get_asset_key(self, source: Source, key: dg.AssetKey) -> dg.AssetKey:
            return key.with_prefix("bronze")

    class OurComponent(KlaviyoComponent):
        def translator(self) -> KlaviyoTranslator:
            return Bronze()

    found = OurComponent.resolve_from_yaml("account: brand_us\nsources: [lists]").build_defs(
        dg.ComponentTree.for_test().load_context
    )
    assert dg.AssetKey(["bronze", "brand_us", "lists"]) in {spec.key for spec in found.resolve_all_asset_specs()}


@pytest.mark.parametrize(
    ("params", "account", "variable"),
    [
        (KlaviyoScaffoldParams(), "brand_us", "BRAND_US_API_KEY"),
        (KlaviyoScaffoldParams(account="us", api_key_variable="KLAVIYO_API_KEY"), "us", "KLAVIYO_API_KEY"),
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
    assert (written["attributes"]["account"], written["attributes"]["api_key_variable"]) == (account, variable)
    Draft202012Validator(schema()).validate(written["attributes"])
