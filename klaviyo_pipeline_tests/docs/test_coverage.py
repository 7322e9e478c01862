"""Nothing that people can set, call or read is missing from the pages of the site."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import dagster as dg

from klaviyo_pipeline.analytics.more_tables import ALL as ANALYTICS
from klaviyo_pipeline.cli import main
from klaviyo_pipeline.definitions import defs
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.client.settings import SETTINGS
from klaviyo_pipeline.orchestration.assets.config import config_class
from klaviyo_pipeline.transfers.file.json_schema import json_schema
from klaviyo_pipeline_tests.docs.conftest import Site
from klaviyo_pipeline_tests.docs.documents import ROOT

SOURCE_FILES = [path for path in (ROOT / "klaviyo_pipeline").rglob("*.py") if "sandbox" not in path.parts]


def _missing(page: str, names: set[str]) -> set[str]:
    return {name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", page)}


def _section(page: str, heading: str) -> str:
    """What stands below a heading, whose link is a pilcrow."""
    return re.split(rf"(?<!\S){re.escape(heading)} ¶", page, maxsplit=1)[1].split(" ¶", 1)[0]


def test_every_environment_variable_is_documented(site: Site) -> None:
    read = {name for path in SOURCE_FILES for name in re.findall(r'"(KLAVIYO_[A-Z_]+)"', path.read_text())}
    assert {"KLAVIYO_API_KEY", "KLAVIYO_DEBUG", "KLAVIYO_AUTHENTICATIONS"} <= read
    assert not _missing(site.page("reference/configuration"), read)


def test_every_variable_in_the_example_is_documented(site: Site) -> None:
    named = set(re.findall(r"^#?(KLAVIYO_[A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert not _missing(site.page("reference/configuration"), named)


def test_every_setting_and_option_of_a_run_is_documented(site: Site) -> None:
    page = site.page("reference/configuration")
    assert not _missing(page, set(SETTINGS))
    for name, resource in (defs.resources or {}).items():
        assert not _missing(page, {name}), name
        if type(resource).__module__.startswith("klaviyo_pipeline."):
            assert not _missing(page, set(type(resource).model_fields) - {"duckdb"}), name
    for source in SOURCES:
        assert not _missing(page, set(config_class(source).model_fields)), source


def test_every_key_of_a_transfer_file_is_documented(site: Site) -> None:
    def keys(schema: object) -> Iterator[str]:
        if isinstance(schema, dict):
            yield from schema.get("properties", {})
            for each in schema.values():
                yield from keys(each)
        elif isinstance(schema, list):
            for each in schema:
                yield from keys(each)

    named = set(keys(json_schema()))
    assert {"source", "cron", "lookback_days", "retry_limit"} <= named
    assert not _missing(site.page("reference/transfer-files"), named - {"in", "out"})


def test_every_command_and_option_is_documented(site: Site) -> None:
    page = site.page("reference/commands")

    def look(command: click.Command, words: str) -> None:
        if isinstance(command, click.Group):
            for name, each in command.commands.items():
                look(each, f"{words} {name}")
            return
        section = _section(page, words)
        names = {name for option in command.params if isinstance(option, click.Option) for name in option.opts}
        assert not _missing(section, names), words

    look(main, "klaviyo-pipeline")


def test_every_source_and_column_is_documented(site: Site) -> None:
    page = site.page("reference/data-sources")
    for source in SOURCES.values():
        section = _section(page, source.name)
        assert not _missing(section, {column.name for column in source.columns}), source.name
        assert not _missing(section, set(source.scopes)), source.name
        assert source.path in section
    assert not _missing(page, {"_loaded_at", "_run_id", "_extra", "_deleted_at", "window_end"})


def test_every_analytics_table_and_column_is_documented(site: Site) -> None:
    page = site.page("reference/analytics")
    for name, table in ANALYTICS.items():
        section = _section(page, f"klaviyo_analytics/{name}")
        assert not _missing(section, {column.name for column in table.columns}), name
        assert not _missing(section, {f"klaviyo/{source}" for source in table.made_from}), name


def test_every_check_job_schedule_and_sensor_is_documented(site: Site) -> None:
    page = site.page("reference/automation")
    repository = defs.get_repository_def()
    checks = {key.name for key in repository.asset_graph.asset_check_keys}
    assert {"revision_is_served", "counts_agree_with_klaviyo"} <= checks
    assert not _missing(page, checks)
    assert not _missing(page, {name for name in repository.job_names if not name.startswith("__")})
    assert not _missing(page, {schedule.name for schedule in repository.schedule_defs})
    assert not _missing(page, {sensor.name for sensor in repository.sensor_defs})


def test_every_error_is_documented(site: Site) -> None:
    declared = {
        name
        for path in SOURCE_FILES
        for name in re.findall(r"^class ([A-Z]\w*Error)\(", path.read_text(), re.MULTILINE)
    }
    assert {"KlaviyoError", "ScopeError", "DatabaseBusyError"} <= declared
    assert not _missing(site.page("reference/errors"), declared)


def test_troubleshooting_knows_what_klaviyo_and_the_database_raise(site: Site) -> None:
    declared = {
        name
        for room in ("klaviyo", "warehouse")
        for name in re.findall(
            r"^class ([A-Z]\w*Error)\(", (ROOT / "klaviyo_pipeline" / room / "errors.py").read_text(), re.MULTILINE
        )
    }
    assert not _missing(site.page("troubleshooting"), declared - {"KlaviyoError", "WarehouseError"})


def test_every_asset_links_to_klaviyos_documentation_or_describes_its_sql() -> None:
    for spec in defs.resolve_all_asset_specs():
        assert spec.description, spec.key
        if spec.key.path[0] == "klaviyo":
            assert spec.metadata["documentation"].value == SOURCES[spec.key.path[-1]].doc
    assert isinstance(defs, dg.Definitions)
