"""Transfers and previews of child tables, of sources that have children, and of reports."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from klaviyo_pipeline import clock
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.sandbox.data.rows import Suppression
from klaviyo_pipeline.sandbox.server import RunningSandbox
from klaviyo_pipeline_tests.breadth import broad, few
from klaviyo_pipeline_tests.transfers.workplace import UNTIL, Workplace, small_sandbox, workplace_at

CHILDREN = [name for name, source in SOURCES.items() if source.child is not None]


def rows(place: Workplace, table: str) -> list[Any]:
    return [row[0] for row in place.sql(f"SELECT id FROM klaviyo.{table} ORDER BY 1")]


@pytest.fixture(scope="module")
def full_shop() -> Iterator[RunningSandbox]:
    """A sandbox whose small shop has rows in every child table."""
    with small_sandbox() as sandbox:
        people = sandbox.store.profiles
        first = next(iter(people.rows.values()))
        people.put([first._replace(suppressions=[Suppression("USER_SUPPRESSED", first.updated)])])
        yield sandbox


@pytest.fixture
def full_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_shop: RunningSandbox) -> Iterator[Workplace]:
    with workplace_at(tmp_path, full_shop, monkeypatch) as workplace:
        yield workplace


@pytest.mark.parametrize("source", few(CHILDREN, 4))
def test_transfer_of_a_child_table_alone_lands_its_rows_in_its_table_and_none_of_its_parent(
    full_place: Workplace, source: str
) -> None:
    place = full_place
    place.write("one", f"source: {source}\ndestination: {{table: child}}\n")
    shown = place.json("preview", "one", "--rows", "1000")["rows"]
    assert place.run("one").success
    assert {row["id"] for row in shown} <= set(rows(place, "child"))
    assert rows(place, "child") != []
    assert {row[0] for row in place.sql("SELECT table_name FROM duckdb_tables()")} == {"child", "ledger"}
    before = place.sql("SELECT * EXCLUDE (_run_id) FROM klaviyo.child ORDER BY ALL")
    assert place.run("one").success
    assert place.sql("SELECT * EXCLUDE (_run_id) FROM klaviyo.child ORDER BY ALL") == before


@pytest.mark.parametrize(
    ("source", "mode"),
    broad(product(("event_attributions", "campaign_tags"), ("append", "replace", "replace_on_new_data"))),
)
def test_child_table_alone_in_every_other_mode_has_each_row_once_after_two_runs(
    place: Workplace, source: str, mode: str
) -> None:
    place.write("merged", f"source: {source}\n")
    place.write("one", f"source: {source}\ndestination: {{mode: {mode}}}\n")
    assert place.run("merged").success
    for _ in range(2):
        assert place.run("one").success
    assert rows(place, "one") == rows(place, "merged") != []


@pytest.mark.parametrize("source", few([name for name, source in SOURCES.items() if source.report is not None], 3))
def test_transfer_and_preview_of_a_report(place: Workplace, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Windows end at the sandbox's present, so it is soon after the end of the shop's history.
    now = datetime.fromisoformat(UNTIL) + timedelta(days=3)
    monkeypatch.setattr(place.sandbox.app, "_clock", now.timestamp)
    monkeypatch.setattr(clock, "now", lambda: now)
    place.write("one", f"source: {source}\ndestination: {{table: report}}\n")
    shown = place.json("preview", "one", "--rows", "5")
    outcome = place.run("one")
    assert outcome.success, outcome.message
    columns = {row[0] for row in place.sql("SELECT column_name FROM duckdb_columns() WHERE table_name = 'report'")}
    assert {column["name"] for column in shown["columns"]} <= columns
    assert rows(place, "report") != []
    before = numbers_of(place)
    assert place.run("one").success
    assert numbers_of(place) == before != []


def numbers_of(place: Workplace) -> list[Any]:
    """The rows of the report that have a number other than zero.

    An answer to a series has no groups without any number in it. Which rows of zeros there are follows from its days.
    """
    every = place.sql("SELECT * EXCLUDE (_run_id, _loaded_at) FROM klaviyo.report ORDER BY ALL")
    return [row for row in every if any(isinstance(value, float) and value for value in row)]


@pytest.mark.parametrize(
    ("source", "option", "table"), [("lists", "tags", "list_tags"), ("flows", "actions", "flow_actions")]
)
def test_option_that_fills_child_tables_only_is_refused_with_the_transfer_to_write(
    place: Workplace, source: str, option: str, table: str
) -> None:
    place.write("one", f"source: {source}\noptions: {{{option}: true}}\n")
    said = place.cli("preview", "one", exit_code=2).stderr.replace("\n", " ")
    assert f"options.{option} is not taken: it fills {table}" in said
    assert f"write source: {table}." in said


def test_transfer_of_a_source_that_has_children_fills_its_own_table_only(place: Workplace) -> None:
    place.write("one", "source: campaigns\n")
    assert place.run("one").success
    assert rows(place, "one") == sorted(row["id"] for row in place.truth("campaigns"))
    assert {row[0] for row in place.sql("SELECT table_name FROM duckdb_tables()")} == {"one", "ledger"}


def test_child_table_alone_has_no_chart_and_no_warning_about_one(place: Workplace) -> None:
    place.write("one", "source: event_attributions\n")
    assert "plot" not in place.cli("transfer", "run", "one").output
