"""What goes wrong is said in one clear sentence, and every table stays as it was."""

from __future__ import annotations

import socket
from typing import Any

import dagster as dg
import pytest
from pydantic import ValidationError

from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.client.settings import SETTINGS
from klaviyo_pipeline.orchestration.assets.config import config_class
from klaviyo_pipeline.orchestration.resources import KlaviyoResource
from klaviyo_pipeline.warehouse.write_modes import WriteMode
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.orchestration.conftest import World, failure_text

DAY = "2026-11-18"


@pytest.fixture
def loaded(world: World) -> World:
    assert world.run("events", days=DAY).success
    assert world.run("lists", "list_profiles").success
    return world


@pytest.mark.parametrize(
    ("source", "klaviyo", "config", "says"),
    [
        ("events", {"api_key": "pk_wrong"}, {}, ["does not accept the API key from the code"]),
        ("lists", {"api_key": "pk_events_only"}, {}, ["may not read this", "lists:read"]),
        ("list_profiles", {}, {"list_ids": ["NOPE01"]}, ["NOPE01", "does not exist"]),
        ("event_metrics", {}, {"event_ids": ["NOPE01"]}, ["NOPE01"]),
        ("events", {}, {"start_time": "yesterday"}, ["start_time", "yesterday", "ISO 8601"]),
        ("events", {}, {"start_time": "2026-11-18", "end_time": "2026-11-17"}, ["start_time", "before end_time"]),
        ("lists", {}, {"incremental": False, "start_time": "2026-11-18"}, ["incremental is off"]),
    ],
)
def test_bad_request_then_one_sentence_and_tables_untouched(
    loaded: World, source: str, klaviyo: dict[str, Any], config: dict[str, Any], says: list[str]
) -> None:
    before = loaded.state()

    result = loaded.run(source, days=DAY if source.startswith("event") else None, klaviyo=klaviyo, config=config)

    text = failure_text(result)
    assert all(part in text for part in says), text
    assert "\n" not in text
    assert "pk_" not in text
    assert loaded.state() == before


def test_unreachable_host_then_says_which_and_tables_stay(loaded: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_pipeline.klaviyo.client.client.KlaviyoClient._wait_before", lambda *_: 0.0)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
    before = loaded.state()

    result = loaded.run("events", days=DAY, klaviyo={"base_url": address, "retry_limit": 1})

    assert address in failure_text(result)
    assert loaded.state() == before


def test_missing_key_then_says_where_to_set_it(world: World) -> None:
    result = world.run("lists", klaviyo={"api_key": ""})

    assert "KLAVIYO_API_KEY" in failure_text(result)
    assert not world.path.exists()


@pytest.mark.parametrize("name", list(SETTINGS))
@pytest.mark.parametrize("side", ["below", "above"])
def test_setting_out_of_bounds_is_refused_when_the_configuration_is_read(name: str, side: str) -> None:
    setting = SETTINGS[name]
    value = setting.minimum - 1 if side == "below" else setting.maximum + 1

    with pytest.raises(ValidationError) as refused:
        KlaviyoResource(**{name: int(value)})

    text = str(refused.value)
    assert f"{name} is {int(value)}" in text
    assert f"from {setting.minimum:g} to {setting.maximum:g}" in text


@pytest.mark.parametrize("revision", ["2026-13-01", "latest", "20260715", "2099-01-15", "2019-01-01"])
def test_bad_revision_is_refused_when_the_configuration_is_read(revision: str) -> None:
    with pytest.raises(ValidationError, match="revision is"):
        KlaviyoResource(revision=revision)


def test_unknown_write_mode_is_refused_with_what_is_allowed(world: World) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match="_or_replace_on_new_data_or_merge got upsert"):
        world.run("lists", config={"write_mode": "upsert"})
    assert not world.path.exists()


def test_a_time_that_a_source_does_not_filter_by_is_refused_with_what_is_allowed(world: World) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match="filter_by not in enum type created got updated"):
        world.run("events", config={"filter_by": "updated"})


@pytest.mark.parametrize("source", [source for source in CORE.values() if source.time_fields])
def test_the_launchpad_knows_the_values_of_choices(source: Source) -> None:
    schema = config_class(source.name).to_fields_dict()

    def values(name: str) -> set[str]:
        return {each.config_value for each in schema[name].config_type.inner_type.enum_values}

    assert values("write_mode") == set(WriteMode)
    assert values("filter_by") == set(source.filter_by)


def test_api_key_is_not_in_a_repr() -> None:
    assert "pk_secret" not in repr(KlaviyoResource(api_key="pk_secret"))
