"""Columns that a person does without: not fetched where Klaviyo allows it, not stored, and kept where they were."""

from __future__ import annotations

import pytest

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.columns import Column
from klaviyo_pipeline.klaviyo.catalogue.declaring import JSON, STRING
from klaviyo_pipeline.klaviyo.catalogue.leaving_out import takes, without
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.decode.pages import PageDecoder
from klaviyo_pipeline_tests.orchestration.conftest import World, world
from klaviyo_pipeline_tests.transfers.workplace import Workplace, own_place, place, shop

__all__ = ["own_place", "place", "shop", "world"]

COLUMNS = "SELECT column_name FROM duckdb_columns() WHERE table_name = '{}'"


@pytest.mark.parametrize(
    ("source", "names", "kept"),
    [
        ("events", ["event_properties", "uuid"], "datetime"),
        ("profiles", ["email", "phone_number", "location_city", "location_address1"], "location_country"),
        ("event_profiles", ["email", "properties"], "event_datetime"),
        ("list_profiles", ["email", "phone_number"], "list_id"),
    ],
)
def test_columns_that_are_left_out_are_in_no_table_and_in_no_extra_and_the_others_are_as_ever(
    place: Workplace, source: str, names: list[str], kept: str
) -> None:
    if source == "event_profiles":
        place.write("events", "source: events")
        assert place.run("events").success
    place.write("whole", f"source: {source}")
    place.write("less", f"source: {source}\noptions: {{leave_out: {names}}}")
    assert place.run("whole").success
    assert place.run("less").success
    columns = [row[0] for row in place.sql(COLUMNS.format("less"))]
    assert set(columns) == {row[0] for row in place.sql(COLUMNS.format("whole"))} - set(names)
    same = ", ".join(f'"{name}"' for name in columns if not name.startswith("_"))
    assert place.sql(f"SELECT {same} FROM klaviyo.less ORDER BY ALL") == (
        place.sql(f"SELECT {same} FROM klaviyo.whole ORDER BY ALL")
    )
    assert place.sql(f"SELECT count({kept}) > 0, count(_extra) FROM klaviyo.less") == [(True, 0)]
    shown = place.json("preview", "less")["columns"]
    assert not {column["name"] for column in shown} & set(names)


def test_values_of_the_left_out_columns_stay_in_rows_that_are_merged(own_place: Workplace) -> None:
    own_place.write("lists", "source: lists")
    assert own_place.run("lists").success
    (before,) = own_place.sql("SELECT id, opt_in_process FROM klaviyo.lists ORDER BY id LIMIT 1")
    assert before[1] is not None
    own_place.sandbox.store.put("lists", [{"id": before[0], "name": "Renamed", "opt_in_process": "other"}])
    own_place.write("lists", "source: lists\noptions: {leave_out: [opt_in_process], incremental: false}")
    assert own_place.run("lists").success
    after = own_place.sql(f"SELECT name, opt_in_process FROM klaviyo.lists WHERE id = '{before[0]}'")
    assert after == [("Renamed", before[1])]


def test_attributes_are_not_fetched_but_where_klaviyo_refuses_their_names(own_place: Workplace) -> None:
    """Templates' screenshot_url is not among the names that Klaviyo's fields[template] takes."""
    sent = {}
    for name, names in {"all": ["text"], "no_html": ["html"], "neither": ["html", "screenshot_url"]}.items():
        own_place.write(name, f"source: templates\noptions: {{leave_out: {names}}}")
        before = own_place.sandbox.counts()["bytes"]
        assert own_place.run(name).success
        sent[name] = own_place.sandbox.counts()["bytes"] - before
    assert sent["neither"] < sent["all"] / 2
    assert sent["no_html"] > sent["neither"]
    for name in ("no_html", "neither"):
        assert "html" not in [row[0] for row in own_place.sql(COLUMNS.format(name))]
    assert own_place.sql("SELECT id, name, editor_type FROM klaviyo.no_html ORDER BY 1") == (
        own_place.sql("SELECT id, name, editor_type FROM klaviyo.all ORDER BY 1")
    )


@pytest.mark.parametrize(
    ("source", "name", "why"),
    [
        ("events", "id", "it is the key"),
        ("events", "datetime", "loads go by this time"),
        ("events", "profile_id", "event_profiles follows from it"),
        ("profiles", "updated", "loads go by this time"),
        ("profiles", "subscriptions", "the table consents is made from it"),
        ("list_profiles", "list_id", "it is the key"),
        ("event_metrics", "event_id", "it is the key"),
    ],
)
def test_column_that_loads_need_cannot_be_left_out(place: Workplace, source: str, name: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{source}\.{name} cannot be left out: {why}"):
        without(SOURCES[source], [name])
    place.write("less", f"source: {source}\noptions:\n  leave_out: [{name}]\n")
    assert f"{source}.{name} cannot be left out: {why}" in place.cli("preview", "less", exit_code=2).stderr


def test_column_that_is_not_there_is_an_error_with_similar_names(place: Workplace) -> None:
    path = place.write("less", "source: events\noptions:\n  leave_out: [event_propertys]\n")
    said = place.cli("preview", str(path), exit_code=2).stderr
    assert "less.yml:3:15: options.leave_out[0]" in said.replace("\n", "")
    assert "events has no column 'event_propertys'; did you mean event_properties?" in said


@pytest.mark.parametrize("source", [source for source in SOURCES.values() if takes(source)], ids=lambda each: each.name)
def test_every_other_column_of_the_catalogue_can_be_left_out(source: Source) -> None:
    """One by one, and the rest has what it had."""
    free = []
    for column in source.columns:
        try:
            less = without(source, [column.name])
        except ConfigurationError:
            continue
        free.append(column.name)
        assert {each.name for each in less.columns} == {each.name for each in source.columns} - {column.name}
    assert {column.name for column in without(source, free).columns} >= set(source.primary_key)


def test_asset_leaves_out_what_the_environment_says_and_its_checks_do_not_miss_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_LEAVE_OUT", "lists.opt_in_process, lists.name, events.uuid")
    assert world.run("lists").success
    columns = world.column(COLUMNS.format("lists"))
    assert ("name" in columns, "opt_in_process" in columns, "id" in columns) == (False, False, True)
    assert world.run("lists", config={"leave_out": [], "incremental": False}).success
    assert "name" in world.column(COLUMNS.format("lists"))


def test_value_that_cannot_be_decoded_is_kept_nowhere_if_its_column_is_left_out() -> None:
    columns = [Column("id", STRING, ("id",), "")]
    left = Column("properties", JSON, ("attributes", "properties"), "")
    body = b'{"data": [{"type": "x", "id": "1", "attributes": {"properties": {"a": NaN}}}], "links": {"next": null}}'
    page = PageDecoder(columns, "2026-07-15", left_out=[left]).decode(body)
    assert page.batch.to_pylist() == [{"id": "1", "_extra": None}]
    assert PageDecoder(columns, "2026-07-15").decode(body).batch.column("_extra")[0].as_py() is not None
