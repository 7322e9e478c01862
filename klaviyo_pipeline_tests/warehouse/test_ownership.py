"""A table belongs to one data source of one account, by the ledger's memory."""

from __future__ import annotations

from typing import Any

import pytest

from klaviyo_pipeline.warehouse import ledger
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.errors import OwnerError
from klaviyo_pipeline.warehouse.landing import Sweep
from klaviyo_pipeline.warehouse.ownership import Owner, known_account
from klaviyo_pipeline.warehouse.tables import Table
from klaviyo_pipeline_tests.warehouse.helpers import EVENTS, digest, event, put, query

OURS = Owner("events", "ACC1", "key1")
ROTATED = Owner("events", "ACC1", "key2")
THEIRS = Owner("events", "ACC2", "key3")
UNKNOWN = Owner("events", None, "key4")
METRICS = Owner("metrics", "ACC1", "key1")
MODES = ["merge", "append", "replace", "replace_on_new_data"]


def land(database: Database, owner: Owner | None, mode: str = "merge", extract: str = "", **options: Any) -> None:
    extract = extract or f"{mode} of {owner}"
    put(database, [event("a"), event(extract)], mode, owner=owner, extract_id=extract, **options)


@pytest.mark.parametrize("mode", MODES)
def test_other_data_source_is_refused_in_any_mode_and_both_are_named(database: Database, mode: str) -> None:
    land(database, OURS)
    state = digest(database)

    with pytest.raises(OwnerError, match=r"klaviyo\.events has rows of the data source events, so rows of metrics"):
        land(database, METRICS, mode)

    assert digest(database) == state
    assert [entry.data_source for entry in ledger.history(database)] == ["events"]


@pytest.mark.parametrize("mode", MODES)
def test_other_account_is_refused_where_rows_change_and_both_are_named(database: Database, mode: str) -> None:
    land(database, OURS)
    state = digest(database)

    if mode == "append":
        land(database, THEIRS, mode)
        with pytest.raises(OwnerError, match="ACC2"):
            land(database, OURS, "merge", "later", sweep=Sweep())
    else:
        with pytest.raises(OwnerError, match=r"rows of the Klaviyo account ACC1, .* belongs to the account ACC2"):
            land(database, THEIRS, mode)
        assert digest(database) == state


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("owner", [ROTATED, UNKNOWN])
def test_other_key_of_the_same_or_of_an_unknown_account_is_taken(database: Database, owner: Owner, mode: str) -> None:
    land(database, OURS)

    land(database, owner, mode)

    with database.reading() as con:
        assert known_account(con, owner.account_key or "") == (True, owner.account)
        assert known_account(con, "no such key") == (False, None)


@pytest.mark.parametrize("stranger", [METRICS, THEIRS])
@pytest.mark.parametrize("later", [UNKNOWN, None])
@pytest.mark.parametrize("mode", ["append", "merge"])
def test_rows_of_an_earlier_load_keep_their_owner_when_a_later_one_names_none(
    database: Database, mode: str, later: Owner | None, stranger: Owner
) -> None:
    land(database, OURS)
    land(database, later, mode)
    state = digest(database)

    with pytest.raises(OwnerError, match="data source events" if stranger is METRICS else "account ACC1"):
        land(database, stranger, "merge", "later", sweep=Sweep())

    assert digest(database) == state


@pytest.mark.parametrize(("first", "second"), [("Events", "events"), ("events", "EVENTS")])
def test_table_whose_name_is_written_in_another_case_is_the_same(database: Database, first: str, second: str) -> None:
    land(database, OURS, table=Table("klaviyo", first, EVENTS.columns, EVENTS.primary_key))

    with pytest.raises(OwnerError, match="data source events"):
        land(database, METRICS, table=Table("Klaviyo", second, EVENTS.columns, EVENTS.primary_key))


@pytest.mark.parametrize("owner", [METRICS, THEIRS])
@pytest.mark.parametrize("emptied", ["DROP TABLE klaviyo.events", "DELETE FROM klaviyo.events"])
def test_table_that_was_dropped_or_emptied_is_free_for_anybody(database: Database, owner: Owner, emptied: str) -> None:
    land(database, OURS)
    with database.writing() as con:
        con.execute(emptied)

    land(database, owner)
    land(database, owner, extract="again")

    with pytest.raises(OwnerError):
        land(database, OURS, extract="not any more")


def test_table_is_known_by_each_of_its_names(tmp_path: Any) -> None:
    """In klaviyo.duckdb the schema klaviyo is main."""
    database = Database(tmp_path / "klaviyo.duckdb")
    land(database, OURS)
    by_main = Table("main", "Events", EVENTS.columns, EVENTS.primary_key)

    with pytest.raises(OwnerError, match="data source events"):
        land(database, METRICS, table=by_main)


def test_ledger_of_the_first_release_knows_an_assets_source_and_no_account(database: Database) -> None:
    put(database, [event("a")], source="events")
    other = Table("klaviyo", "t", EVENTS.columns, EVENTS.primary_key)
    put(database, [event("a")], source="transfers/mine", table=other)
    with database.writing() as con:
        for column in ("data_source", "account", "account_key"):
            con.execute(f"ALTER TABLE klaviyo_pipeline.ledger DROP COLUMN {column}")

    with pytest.raises(OwnerError, match="data source events"):
        land(database, METRICS)
    land(database, OURS)
    land(database, METRICS, table=other)

    assert query(database, "SELECT data_source, account FROM klaviyo_pipeline.ledger ORDER BY entry") == [
        (None, None),
        (None, None),
        ("events", "ACC1"),
        ("metrics", "ACC1"),
    ]


def test_ledger_of_the_first_release_still_knows_an_assets_source_after_a_load_of_another_table(
    database: Database,
) -> None:
    put(database, [event("a")], source="events")
    with database.writing() as con:
        for column in ("data_source", "account", "account_key"):
            con.execute(f"ALTER TABLE klaviyo_pipeline.ledger DROP COLUMN {column}")
    land(database, METRICS, table=Table("klaviyo", "metrics", EVENTS.columns, EVENTS.primary_key))

    with pytest.raises(OwnerError, match="data source events"):
        land(database, METRICS)


def test_rows_of_no_data_source_are_not_looked_at(database: Database) -> None:
    land(database, OURS)

    land(database, None)
