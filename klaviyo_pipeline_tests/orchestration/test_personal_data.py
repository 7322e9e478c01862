"""What people are called, where they live and what they buy stands in the tables, and nowhere in Dagster's records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest

from klaviyo_pipeline import environment
from klaviyo_pipeline.definitions import defs
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.orchestration.assets.metadata import mask, preview
from klaviyo_pipeline.orchestration.checks.build import CHECKS_JOB
from klaviyo_pipeline.orchestration.checks.data import PRIMARY_KEY, REFERENCES
from klaviyo_pipeline.sandbox.api.messages import Request, Response
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.errors import RowsError, without_values
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.incremental.support import QUIET, Project
from klaviyo_pipeline_tests.klaviyo.support import Watched
from klaviyo_pipeline_tests.orchestration.conftest import World
from klaviyo_pipeline_tests.warehouse.helpers import put

MARK = "Plantagenet"
"""Stands in every value that an account may have about a person, whatever its type should be."""
FAILING = {PRIMARY_KEY, REFERENCES}
"""Checks that give examples, and that fail on tables that are broken on purpose."""
_KEPT = {"name", "created", "updated", "last_event_date", "joined_group_at", "datetime", "timestamp", "uuid"}
_OF_CONTENT = {
    "editor_type",
    "send_strategy",
    "send_options",
    "status",
    "archived",
    "created_at",
    "scheduled_at",
    "updated_at",
    "send_time",
    "channel",
}
_ASKED_BY_TYPE = {"profile", "event", "template", "campaign", "campaign-message"}
DAYS = ("2026-11-18", "2026-11-19")


def personal(value: Any, name: str = "") -> Any:
    """A value with the mark in every text and number below it, and in keys that senders make up."""
    if name in _KEPT | _OF_CONTENT:
        return value
    if isinstance(value, dict):
        free = {f"{MARK} key": MARK} if name.endswith("properties") else {}
        return {key: personal(each, key) for key, each in value.items()} | free
    if isinstance(value, list):
        return [personal(each) for each in value]
    return value if isinstance(value, bool) else f"{MARK} {name}, Main Street 1, anna@{MARK}.example"


def plant(_operation: str, _request: Request, response: Response) -> Response:
    document = json.loads(response.body) if response.status == 200 else {}
    data = document.get("data")
    found = [*(data if isinstance(data, list) else [data] if data else []), *document.get("included", [])]
    for resource in found:
        if resource.get("type") in _ASKED_BY_TYPE and "attributes" in resource:
            unknown = {"nickname": MARK} if resource["type"] == "profile" else {}
            attributes = {key: personal(value, key) for key, value in resource["attributes"].items()}
            resource["attributes"] = attributes | unknown
    return Response(response.status, json.dumps(document).encode(), response.headers) if found else response


def records(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()


@pytest.fixture
def planted(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    faults = Watched()
    faults.alter = plant
    monkeypatch.setattr(world.sandbox.app, "faults", faults)
    return world


def run_everything(world: World, home: Path) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        project = Project(world, instance)
        project.load(*CORE, days=DAYS)
        job = project.definitions.resolve_job_def(CHECKS_JOB)
        keys = {key for key in job.asset_layer.asset_graph.asset_check_keys if key.name in FAILING}
        job = job.get_subset(asset_selection=set(), asset_check_selection=keys)
        with project.duckdb.warehouse().writing() as con:
            con.execute("DELETE FROM klaviyo.profiles")
            con.execute("INSERT INTO klaviyo.list_profiles FROM klaviyo.list_profiles")
        return job.execute_in_process(run_config=QUIET, instance=instance, raise_on_error=False)


def test_nine_assets_when_run_with_checks_then_nothing_personal_is_in_dagsters_records(
    planted: World, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    checked = run_everything(planted, home)
    assert {each.check_name for each in checked.get_asset_check_evaluations() if not each.passed} == FAILING
    landed = "".join(map(str, planted.state().values()))
    assert landed.count(MARK) > 500, "it is in the tables"
    assert [name for name, content in records(home) if MARK.encode() in content] == []
    people = [id_.encode() for id_ in planted.ids("profiles")]
    assert [name for name, content in records(home) if any(id_ in content for id_ in people)] == []
    assert any(b"first_rows" in content for _name, content in records(home)), "the records have been looked at"


def test_all_columns_when_the_environment_asks_for_them_then_are_shown(
    planted: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_PREVIEW_COLUMNS", "all")
    result = planted.run("profiles", days=DAYS)
    (*_, last) = result.asset_materializations_for_node("klaviyo__profiles")
    assert MARK in str(last.metadata["first_rows"])
    assert "hidden_columns" not in last.metadata


def test_preview_job_then_hides_the_same_columns_and_says_so(planted: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_BASE_URL", planted.sandbox.url)
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_sandbox")
    for source in ("profiles", "events"):
        config = {"ops": {"show_first_rows": {"config": {"source": source}}}}
        result = defs.resolve_job_def("klaviyo_preview").execute_in_process(run_config=config)
        (output,) = [event for event in result.all_events if event.is_successful_output]
        metadata = output.step_output_data.metadata
        assert metadata["preview"].records
        assert MARK not in str(metadata)
        assert "KLAVIYO_PREVIEW_COLUMNS=all" in str(metadata["hidden_columns"])


# The catalogue


def test_columns_that_are_allowed_then_exist_and_every_source_has_some() -> None:
    for name, source in CORE.items():
        known = {column.name for column in source.columns}
        assert set(source.impersonal) <= known, name
        assert source.impersonal, name


@pytest.mark.parametrize("source", ["profiles", "list_profiles", "event_profiles", "events"])
def test_columns_about_people_then_are_not_allowed(source: str) -> None:
    about = {"email", "phone_number", "external_id", "first_name", "last_name", "organization", "title", "image"}
    about |= {"profile_id", "event_properties", "properties", "subscriptions", "predictive_analytics", "_extra"}
    about |= {column.name for column in CORE[source].columns if column.name.startswith(("location_", "profile_"))}
    assert not about & set(CORE[source].impersonal)


def test_column_that_the_catalogue_does_not_know_then_is_hidden() -> None:
    batch = pa.record_batch({"id": ["list1"], "owner": [MARK]})
    shown = preview([batch], CORE["lists"])
    assert shown is not None
    assert "list1" in str(shown)
    assert MARK not in str(shown)


@pytest.mark.parametrize("value", ["yes", "none", "all columns"])
def test_setting_when_unknown_then_is_refused_and_hides(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_PREVIEW_COLUMNS", value)
    shown = preview([pa.record_batch({"id": ["list1"], "owner": [MARK]})], CORE["lists"])
    assert MARK not in str(shown)
    with pytest.raises(ConfigurationError, match="must be impersonal or all"):
        environment.PREVIEW_COLUMNS.value  # noqa: B018 - parsed


# Errors


VALUES = [
    MARK,
    f"O'{MARK}",
    f'"{MARK}"',
    f"{MARK}\n\nLINE 1: {MARK}",
    f"' to {MARK}\n\nLINE 1: {MARK}",
    f"'{MARK}",
    "+4512345678",
]


@pytest.mark.parametrize("column", ["value", "at"])
@pytest.mark.parametrize("value", VALUES)
def test_row_that_does_not_fit_then_the_error_does_not_quote_it(tmp_path: Path, value: str, column: str) -> None:
    row = {"id": "a", "at": None, "value": None, "props": None, column: value + ("x" if column == "value" else "")}
    with pytest.raises(RowsError, match="does not fit its column") as failed:
        put(Database(tmp_path / "store.duckdb"), pd.DataFrame([row]))
    assert MARK not in str(failed.value)
    assert "4512345678" not in str(failed.value)
    assert failed.value.__cause__ is None


def test_frame_that_mixes_types_then_the_error_does_not_quote_it() -> None:
    from klaviyo_pipeline.warehouse.rows import Incoming

    with pytest.raises(RowsError) as failed:
        Incoming(pd.DataFrame({"id": [1, MARK]}))
    assert MARK not in str(failed.value)


def test_errors_without_values_then_still_say_what_is_wrong() -> None:
    range_ = "can't be cast because the value is out of range for the destination type INT32"
    said = {
        f"Conversion Error: Type INT64 with value 99999999999 {range_}": f"Conversion Error: Type INT64 … {range_}",
        f"Conversion Error: Could not convert string '{MARK}' to INT32 when casting from source column age\n\n"
        "LINE 1: SELECT CAST(age AS INTEGER)\n               ^": (
            "Conversion Error: Could not convert string … to INT32 when casting from source column age"
        ),
        f'Invalid Input Error: Malformed JSON at byte 1 of input: unexpected character.  Input: "{MARK}"': (
            "Invalid Input Error: Malformed JSON at byte 1 of input: unexpected character. …"
        ),
        "Constraint Error: NOT NULL constraint failed: t.a": "Constraint Error: NOT NULL constraint failed: t.a",
    }
    assert {text: without_values(text) for text in said} == said


@pytest.mark.parametrize(
    "contact",
    [
        *("jane.doe@example.com", "o'brien@example.com", "jane.miller@müller.example", "jane%40example.com"),
        *("+491701234567", "+49 170 1234567", "+1-415-555-2671", "+1 (415) 555-2671", "(415) 555-2671"),
    ],
)
def test_name_with_a_contact_in_it_then_the_contact_cannot_be_read(contact: str) -> None:
    shown = mask(f"Callback of {contact}, autumn")
    assert shown.startswith("Callback of ")
    assert shown.endswith(", autumn")
    assert contact[4:11] not in shown


@pytest.mark.parametrize(
    "text", ["2026-11-28T12:00:00+00:00", "Sale 2026-11-28 (2026)", "0123e456-7890-4123-8123-012345678901", "+20 % off"]
)
def test_name_or_time_without_a_contact_in_it_then_stays(text: str) -> None:
    assert mask(text) == text
