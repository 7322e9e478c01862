"""What a launch may say: nothing in its run config sends a key elsewhere, names a variable, or moves where rows go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.snap.snap_to_yaml import default_values_yaml_from_type_snap

from klaviyo_pipeline.accounts.file import account_named
from klaviyo_pipeline.accounts.parts import parts_of, project_accounts
from klaviyo_pipeline.built_in import account_definitions, project_definitions
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.client.settings import SETTINGS
from klaviyo_pipeline.orchestration.assets.config import config_class
from klaviyo_pipeline.orchestration.assets.io_manager import KlaviyoDuckDBIOManager
from klaviyo_pipeline.orchestration.assets.run_settings import KlaviyoRunSettings
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.orchestration.run_config import launch_schema
from klaviyo_pipeline_tests.hostile.listener import Listener, listening

KEY = "pk_of_the_environment_4711"
OTHER = "another-secret-of-this-machine"
PASTED = "pk_pasted_into_the_launchpad"
FREE = {
    "klaviyo": set(SETTINGS),
    "duckdb": {"lock_timeout_s", "memory_limit", "same_load_timeout_s", "stage_mb", "fresh_parents_minutes"},
    "io_manager": {"write_mode"},
    "klaviyo_load": {"start_time", "end_time", "write_mode"},
}
"""All that a launch may set; a new field of a resource is not in it until somebody decides so."""


@pytest.fixture(scope="module")
def attacker() -> Iterator[Listener]:
    yield from listening()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("KLAVIYO_BASE_URL", "KLAVIYO_REVISION", "KLAVIYO_STAGING_DIR", "KLAVIYO_SCHEMA", "KLAVIYO_TIMEZONE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KLAVIYO_API_KEY", KEY)
    monkeypatch.setenv("SOME_SECRET", OTHER)
    monkeypatch.setenv("KLAVIYO_DUCKDB_PATH", str(tmp_path / "data" / "klaviyo.duckdb"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    from klaviyo_pipeline.definitions import defs

    return defs


def job_of(definitions: dg.Definitions, name: str) -> dg.JobDefinition:
    """A job, or the one that materializes an asset."""
    if "/" not in name:
        return definitions.resolve_job_def(name)
    return definitions.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection={dg.AssetKey.from_user_string(name)}
    )


def fields_of(resource: Any) -> dict[str, dg.Field]:
    return resource.get_resource_definition().config_schema.config_type.fields


def schemas(definitions: dg.Definitions) -> Iterator[tuple[str, Any]]:
    """Every type in the run config of every op, resource and job of this project."""
    for job in definitions.resolve_all_job_defs():
        for kind in job.run_config_schema.config_type.type_iterator():
            yield job.name, kind


def test_a_launch_can_set_these_fields_of_resources_and_no_other() -> None:
    duckdb = KlaviyoDuckDBResource()
    for name, resource in {
        "klaviyo": KlaviyoResource(),
        "duckdb": duckdb,
        "io_manager": KlaviyoDuckDBIOManager(duckdb=duckdb),
        "klaviyo_load": KlaviyoRunSettings(),
    }.items():
        free = {each for each, field in fields_of(resource).items() if field.config_type.given_name != "Refused"}
        assert free == FREE[name]


def test_no_run_config_of_this_project_takes_a_value_from_the_environment(definitions: dg.Definitions) -> None:
    sources = {dg.StringSource.key, dg.IntSource.key, dg.BoolSource.key}
    found = {(job, kind.key) for job, kind in schemas(definitions) if kind.key in sources}
    assert found == set()


def test_accounts_of_a_file_and_a_component_give_a_launch_no_more_to_say(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KLAVIYO_API_KEY")
    home.with_name("klaviyo.yml").write_text(
        "accounts:\n"
        "  us: {api_key_env: SOME_SECRET, base_url: 'https://x.example', sources: [lists], privacy: {email: drop}}\n"
        "  uk: {api_key_env: UK_KEY, sources: [lists], revision: '2026-07-15', database: uk.duckdb}\n"
    )
    parts = project_accounts()
    found = project_definitions(parts)
    guest = parts_of(account_named("uk"), guest=True)  # as a component builds it
    of_component = account_definitions(guest.days, guest.klaviyo, guest.duckdb, guest.naming)
    assert {each.name for each in parts} == {"us", "uk"}
    for made, accounts in ((found, parts), (of_component, (guest,))):
        for account in accounts:
            for name in ("klaviyo", "duckdb", "io_manager"):
                fields = fields_of((made.resources or {})[account.naming.resource_key(name)])
                assert {each for each, field in fields.items() if field.config_type.given_name != "Refused"} == FREE[
                    name
                ]
    sources = {dg.StringSource.key, dg.IntSource.key, dg.BoolSource.key}
    assert {(job, kind.key) for job, kind in schemas(found) if kind.key in sources} == set()


LAUNCHES: dict[str, tuple[str, dict[str, Any], str]] = {
    "address": (
        "klaviyo/lists",
        {"resources": {"klaviyo": {"config": {"base_url": "ATTACKER"}}}},
        "address comes from",
    ),
    "address of a variable": (
        "klaviyo/lists",
        {"resources": {"klaviyo": {"config": {"base_url": {"env": "SOME_SECRET"}}}}},
        "address comes from",
    ),
    "key": ("klaviyo/lists", {"resources": {"klaviyo": {"config": {"api_key": PASTED}}}}, "The API key comes from"),
    "key in a list": ("klaviyo/lists", {"resources": {"klaviyo": {"config": {"api_key": [PASTED]}}}}, "The API key"),
    "variable as the key": (
        "klaviyo/lists",
        {"resources": {"klaviyo": {"config": {"api_key": {"env": "SOME_SECRET"}}}}},
        "The API key comes from",
    ),
    "headers by the revision": (
        "klaviyo/lists",
        {"resources": {"klaviyo": {"config": {"revision": "2026-07-15\r\nX-Evil: 1"}}}},
        "revision",
    ),
    "where the key is from": (
        "klaviyo/lists",
        {"resources": {"klaviyo": {"config": {"key_origin": {"env": "SOME_SECRET"}}}}},
        "key_origin",
    ),
    "a number from a variable": (
        "klaviyo/lists",
        {"resources": {"klaviyo": {"config": {"retry_limit": {"env": "KLAVIYO_API_KEY"}}}}},
        "never the name of an environment variable",
    ),
    "database": ("klaviyo/lists", {"resources": {"duckdb": {"config": {"database": "/tmp/x.duckdb"}}}}, "database"),
    "staging folder": ("klaviyo/lists", {"resources": {"duckdb": {"config": {"staging_dir": "/tmp"}}}}, "staging_dir"),
    "settings of DuckDB": (
        "klaviyo/lists",
        {"resources": {"duckdb": {"config": {"connection_config": {"temp_directory": "/tmp", "x": {"env": "PATH"}}}}}},
        "connection_config",
    ),
    "storage version": (
        "klaviyo/lists",
        {"resources": {"duckdb": {"config": {"storage_version": "v1.0.0', READ_ONLY"}}}},
        "storage_version",
    ),
    "schema of the database": (
        "klaviyo/lists",
        {"resources": {"duckdb": {"config": {"schema_name": {"env": "KLAVIYO_API_KEY"}}}}},
        "schema_name",
    ),
    "memory from a variable": (
        "klaviyo/lists",
        {"resources": {"duckdb": {"config": {"memory_limit": {"env": "KLAVIYO_API_KEY"}}}}},
        "never the name of an environment variable",
    ),
    "write mode from a variable": (
        "klaviyo/lists",
        {"resources": {"io_manager": {"config": {"write_mode": {"env": "KLAVIYO_API_KEY"}}}}},
        "never the name of an environment variable",
    ),
    "table from a variable": (
        "klaviyo/lists",
        {"ops": {"klaviyo__lists": {"config": {"table": {"env": "KLAVIYO_API_KEY"}}}}},
        "never the name of an environment variable",
    ),
    "truth from a variable": (
        "klaviyo/lists",
        {"ops": {"klaviyo__lists": {"config": {"incremental": {"env": "KLAVIYO_API_KEY"}}}}},
        "never the name of an environment variable",
    ),
    "ids from a variable": (
        "klaviyo/list_profiles",
        {"ops": {"klaviyo__list_profiles": {"config": {"list_ids": ["a", {"env": "KLAVIYO_API_KEY"}]}}}},
        "never the name of an environment variable",
    ),
    "account of the preview": (
        "klaviyo_preview",
        {"ops": {"show_first_rows": {"config": {"authentication": {"env": "KLAVIYO_API_KEY"}}}}},
        "never the name of an environment variable",
    ),
    "key where the name of an account belongs": (
        "klaviyo_preview",
        {"ops": {"show_first_rows": {"config": {"source": "lists", "authentication": PASTED}}}},
        "looks like, an API key",
    ),
    "key among the options": (
        "klaviyo_preview",
        {"ops": {"show_first_rows": {"config": {"source": "lists", "options": {"start_time": f"x {KEY}"}}}}},
        "looks like, an API key",
    ),
    "days of the reconciliation": (
        "klaviyo_reconciliation",
        {"ops": {"klaviyo_reconciliation_checks": {"config": {"first_day": {"env": "KLAVIYO_API_KEY"}}}}},
        "never the name of an environment variable",
    ),
}


def pointed(value: Any, url: str) -> Any:
    """Run config with the attacker's address in it."""
    if isinstance(value, dict):
        return {name: pointed(inner, url) for name, inner in value.items()}
    return url if value == "ATTACKER" else value


@pytest.mark.parametrize("what", sorted(LAUNCHES))
def test_launch_that_redirects_is_refused_sends_nothing_and_stores_nothing(
    what: str, home: Path, attacker: Listener, definitions: dg.Definitions
) -> None:
    job, run_config, says = LAUNCHES[what]
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        with pytest.raises(ConfigurationError, match=says) as refused:
            job_of(definitions, job).execute_in_process(run_config=pointed(run_config, attacker.url), instance=instance)
        assert instance.get_runs() == []
    assert attacker.heard == []
    for secret in (KEY, OTHER, PASTED):
        assert secret not in str(refused.value)
    assert stored(home, KEY, OTHER, PASTED) == []


REFERENCES: dict[str, dict[str, Any]] = {
    "source": {"source": "{{ env.DSN_OF_ANOTHER }}"},
    "account": {"authentication": "{{env.DSN_OF_ANOTHER}}"},
    "revision": {"revision": "x {{ env.DSN_OF_ANOTHER }}"},
    "time": {"source": "events", "options": {"start_time": "{{ env.DSN_OF_ANOTHER }}"}},
    "ids": {"source": "list_profiles", "options": {"list_ids": ["{{ env.DSN_OF_ANOTHER }}"]}},
    "name of an option": {"source": "events", "options": {"{{ env.DSN_OF_ANOTHER }}": True}},
    "inner form": {"source": "events", "options": {"start_time": "⟦⟦ env.DSN_OF_ANOTHER ⟧⟧"}},
    "as in other files": {"authentication": "${DSN_OF_ANOTHER}"},
    "a transfer": {"transfer": "{{ env.DSN_OF_ANOTHER }}"},
}


@pytest.mark.parametrize("where", sorted(REFERENCES))
def test_launch_of_a_preview_with_a_reference_as_in_a_file_then_reads_no_variable(
    where: str, home: Path, attacker: Listener, definitions: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run config is read by the parser of transfer files, which may name variables."""
    home.mkdir()
    monkeypatch.setenv("DSN_OF_ANOTHER", OTHER)
    monkeypatch.setenv("KLAVIYO_BASE_URL", attacker.url)
    attacker.heard.clear()
    config = {"ops": {"show_first_rows": {"config": REFERENCES[where]}}}
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        job_of(definitions, "klaviyo_preview").execute_in_process(
            run_config=config, instance=instance, raise_on_error=False
        )
    assert OTHER not in str(attacker.heard)
    assert stored(home, OTHER) == []


def stored(folder: Path, *texts: str) -> list[str]:
    """Files below a folder that have one of these texts in them."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files), "Dagster's storage is among them"
    return [str(path) for path in files if any(text.encode() in path.read_bytes() for text in texts)]


def test_code_and_environment_can_still_say_where_and_with_which_key(
    home: Path, monkeypatch: pytest.MonkeyPatch, attacker: Listener
) -> None:
    monkeypatch.setenv("MY_KEY", "pk_of_my_own_variable")
    seen: list[Any] = []

    @dg.op
    def look(klaviyo: KlaviyoResource, duckdb: KlaviyoDuckDBResource) -> None:
        seen.append((klaviyo.api_key, klaviyo.client().base_url, klaviyo.retry_limit, duckdb.database))

    @dg.job(
        resource_defs={
            "klaviyo": KlaviyoResource(api_key=dg.EnvVar("MY_KEY"), base_url=attacker.url, retry_limit=2),
            "duckdb": KlaviyoDuckDBResource(database=dg.EnvVar("KLAVIYO_DUCKDB_PATH")),
        }
    )
    def job() -> None:
        look()

    assert job.execute_in_process(run_config={"resources": {"klaviyo": {"config": {"retry_limit": 7}}}}).success
    assert seen == [("pk_of_my_own_variable", attacker.url, 7, str(home.parent / "data" / "klaviyo.duckdb"))]


def test_variable_of_the_code_that_is_not_set_is_named_and_no_other_key_is_sent(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="MY_KEY is not set"):
        KlaviyoResource(api_key=dg.EnvVar("MY_KEY")).client()


def test_resource_cannot_be_opened_up_for_launches() -> None:
    with pytest.raises(ConfigurationError, match="cannot be configured at launch"):
        KlaviyoResource.configure_at_launch()


BOUNDS = {
    "lookback_days": ({"ops": {"klaviyo__events": {"config": {"lookback_days": -3}}}}, "-3", "from 0 to 3650"),
    "most_lists": ({"ops": {"klaviyo_reconciliation_checks": {"config": {"most_lists": 0}}}}, "0", "at least 1"),
    "retry_limit": ({"resources": {"klaviyo": {"config": {"retry_limit": 99}}}}, "99", "from 1 to 7"),
    "read_timeout_s": ({"resources": {"klaviyo": {"config": {"read_timeout_s": 1.5}}}}, "1.5", "from 30 to 1800"),
    "lock_timeout_s": ({"resources": {"duckdb": {"config": {"lock_timeout_s": -1}}}}, "-1", "from 0.001 to 86400"),
}


@pytest.mark.parametrize("field", sorted(BOUNDS))
def test_bounds_are_in_the_launchpads_schema_and_a_launch_beyond_is_refused_in_one_sentence(
    field: str, home: Path, definitions: dg.Definitions
) -> None:
    run_config, value, bounds = BOUNDS[field]
    job = job_of(definitions, "klaviyo/events")
    shown = [
        each.description or ""
        for kind in job.run_config_schema.config_type.type_iterator()
        for name, each in getattr(kind, "fields", {}).items()
        if name == field
    ]
    assert shown
    assert all(bounds in each.lower() for each in shown)

    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        with pytest.raises(ConfigurationError) as refused:
            job.execute_in_process(run_config=run_config, instance=instance)
        assert instance.get_runs() == []
    assert str(refused.value) == f"{field} is {value}, but must be {bounds}."


@pytest.mark.parametrize("name", ["klaviyo_daily", "klaviyo_hourly", "klaviyo_weekly", "klaviyo/events"])
def test_launchpad_is_prefilled_with_what_people_change(definitions: dg.Definitions, name: str) -> None:
    assert _shown(job_of(definitions, name)) == {
        "resources": {"klaviyo_load": {"config": {"start_time": "", "end_time": "", "write_mode": "default"}}}
    }


def test_launchpad_of_a_job_that_loads_nothing_is_empty(definitions: dg.Definitions) -> None:
    assert {name: _shown(job_of(definitions, name)) for name in ("klaviyo_checks", "klaviyo_report_job")} == {
        "klaviyo_checks": {},
        "klaviyo_report_job": {},
    }


def test_launchpad_of_an_asset_describes_each_field_with_its_default() -> None:
    described = {name: field.description for name, field in launch_schema(config_class("events")).items()}
    assert described["skip_related"] is not None
    assert described["skip_related"].endswith("(default true).")


def _shown(job: dg.JobDefinition) -> dict[str, Any]:
    """What the Launchpad shows of a job at first."""
    snapshot = job.get_config_schema_snapshot()
    root = snapshot.get_config_snap(job.run_config_schema.config_type.key)
    shown = yaml.safe_load(default_values_yaml_from_type_snap(snapshot, root))
    return {name: each for name, each in shown.items() if each}
