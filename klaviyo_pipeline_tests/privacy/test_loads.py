"""Loads under privacy rules: what a rule takes away is in no file, and tables still join."""

from __future__ import annotations

import json
import shutil
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from klaviyo_pipeline.klaviyo.catalogue.columns import Column
from klaviyo_pipeline.klaviyo.catalogue.declaring import STRING
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.decode.guarding import Guard
from klaviyo_pipeline.klaviyo.decode.pages import PageDecoder
from klaviyo_pipeline.klaviyo.privacy.model import DROP
from klaviyo_pipeline.loads.load import land
from klaviyo_pipeline.loads.preview import preview
from klaviyo_pipeline.loads.request import LoadRequest
from klaviyo_pipeline.people import email, keyed_hash
from klaviyo_pipeline.sandbox.admin import truth
from klaviyo_pipeline.staged_pages import encode_page
from klaviyo_pipeline.times import parse_zone
from klaviyo_pipeline_tests.privacy.people_in_a_shop import SECRET, Shop, files_with
from klaviyo_pipeline_tests.soaking import examples

HASHED = {"email": "hash", "phone": "hash", "external_id": "hash"}


def test_rules_hold_for_each_event_profile_too_which_is_read_as_profiles_are(shop: Shop) -> None:
    shop.privacy = HASHED
    shop.load("profiles", "events")
    shop.load_event_profiles()
    joined = "SELECT count(*) FROM klaviyo.event_profiles AS e JOIN klaviyo.profiles AS p ON e.email = p.email"
    assert shop.sql(joined) == shop.sql("SELECT count(email) FROM klaviyo.event_profiles") != [(0,)]
    assert shop.sql("SELECT count(*) FROM klaviyo.event_profiles WHERE contains(email, '@')") == [(0,)]


def test_stage_that_was_fetched_under_other_rules_is_removed_and_not_taken_up(shop: Shop) -> None:
    staged = shop.fetch("profiles").staged
    staged.keep()
    (before,) = [path for path in shop.area.root.iterdir() if path.is_dir()]
    assert shop.fetch("lists").staged.rows
    assert before.exists()
    shop.privacy = HASHED
    again = shop.fetch("profiles").staged
    assert not before.exists()
    assert again.progress.resumed_rows == 0
    again.keep()
    assert shop.fetch("profiles").staged.progress.resumed_rows == again.rows


def test_preview_follows_the_rules(shop: Shop) -> None:
    shop.privacy = {"email": "hash", "name": "redact", "phone": "drop"}
    source = SOURCES["profiles"]
    wanted = LoadRequest(source=source, options=source.choose(), incremental=False)
    rows = preview(shop.client, wanted, parse_zone("UTC", "zone")).rows
    assert {row["first_name"] for row in rows} <= {"[redacted]", None}
    assert {len(row["email"]) for row in rows if row["email"]} == {32}
    assert {row["phone_number"] for row in rows} == {None}


def test_column_whose_neighbour_is_dropped_is_written_without_the_neighbours_bytes() -> None:
    """Arrow writes a slice of a longer array with the bytes behind it."""
    columns = [Column(name, STRING, ("attributes", name), "") for name in ("a", "b")]
    columns = [Column("id", STRING, ("id",), ""), *columns]
    body = {"data": [{"type": "x", "id": "1", "attributes": {"a": "kept", "b": "zqmark"}}], "links": {"next": None}}
    page = PageDecoder(columns, "2026-07-15").decode(json.dumps(body).encode())
    let = Guard({"b": DROP}).let(page)
    assert b"zqmark" not in bytes(encode_page(let.batch, first=True))
    assert let.batch.column("a").to_pylist() == ["kept"]


def test_keys_that_are_allowed_stay_and_the_others_are_dropped_hashed_or_redacted(shop: Shop) -> None:
    said = {"$value": 5.0, "Items": [{"Name": "A", "email": "A@x.example"}], "note": "x", "extra": {"deep": {"SKU": 1}}}

    def plant(kind: str, resource: dict[str, Any]) -> None:
        if kind == "event":
            resource["attributes"]["event_properties"] = said

    shop.alter(plant)
    rule = {"allow": ["$VALUE", "items", "extra"], "hash": ["email"], "redact": ["sku"], "deny": ["na*"]}
    shop.privacy = {"events.event_properties": rule}
    shop.load("events")
    ((found,),) = shop.sql("SELECT DISTINCT event_properties FROM klaviyo.events")
    hashed = keyed_hash(SECRET.encode(), "a@x.example")
    kept = {"$value": 5.0, "Items": [{"email": hashed}], "extra": {"deep": {"SKU": "[redacted]"}}}
    assert json.loads(found) == kept


def test_tables_join_by_hashed_columns_as_they_did_by_the_values(shop: Shop) -> None:
    """Members of lists spell their addresses in another way than profiles do."""

    def spell(kind: str, resource: dict[str, Any]) -> None:
        attributes = resource.get("attributes", {})
        if kind == "profile" and "joined_group_at" in attributes and attributes["email"]:
            attributes["email"] = f" {attributes['email'].upper()}"

    shop.alter(spell)
    shop.privacy = HASHED
    shop.load("profiles", "list_profiles")
    shop.load("events", related=True)
    people = {row["id"]: row for row in truth(shop.sandbox.store, "profiles")}
    for id_, found in shop.sql("SELECT id, email FROM klaviyo.profiles WHERE email IS NOT NULL"):
        assert found == keyed_hash(SECRET.encode(), email(people[id_]["email"]))
    joined = "SELECT count(*) FROM klaviyo.{} AS o JOIN klaviyo.profiles AS p ON o.{} = p.{} AND o.profile_id = p.id"
    members = shop.sql("SELECT count(email) FROM klaviyo.list_profiles")
    assert shop.sql(joined.format("list_profiles", "email", "email")) == members != [(0,)]
    for ours, theirs in (("profile_email", "email"), ("profile_phone_number", "phone_number")):
        events = shop.sql(
            f"SELECT count({ours}) FROM klaviyo.events WHERE profile_id IN (SELECT id FROM klaviyo.profiles)"
        )
        assert shop.sql(joined.format("events", ours, theirs)) == events != [(0,)]


MARK = "zqmark"
NUMBER = 77700012345
ODD = st.text(max_size=12)
VALUES = st.one_of(
    ODD.map(lambda text: json.dumps(f"{MARK}{text}")),
    ODD.map(lambda text: json.dumps(f"{text}{MARK}+x@{MARK}.example")),
    st.sampled_from([f"{NUMBER}", f'["{MARK}", {{"a": {NUMBER}}}]', f'{{"{MARK}": ["+49 170 {NUMBER}"]}}']),
    st.sampled_from([f"{NUMBER}" * 9, f'["{MARK}", NaN]', f"{NUMBER}e999", "null"]),
    st.integers(2, 450).map(lambda depth: "[" * depth + f'"{MARK}"' + "]" * depth),
)
"""JSON texts: hypothesis cannot print what is nested too deeply."""
_ATTRIBUTES = ("email", "phone_number", "external_id", "first_name", "title", "locale", "properties", "image")
_KINDS = st.sampled_from(["drop", "redact"])


@examples(9, settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]))
@given(
    st.fixed_dictionaries(dict.fromkeys(_ATTRIBUTES, VALUES)),
    st.fixed_dictionaries(dict.fromkeys(("address1", "city", "latitude", "zip", "new"), VALUES)),
    st.dictionaries(st.sampled_from(["Email", "$email", "note", "Items", MARK]), VALUES, min_size=1),
    _KINDS,
)
def test_no_value_that_is_dropped_hashed_or_redacted_reaches_a_file(
    shop: Shop, attributes: dict[str, str], location: dict[str, str], properties: dict[str, str], kind: str
) -> None:
    shutil.rmtree(shop.folder)
    shop.folder.mkdir()

    given = {name: json.loads(text) for name, text in attributes.items()}
    placed = {name: json.loads(text) for name, text in location.items()}
    said = {name: json.loads(text) for name, text in properties.items()}

    def plant(type_: str, resource: dict[str, Any]) -> None:
        if type_ == "profile":
            resource["attributes"] |= {**given, "location": placed, "nickname": given["email"]}
        elif type_ == "event":
            resource["attributes"]["event_properties"] = {"$value": 5, "$extra": said, **said}

    shop.alter(plant)
    shop.privacy = {
        **HASHED,
        "profiles.first_name": kind,
        "profiles.title": kind,
        "profiles.locale": "drop",
        "profiles.properties": kind,
        "profiles.image": "hash",
        "profiles.location_*": "drop",
        "events.event_properties": {
            "allow": ["$value", "$email", "$extra"],
            "hash": ["*email"],
            "deny": ["note", "items", MARK],
        },
        "name": kind,
    }
    for name in ("profiles", "events"):
        staged = shop.fetch(name, **({"related": True} if name == "events" else {}))
        rows = "".join(str(batch.to_pylist()) for batch in staged.staged.batches())
        assert "id" in rows
        assert MARK not in rows
        assert str(NUMBER) not in rows
        assert files_with(shop.folder, MARK, str(NUMBER)) == []
        land(staged)
    landed = "".join(shop.texts())
    assert shop.sql("SELECT count(*) > 20 FROM klaviyo.profiles") == [(True,)]
    # Properties that cannot be decoded are not kept at all.
    found = shop.sql("SELECT DISTINCT event_properties->>'$.\"$value\"' FROM klaviyo.events")
    assert found in ([("5",)], [(None,)])
    assert shop.sql("SELECT count(*) > 20 FROM klaviyo.events") == [(True,)]
    assert MARK not in landed
    assert str(NUMBER) not in landed
    assert files_with(shop.folder, MARK, str(NUMBER)) == []
