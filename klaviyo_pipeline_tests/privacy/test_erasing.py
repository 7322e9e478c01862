"""A person is erased from a database: from every table, in every spelling, to the last byte, and does not come back."""

from __future__ import annotations

import json
from datetime import UTC

import pytest

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.loads.destination import Place
from klaviyo_pipeline.loads.load import land
from klaviyo_pipeline.loads.preview import preview
from klaviyo_pipeline.loads.request import LoadRequest
from klaviyo_pipeline.people import ERASED, Person
from klaviyo_pipeline.warehouse.erasing import erase, held_of
from klaviyo_pipeline.warehouse.errors import PrivacySecretError
from klaviyo_pipeline.warehouse.ledger import history
from klaviyo_pipeline_tests.privacy.people_in_a_shop import SECRET, Shop, files_with
from klaviyo_pipeline_tests.privacy.planted import ADDRESS, EXTERNAL, NAME, OTHER, TRACES, load_all, plant

KEY = SECRET.encode()


@pytest.mark.parametrize(
    "asked",
    [
        Person(emails=frozenset({"ZQAnna+anything@xn--exmple-cua.com"})),
        Person(phones=frozenset({"0170 1239876"})),
        Person(external_ids=frozenset({EXTERNAL})),
    ],
    ids=["by address", "by national number", "by external id"],
)
def test_person_is_in_no_table_and_no_file_and_does_not_come_back(shop: Shop, asked: Person) -> None:
    id_ = plant(shop)
    load_all(shop)
    with shop.database.writing() as con:
        con.execute("CREATE TABLE own (who VARCHAR, about VARCHAR)")
        con.execute("INSERT INTO own VALUES (?, 'x'), ('Bob', ?), ('Eve', 'nothing')", [id_, f"knows {ADDRESS}"])
    people = shop.sql("SELECT count(*) FROM klaviyo.profiles")[0][0]
    others = shop.sql("SELECT count(*) FROM klaviyo.events WHERE profile_id <> ? OR profile_id IS NULL", id_)
    before = "".join(shop.texts())
    assert all(trace in before for trace in (NAME, id_, EXTERNAL, "zqstreet"))

    would = erase(shop.database, asked, KEY, dry_run=True)
    assert "".join(shop.texts()) == before
    done = erase(shop.database, asked, KEY)

    assert (would.rows, would.values) == (done.rows, done.values)
    assert done.profiles == 1
    after = "".join(shop.texts()).casefold()
    assert [trace for trace in (*TRACES, id_.lower()) if trace in after] == []
    assert files_with(shop.folder, *TRACES, id_) == []
    assert shop.sql("SELECT count(*) FROM klaviyo.profiles") == [(people - 1,)]
    assert shop.sql("SELECT count(*) FROM klaviyo.events") == others
    assert shop.sql("FROM own ORDER BY who") == [("Bob", "[erased]"), ("Eve", "nothing")]
    kept = shop.sql("SELECT DISTINCT event_properties->>'kept', event_properties->>'$.\"$value\"' FROM klaviyo.events")
    assert kept == [("as it was", "2")]
    (entry,) = [each for each in history(shop.database) if each.kind == "erase"]
    assert entry.deleted == sum(done.rows.values())

    load_all(shop)
    again = "".join(shop.texts()).casefold()
    assert [trace for trace in (*TRACES, id_.lower()) if trace in again] == []
    assert files_with(shop.folder, *TRACES, id_) == []
    assert shop.sql("SELECT count(*) FROM klaviyo.profiles") == [(people - 1,)]


def test_load_that_was_fetched_before_the_person_was_erased_is_fetched_again(shop: Shop) -> None:
    id_ = plant(shop)
    shop.load("profiles")
    ready = shop.fetch("profiles")
    erase(shop.database, Person(profiles=frozenset({id_})), KEY)
    land(ready)
    assert shop.sql("SELECT count(*) FROM klaviyo.profiles WHERE id = ?", id_) == [(0,)]
    assert [trace for trace in TRACES if trace in "".join(shop.texts())] == []
    assert files_with(shop.folder, *TRACES) == []


def test_preview_leaves_out_the_person_in_rows_and_in_texts_of_others(shop: Shop) -> None:
    id_ = plant(shop)
    source = SOURCES["profiles"]
    wanted = LoadRequest(source=source, options=source.choose(), incremental=False)
    place = Place(database=shop.database, table="profiles")
    shop.load("profiles")
    assert NAME in str(preview(shop.client, wanted, UTC, rows=100, place=place).rows)

    erase(shop.database, Person(profiles=frozenset({id_})), KEY)

    shown = str(preview(shop.client, wanted, UTC, rows=100, place=place).rows).casefold()
    assert [trace for trace in (*TRACES, id_.lower()) if trace in shown] == []
    assert ERASED in shown


def test_load_without_the_secret_of_those_who_were_erased_is_refused(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.load("lists", "profiles")
    (id_,) = shop.sql("SELECT id FROM klaviyo.profiles LIMIT 1")[0]
    erase(shop.database, Person(profiles=frozenset({id_})), KEY)
    for secret, said in (("", "is not set"), ("another secret of the tests", "another KLAVIYO_PRIVACY_SECRET")):
        monkeypatch.setenv("KLAVIYO_PRIVACY_SECRET", secret)
        with pytest.raises(PrivacySecretError, match=said):
            shop.fetch("profiles")
        with pytest.raises(PrivacySecretError, match=said):
            erase(shop.database, Person(profiles=frozenset({id_})), secret.encode())


def test_person_whose_identifiers_are_hashed_is_found_by_the_hashes(shop: Shop) -> None:
    id_ = plant(shop)
    shop.privacy = {"email": "hash", "phone": "hash", "external_id": "hash"}
    load_all(shop)
    done = erase(shop.database, Person(emails=frozenset({OTHER})), KEY)
    assert done.profiles == 1
    assert id_.lower() not in "".join(shop.texts()).casefold()


def test_person_is_told_from_others_with_like_numbers_and_ids(shop: Shop) -> None:
    with shop.database.writing() as con:
        con.execute("CREATE TABLE profiles (id VARCHAR, email VARCHAR, phone_number VARCHAR, external_id VARCHAR)")
        rows = [("a", "a@x.example", "+491701234567", "1001"), ("b", "aa@x.example", "+11701234567", "10010")]
        con.executemany("INSERT INTO profiles VALUES (?, ?, ?, ?)", rows)
        con.execute("CREATE TABLE orders (id VARCHAR, about JSON)")
        about = {"order": 1001, "at": 1701234567, "mail": "aa@x.example", "sku": "1001"}
        con.execute("INSERT INTO orders VALUES ('1001', ?)", [json.dumps(about)])
    done = erase(shop.database, Person(emails=frozenset({"a@x.example"})), KEY)
    assert (done.rows, done.values) == ({"main.profiles": 1}, {})
    assert shop.sql("SELECT id FROM profiles") == [("b",)]
    assert [json.loads(row[1]) for row in shop.sql("FROM orders")] == [about]


def test_all_that_is_held_of_a_person_can_be_read(shop: Shop) -> None:
    id_ = plant(shop)
    load_all(shop)
    held = held_of(shop.database, Person(profiles=frozenset({id_})), KEY)
    assert {row["id"] for row in held["klaviyo.profiles"]} >= {id_}
    events = shop.sql("SELECT id FROM klaviyo.events WHERE profile_id = ?", id_)
    assert {row["id"] for row in held["klaviyo.events"]} >= {row[0] for row in events} != set()
    assert len(held["klaviyo.profiles"]) == 2, "and the one who mentions them"
