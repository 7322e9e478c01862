"""A preview shows the first rows, typed as they land, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from klaviyo_pipeline.klaviyo.catalogue.columns import ColumnType
from klaviyo_pipeline.loads.table import DUCKDB_TYPES
from klaviyo_pipeline_tests.breadth import few
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.transfers.workplace import Workplace

TIMES = {name: source.time_fields[0].name for name, source in CORE.items() if source.time_fields}


@pytest.mark.parametrize("source", few(CORE, 4))
def test_first_rows_are_those_that_land_with_the_types_that_they_land_with(place: Workplace, source: str) -> None:
    Path("config.yml").write_text(yaml.safe_dump({"source": source, "destination": {"table": "rows"}}))

    shown = place.json("preview", "config.yml", "--rows", "3")

    assert place.left() == ["config.yml"]
    assert len(shown["rows"]) == 3
    if source in {"event_metrics", "event_profiles"}:
        place.write("events", "source: events")
        assert place.run("events").success
    place.write("rows", Path("config.yml").read_text())
    assert place.run("rows").success
    landed = dict(place.sql("SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'rows'"))
    types = {column["name"]: DUCKDB_TYPES[ColumnType(column["type"])] for column in shown["columns"]}
    spelled = {name: kind.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ") for name, kind in landed.items()}
    assert types.items() <= spelled.items()
    ids = {row[0] for row in place.sql("SELECT id FROM klaviyo.rows")}
    assert {row["id"] for row in shown["rows"]} <= ids


@pytest.mark.parametrize("source", list(TIMES))
def test_preview_keeps_to_the_window(place: Workplace, source: str) -> None:
    start, end = "2026-09-17T00:00:00", "2026-09-19T00:00:00"
    Path("config.yml").write_text(f"source: {source}\noptions: {{start_time: '{start}', end_time: '{end}'}}")

    rows = place.json("preview", "config.yml", "--rows", "1000")["rows"]

    assert all(start <= row[TIMES[source]].replace(" ", "T") < end for row in rows)


def test_preview_of_given_ids_shows_these(place: Workplace) -> None:
    wanted = place.truth("members")[0]["list_id"]
    Path("config.yml").write_text(f"in: {{data_source: profiles_in_list, list_id: {wanted}}}")
    rows = place.json("preview", "config.yml")["rows"]
    assert {row["list_id"] for row in rows} == {wanted}


def test_preview_of_what_the_key_may_not_read_names_the_scope(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_lists_only")
    Path("config.yml").write_text("source: events")
    assert "events:read" in place.cli("preview", "config.yml", exit_code=1).stderr


def test_preview_takes_few_requests(own_place: Workplace) -> None:
    Path("config.yml").write_text("source: list_profiles")
    own_place.cli("preview", "config.yml", "--rows", "2")
    assert own_place.sandbox.counts()["total"] <= 3
