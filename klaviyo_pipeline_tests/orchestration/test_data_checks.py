"""The checks that are generated from the catalogue: each passes on what landed, and fails on tables that are broken."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klaviyo_pipeline import clock
from klaviyo_pipeline.orchestration.checks.build import CHECKS_JOB
from klaviyo_pipeline.orchestration.checks.data import (
    ATTRIBUTES,
    HIDDEN,
    PRIMARY_KEY,
    REFERENCES,
    REQUIRED,
    TYPES,
    VALUES,
)
from klaviyo_pipeline.orchestration.checks.reconciliation import COUNTS_AGREE
from klaviyo_pipeline.orchestration.checks.upkeep import DAYS_HAVE_LANDED, IS_FRESH, REVISION_IS_SERVED
from klaviyo_pipeline.sandbox.options import ServerOptions
from klaviyo_pipeline.sandbox.server import running_sandbox
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.incremental.support import QUIET, Project
from klaviyo_pipeline_tests.orchestration.conftest import FIRST_DAY, LAST_DAY, SHOP, World

WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR
BY_DAY = ("events", "profiles", "campaigns")
Found = dict[tuple[str, str], Any]
Broken = Callable[..., Found]


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """All nine tables, up to now."""
    with running_sandbox(SHOP, ServerOptions(rate_limits=False)) as sandbox:
        project = Project(World(sandbox, tmp_path_factory.mktemp("landed") / "warehouse.duckdb"))
        today = clock.now().date().isoformat()
        project.load(*BY_DAY, days=(today, today), config={"start_time": "2024-01-01"})
        project.load(*(name for name in CORE if name not in BY_DAY), days=(FIRST_DAY, LAST_DAY))
        yield project


@pytest.fixture
def after(landed: Project, tmp_path: Path) -> Broken:
    """Changes a copy of the tables by SQL, and gives what every check of them then says."""

    def run(*statements: str, also_counts: bool = False) -> Found:
        path = tmp_path / "warehouse.duckdb"
        shutil.copy(landed.world.path, path)
        project = Project(World(landed.world.sandbox, path))
        with project.duckdb.warehouse().writing() as connection:
            for statement in statements:
                connection.execute(statement)
        job = project.definitions.resolve_job_def(CHECKS_JOB)
        if not also_counts:
            keys = {key for key in job.asset_layer.asset_graph.asset_check_keys if key.name != COUNTS_AGREE}
            job = job.get_subset(asset_selection=set(), asset_check_selection=keys)
        result = job.execute_in_process(run_config=QUIET, raise_on_error=False)
        return {(each.check_name, each.asset_key.path[-1]): each for each in result.get_asset_check_evaluations()}

    return run


def failing(found: Found) -> dict[str, set[str]]:
    """The assets whose checks fail, by check; how fresh rows are depends on when the test runs."""
    names: dict[str, set[str]] = {}
    for (check, asset), each in found.items():
        if not each.passed and check != IS_FRESH:
            names.setdefault(check, set()).add(asset)
    return names


def test_all_checks_when_nothing_is_wrong_then_pass(after: Broken) -> None:
    found = after(also_counts=True)

    assert failing(found) == {}
    everywhere = {PRIMARY_KEY, REQUIRED, ATTRIBUTES, TYPES, REVISION_IS_SERVED, IS_FRESH}
    for name, source in CORE.items():
        checks = {check for check, asset in found if asset == name}
        assert everywhere <= checks
        assert (VALUES in checks) == any(column.allowed for column in source.columns)
        assert (REFERENCES in checks) == any(column.references for column in source.columns)
        assert (DAYS_HAVE_LANDED in checks) == source.partitioned_by_day
    assert found[COUNTS_AGREE, "events"].passed
    assert found[COUNTS_AGREE, "list_profiles"].passed
    assert all(found[IS_FRESH, name].passed for name in (*BY_DAY, "metrics", "lists", "templates", "list_profiles"))


def test_key_that_is_missing_or_repeated_then_fails_for_every_asset_and_blocks(after: Broken) -> None:
    repeat = [f"INSERT INTO klaviyo.{name} FROM klaviyo.{name} ORDER BY id LIMIT 2" for name in CORE]
    lose = "UPDATE klaviyo.lists SET id = NULL WHERE id = (SELECT max(id) FROM klaviyo.lists)"

    found = after(*repeat, lose)

    assert failing(found)[PRIMARY_KEY] == set(CORE)
    for name in CORE:
        each = found[PRIMARY_KEY, name]
        assert (each.severity, each.blocking) == (ERROR, True)
        assert each.metadata["repeated_keys"].value == each.metadata["surplus_rows"].value == 2
        assert "2 values of id are in more than one row" in each.description
    assert "1 rows without id." in found[PRIMARY_KEY, "lists"].description


def test_required_column_without_a_value_then_fails_and_names_it(after: Broken) -> None:
    emptied = {name: (*source.required_columns, "_run_id")[0] for name, source in CORE.items()}
    emptied["events"] = "metric_id"  # may be empty

    found = after(
        *(
            f"UPDATE klaviyo.{name} SET {column} = NULL WHERE id = (SELECT min(id) FROM klaviyo.{name})"
            for name, column in emptied.items()
        )
    )

    assert failing(found)[REQUIRED] == set(CORE) - {"events"}
    for name in failing(found)[REQUIRED]:
        assert found[REQUIRED, name].severity is ERROR
        assert not found[REQUIRED, name].blocking
        assert found[REQUIRED, name].metadata["empty_by_column"].value == {emptied[name]: 1}


def test_rows_that_are_named_but_not_there_then_warn_with_counts(after: Broken) -> None:
    lost = {
        "metrics": "(SELECT metric_id FROM klaviyo.event_metrics ORDER BY id LIMIT 1)",
        "profiles": "(SELECT profile_id FROM klaviyo.events WHERE profile_id IS NOT NULL ORDER BY id LIMIT 1)",
        "lists": "(SELECT list_id FROM klaviyo.list_profiles ORDER BY id LIMIT 1)",
    }

    found = after(*(f"DELETE FROM klaviyo.{table} WHERE id = {chosen}" for table, chosen in lost.items()))

    naming = {name for name, source in CORE.items() if any(column.references for column in source.columns)}
    assert failing(found) == {REFERENCES: naming}
    events = found[REFERENCES, "events"]
    assert events.severity is WARN
    assert set(events.metadata["by_column"].value) == {"metric_id", "profile_id"}
    assert "name a profile_id that klaviyo.profiles does not have (1 in all)." in events.description
    assert "name a metric_id that klaviyo.metrics does not have (1 in all, such as" in events.description
    assert set(found[REFERENCES, "list_profiles"].metadata["by_column"].value) >= {"list_id"}


def test_table_that_was_never_loaded_then_nothing_is_missing_from_it(after: Broken) -> None:
    found = after("DROP TABLE klaviyo.profiles", "DROP TABLE klaviyo.metrics", "DROP TABLE klaviyo.lists")

    assert failing(found) == {}
    assert found[REFERENCES, "events"].description == (
        "Not checked: metric_id (klaviyo.metrics has no load yet), profile_id (klaviyo.profiles has no load yet)."
    )
    assert "Found all of event_id in events" in found[REFERENCES, "event_metrics"].description
    assert found[PRIMARY_KEY, "profiles"].description == "Nothing has landed yet."


def test_value_that_klaviyo_does_not_document_then_warns_and_names_it(after: Broken) -> None:
    first = "WHERE id = (SELECT min(id) FROM klaviyo.campaigns)"

    found = after(
        "UPDATE klaviyo.lists SET opt_in_process = 'triple_opt_in'",
        f"UPDATE klaviyo.campaigns SET channel = 'fax', status = 'Lost' {first}",
        f'UPDATE klaviyo.campaigns SET send_strategy = \'{{"method": "carrier_pigeon"}}\' {first}',
        "ALTER TABLE klaviyo.profiles ADD COLUMN predictive_analytics JSON",
        'UPDATE klaviyo.profiles SET predictive_analytics = \'{"ranked_channel_affinity": ["email", "fax"]}\'',
    )

    assert failing(found) == {VALUES: {"lists", "campaigns", "profiles"}}
    campaigns = found[VALUES, "campaigns"]
    assert campaigns.severity is WARN
    assert campaigns.metadata["rows_by_value"].value == {
        "status": {"Lost": 1},
        "channel": {"fax": 1},
        "send_strategy": {"carrier_pigeon": 1},
    }
    assert "'triple_opt_in' (4)" in found[VALUES, "lists"].description
    assert list(found[VALUES, "profiles"].metadata["rows_by_value"].value["predictive_analytics"]) == [HIDDEN]


def test_rows_that_ended_to_land_days_ago_then_are_not_fresh(after: Broken) -> None:
    found = after("UPDATE klaviyo_pipeline.ledger SET window_end = window_end - INTERVAL 2 DAY WHERE source <> 'lists'")

    stale = {asset for (check, asset), each in found.items() if check == IS_FRESH and not each.passed}
    assert stale == set(CORE) - {"lists"}
    assert "Is the hourly schedule on" in found[IS_FRESH, "events"].description
    assert {each.severity for (check, _asset), each in found.items() if check == IS_FRESH} == {WARN}
