"""A page's bytes to columns: right values, nothing lost, nothing that fails a load."""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import duckdb
import msgspec
import pytest

from klaviyo_pipeline.klaviyo.catalogue.columns import EXTRA
from klaviyo_pipeline.klaviyo.decode.pages import PageDecoder
from klaviyo_pipeline.klaviyo.decode.repeated_keys import FIRST_TEXTS, RepeatedKeys
from klaviyo_pipeline.klaviyo.errors import UnreadablePageError
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.klaviyo.pages import decode_profiles, extra_of, profile_page, rows_of

PROFILES = PageDecoder(CORE["profiles"].columns_for(frozenset()), "2026-07-15", "updated")


def test_attributes_when_klaviyo_adds_some_then_are_kept_in_extra_and_counted() -> None:
    page = decode_profiles({"email": "a@b.c", "mood": "fine", "scores": [1, {"x": None}]}, {"email": "d@e.f"})
    assert [row["email"] for row in rows_of(page)] == ["a@b.c", "d@e.f"]
    assert extra_of(page) == {"mood": "fine", "scores": [1, {"x": None}]}
    assert extra_of(page, 1) is None
    assert page.unknown == Counter({"mood": 1, "scores": 1})


def test_attributes_when_learned_on_one_page_then_later_pages_keep_theirs_too() -> None:
    decoder = PageDecoder(CORE["profiles"].columns_for(frozenset()), "2026-07-15")
    assert extra_of(decoder.decode(profile_page({"new1": 1}))) == {"new1": 1}
    assert extra_of(decoder.decode(profile_page({"email": "x"}))) is None
    assert extra_of(decoder.decode(profile_page({"new2": 2, "new1": 3}))) == {"new1": 3, "new2": 2}


def test_nested_attributes_when_unknown_then_are_kept_under_their_parent() -> None:
    page = decode_profiles({"location": {"city": "Aarhus", "planet": "Earth"}})
    assert rows_of(page)[0]["location_city"] == "Aarhus"
    assert extra_of(page) == {"location": {"planet": "Earth"}}
    assert page.unknown == Counter({"location.planet": 1})


@pytest.mark.parametrize(
    ("attributes", "column", "kept"),
    [
        ({"location": {"region": 8000}}, "location_region", {"location": {"region": 8000}}),
        ({"email": {"address": "x"}}, "email", {"email": {"address": "x"}}),
        ({"email": ["x"]}, "email", {"email": ["x"]}),
        ({"first_name": True}, "first_name", {"first_name": True}),
        ({"location": ["Aarhus"]}, "location_city", {"location": ["Aarhus"]}),
        ({"location": "Aarhus"}, "location_city", {"location": "Aarhus"}),
        ({"location": {"latitude": "north"}}, "location_latitude", {"location": {"latitude": "north"}}),
        ({"location": {"latitude": True}}, "location_latitude", {"location": {"latitude": True}}),
        ({"updated": "last week"}, "updated", {"updated": "last week"}),
        ({"updated": 1788529135}, "updated", {"updated": 1788529135}),
        ({"updated": ""}, "updated", {"updated": ""}),
        ({"updated": "2026-02-30T00:00:00+00:00"}, "updated", {"updated": "2026-02-30T00:00:00+00:00"}),
        ({"email": 2**70}, "email", {"email": 2**70}),
        ({"location": {"latitude": "NaN"}}, "location_latitude", {"location": {"latitude": "NaN"}}),
        ({"location": {"latitude": "-Infinity"}}, "location_latitude", {"location": {"latitude": "-Infinity"}}),
        ({"location": {"latitude": "1e999"}}, "location_latitude", {"location": {"latitude": "1e999"}}),
        ({"location": {"latitude": "1_000.5"}}, "location_latitude", {"location": {"latitude": "1_000.5"}}),
        ({"location": {"latitude": "٣"}}, "location_latitude", {"location": {"latitude": "٣"}}),
        ({"location": {"latitude": 10**400}}, "location_latitude", {"location": {"latitude": 10**400}}),
        ({"updated": "0001-01-01T00:00:00+01:00"}, "updated", {"updated": "0001-01-01T00:00:00+01:00"}),
        ({"updated": "0000-01-01T00:00:00+00:00"}, "updated", {"updated": "0000-01-01T00:00:00+00:00"}),
        ({"updated": "0000-12-31T23:00:00-02:00"}, "updated", {"updated": "0000-12-31T23:00:00-02:00"}),
        ({"updated": "9999-12-31T23:59:59-12:00"}, "updated", {"updated": "9999-12-31T23:59:59-12:00"}),
        ({"updated": "10000-01-01T00:00:00+00:00"}, "updated", {"updated": "10000-01-01T00:00:00+00:00"}),
        ({"updated": "2026-06-30T23:59:60+00:00"}, "updated", {"updated": "2026-06-30T23:59:60+00:00"}),
        ({"updated": "2026-06-30T24:00:00+00:00"}, "updated", {"updated": "2026-06-30T24:00:00+00:00"}),
        ({"updated": "infinity"}, "updated", {"updated": "infinity"}),
    ],
)
def test_value_when_it_does_not_fit_its_column_then_null_there_and_the_original_in_extra(
    attributes: dict[str, Any], column: str, kept: dict[str, Any]
) -> None:
    page = decode_profiles({"email": "fits@x.y", "updated": "2026-09-01T00:00:00+00:00"}, attributes)
    row = rows_of(page)[1]
    assert row[column] is None
    assert extra_of(page, 1) == kept
    assert sum(page.misfits.values()) == 1
    assert page.unknown == Counter()
    assert rows_of(page)[0]["email"] == "fits@x.y"
    assert rows_of(page)[0]["updated"] == datetime(2026, 9, 1, tzinfo=UTC)


@pytest.mark.parametrize("value", ["4.0", "4", 4.5, True, 2**63, -(2**70), [4]])
def test_integer_when_it_is_none_then_null_and_the_original_in_extra(value: Any) -> None:
    body = {"data": [{"id": "e", "attributes": {"timestamp": each}} for each in (4, value)]}
    page = PageDecoder(CORE["events"].columns, "2026-07-15").decode(json.dumps(body).encode())
    assert [row["timestamp"] for row in rows_of(page)] == [4, None]
    assert extra_of(page, 1) == {"timestamp": value}
    assert page.misfits == Counter({"timestamp": 1})


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-09-04T13:38:55+00:00", datetime(2026, 9, 4, 13, 38, 55, tzinfo=UTC)),
        ("2026-09-04 13:38:55+00:00", datetime(2026, 9, 4, 13, 38, 55, tzinfo=UTC)),
        ("2026-09-04T13:38:55Z", datetime(2026, 9, 4, 13, 38, 55, tzinfo=UTC)),
        ("2026-09-04T13:38:55.935203+00:00", datetime(2026, 9, 4, 13, 38, 55, 935203, tzinfo=UTC)),
        ("2026-09-04T13:38:55.935+00:00", datetime(2026, 9, 4, 13, 38, 55, 935000, tzinfo=UTC)),
        ("2026-09-04T13:38:55", datetime(2026, 9, 4, 13, 38, 55, tzinfo=UTC)),
        ("2026-09-04 13:38", datetime(2026, 9, 4, 13, 38, tzinfo=UTC)),
        ("2026-09-04", datetime(2026, 9, 4, tzinfo=UTC)),
        ("2026-09-04T13:38:55+02:00", datetime(2026, 9, 4, 11, 38, 55, tzinfo=UTC)),
        ("2026-09-04T13:38:55-0330", datetime(2026, 9, 4, 17, 8, 55, tzinfo=UTC)),
        ("1969-12-31T23:59:59+00:00", datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("0001-01-01T00:00:00+00:00", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999Z", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    ],
)
@pytest.mark.parametrize("beside", ["2026-01-01T00:00:00+00:00", "2026-01-01 00:00:00", "2026-01-01", None])
def test_time_when_written_in_any_of_klaviyos_ways_then_is_the_same_moment(
    text: str, moment: datetime, beside: str | None
) -> None:
    page = decode_profiles({"created": text}, {"created": beside})
    assert rows_of(page)[0]["created"] == moment
    assert rows_of(page)[1]["created"] == (None if beside is None else datetime(2026, 1, 1, tzinfo=UTC))
    assert page.misfits == Counter()


@pytest.mark.parametrize(("value", "number"), [(55.6761, 55.6761), ("55.6761", 55.6761), (56, 56.0), ("-12", -12.0)])
def test_latitude_when_given_as_number_or_text_then_is_a_number(value: Any, number: float) -> None:
    page = decode_profiles({"location": {"latitude": value}}, {"location": {"latitude": 1.5}})
    assert rows_of(page)[0]["location_latitude"] == number
    assert page.misfits == Counter()


def test_related_resource_when_it_has_a_number_that_python_can_not_hold_then_is_read() -> None:
    body = (
        b'{"data":[{"id":"e","relationships":{"metric":{"data":{"type":"metric","id":"m"}}}}],'
        b'"included":[{"type":"metric","id":"m","attributes":{"name":"Placed Order","weight":1e999}}]}'
    )
    page = PageDecoder(CORE["events"].columns, "2026-07-15").decode(body)
    assert rows_of(page)[0]["metric_name"] == "Placed Order"


@pytest.mark.parametrize("learned", [False, True])
def test_unknown_attributes_when_null_then_extra_stays_empty_and_nothing_is_reported(learned: bool) -> None:
    decoder = PageDecoder(CORE["profiles"].columns_for(frozenset()), "2026-07-15")
    if learned:
        decoder.decode(profile_page({"something_new": 1, "an\todd name": 2}))
    page = decoder.decode(profile_page({"something_new": None, "an\todd name": None, "location": {"what": None}}))
    assert rows_of(page)[0][EXTRA] is None
    assert page.unknown == Counter()
    page = decoder.decode(profile_page({"something_new": {"a": None}}))
    assert extra_of(page) == {"something_new": {"a": None}}


TWICE = '{"a":1,"b":[{"x":1,"x":12345678901234567890123.50,"y":"\\":"}],"a":{"z":1,"z":2}}'
ONCE = '{"a":{"z":2},"b":[{"x":12345678901234567890123.50,"y":"\\":"}]}'


@pytest.mark.parametrize("attribute", ["properties", "something_new"])
def test_json_when_an_object_has_a_key_twice_then_sql_reads_the_value_that_parsers_read(attribute: str) -> None:
    rows = [f'{{"id":"p{n}","attributes":{{"{attribute}":{text}}}}}' for n, text in enumerate((TWICE, ONCE, "[]"))]
    page = PageDecoder(CORE["profiles"].columns_for(frozenset()), "2026-07-15").decode(
        f'{{"data":[{",".join(rows)}]}}'.encode()
    )
    texts = [row[EXTRA if attribute == "something_new" else attribute] for row in rows_of(page)]
    kept = [json.dumps({attribute: None}).replace("null", text).replace(": {", ":{") for text in (ONCE, ONCE, "[]")]
    assert texts == ([text.replace(": ", ":") for text in kept] if attribute == "something_new" else [ONCE, ONCE, "[]"])
    with duckdb.connect(":memory:") as con:
        path = "$.something_new.a.z" if attribute == "something_new" else "$.a.z"
        assert con.execute("SELECT json_extract_string(?, ?)", [texts[0], path]).fetchall() == [("2",)]


def test_json_when_a_long_load_has_repeated_keys_everywhere_then_they_are_found_on_a_later_page_too() -> None:
    once, twice = msgspec.Raw(b'{"a":1}'), msgspec.Raw(b'{"a":1,"a":2}')

    def mended(repeated: RepeatedKeys, *texts: msgspec.Raw) -> list[bytes]:
        return [bytes(text) for text in repeated.mended(list(texts)) if text is not None]

    assert mended(RepeatedKeys(), *[once] * (FIRST_TEXTS - 1), twice)[-1] == b'{"a":2}'
    repeated = RepeatedKeys()
    assert mended(repeated, *[once] * FIRST_TEXTS) == [b'{"a":1}'] * FIRST_TEXTS
    assert mended(repeated, *[twice] * 100) == [b'{"a":2}'] * 100
    assert mended(repeated, *[once] * 99, twice)[-1] == b'{"a":2}'


def test_integers_when_beyond_64_bits_then_keep_their_digits() -> None:
    digits = "123456789012345678901234567890"
    body = f'{{"data":[{{"id":"a","attributes":{{"properties":{{"n":{digits}}},"new":{digits},"email":{digits}}}}}]}}'
    page = PageDecoder(CORE["profiles"].columns_for(frozenset()), "2026-07-15").decode(body.encode())
    assert rows_of(page)[0]["properties"] == f'{{"n":{digits}}}'
    assert extra_of(page) == {"new": int(digits), "email": int(digits)}


def test_keys_when_differing_only_in_case_then_both_are_kept() -> None:
    page = decode_profiles({"email": "a", "Email": "b", "EMAIL": "c", "properties": {"k": 1, "K": 2}})
    assert rows_of(page)[0]["email"] == "a"
    assert json.loads(rows_of(page)[0]["properties"]) == {"k": 1, "K": 2}
    assert extra_of(page) == {"Email": "b", "EMAIL": "c"}


@pytest.mark.parametrize("category", ["Ecommerce", {"id": "x1", "name": "Ecommerce", "object": "category"}])
def test_category_when_text_or_an_object_then_its_name_is_the_value(category: Any) -> None:
    item = {"id": "m", "attributes": {"name": "n", "integration": {"name": "Shopify", "category": category}}}
    page = PageDecoder(CORE["metrics"].columns, "2026-07-15").decode(json.dumps({"data": [item]}).encode())
    assert rows_of(page)[0]["integration_category"] == "Ecommerce"
    assert page.misfits == Counter()


def test_free_form_objects_when_read_then_are_the_text_that_klaviyo_sent() -> None:
    properties = '{"b":1.0,"a":1e5,"big":123456789012345678901234567890, "n" : null}'
    body = f'{{"data":[{{"id":"p","attributes":{{"properties":{properties}}}}}]}}'
    row = rows_of(PROFILES.decode(body.encode()))[0]
    assert row["properties"] == properties


@pytest.mark.parametrize("nothing", [{}, {"attributes": None}, {"attributes": {}}, {"relationships": None}])
def test_event_when_attributes_or_relationships_are_missing_then_is_a_row_with_its_id(nothing: dict[str, Any]) -> None:
    full = {"id": "e2", "attributes": {"timestamp": 1}, "relationships": {"metric": {"data": {"id": "m"}}}}
    body = {"data": [{"id": "e1", **nothing}, full]}
    rows = rows_of(PageDecoder(CORE["events"].columns, "2026-07-15").decode(json.dumps(body).encode()))
    assert [row["id"] for row in rows] == ["e1", "e2"]
    assert {name for name, value in rows[0].items() if value is not None} == {"id"}
    assert (rows[1]["timestamp"], rows[1]["metric_id"]) == (1, "m")


@pytest.mark.parametrize("relationship", [None, {}, {"data": None}, {"data": {}}, {"links": {}}])
def test_relationship_when_empty_then_the_column_is_null(relationship: Any) -> None:
    body = {"data": [{"id": "e", "relationships": {"metric": relationship, "profile": {"data": {"id": "p"}}}}]}
    page = PageDecoder(CORE["events"].columns, "2026-07-15").decode(json.dumps(body).encode())
    assert (rows_of(page)[0]["metric_id"], rows_of(page)[0]["profile_id"]) == (None, "p")


def test_relationship_when_its_id_is_a_number_then_null_and_the_original_in_extra() -> None:
    body = {"data": [{"id": "e", "relationships": {"metric": {"data": {"id": 7}}}}]}
    page = PageDecoder(CORE["events"].columns, "2026-07-15").decode(json.dumps(body).encode())
    assert rows_of(page)[0]["metric_id"] is None
    assert extra_of(page) == {"metric_id": 7}


def test_page_when_read_then_knows_next_link_and_times_and_their_order() -> None:
    days = ["2026-09-01T00:00:00+00:00", "2026-09-01T00:00:00+00:00", "2026-09-03T00:00:00+00:00"]
    link = {"next": "https://a.klaviyo.com/api/profiles?page%5Bcursor%5D=x"}
    page = PROFILES.decode(profile_page(*({"updated": day} for day in days), links=link))
    assert page.next_target == "/api/profiles?page%5Bcursor%5D=x"
    assert (page.first_time, page.last_time) == (datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 9, 3, tzinfo=UTC))
    assert page.in_order
    assert not PROFILES.decode(profile_page(*({"updated": day} for day in reversed(days)))).in_order
    assert PROFILES.decode(profile_page()).in_order


@pytest.mark.parametrize("nothing", [None, "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-12:00", "last week"])
def test_page_when_a_row_has_no_time_then_the_others_keep_their_order(nothing: str | None) -> None:
    days = [nothing, "2026-09-01T00:00:00+00:00", nothing, "2026-09-03T00:00:00+00:00", nothing]
    page = PROFILES.decode(profile_page(*({"updated": day} for day in days)))
    assert (page.first_time, page.last_time) == (datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 9, 3, tzinfo=UTC))
    assert page.in_order
    assert not PROFILES.decode(profile_page(*({"updated": day} for day in [*days[2:], *days[:2]]))).in_order
    page = PROFILES.decode(profile_page({"updated": nothing}))
    assert (page.rows, page.first_time, page.last_time, page.in_order) == (1, None, None, True)


NO_DOCUMENTS = [
    b"", b"{", b"null", b"[]", b"1", b'"x"', b"<html></html>", b'{"errors":[]}', b'{"data":1}', b'{"data":"x"}',
    b'{"data":[1]}', b'{"data":[null]}', b'{"data":[{"id":null}]}', b'{"data":[{"attributes":{}}]}',
    b'{"data":[{"id":7}]}', b'{"data":[{"id":"a","attributes":[]}]}', b'{"data":[{"id":"a","attributes":"x"}]}',
    b'{"data":[],"links":{"next":7}}', b'{"data":[],"links":[]}', b'{"data":[{"id":"a"}]', b"\xff\xfe",
    b'{"data":[{"id":"a","attributes":{"first_name":"\xff"}}]}',
    b'{"data":[{"id":"a","attributes":{"properties":{"x":"\xff"}}}]}',
    b'{"data":[{"id":"a"}]}garbage', b'{"data":[{"id":"a","relationships":"x"}]}',
]  # fmt: skip


@pytest.mark.parametrize("body", NO_DOCUMENTS)
def test_document_when_it_is_no_jsonapi_then_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadablePageError):
        PROFILES.decode(body)


@pytest.mark.parametrize("included", [["x"], "x", {"a": 1}, [None], 7])
def test_included_when_it_is_no_list_of_resources_then_is_unreadable(included: Any) -> None:
    item = {"id": "e", "relationships": {"attributions": {"data": [{"type": "attribution", "id": "a"}]}}}
    body = json.dumps({"data": [item], "included": included}).encode()
    with pytest.raises(UnreadablePageError):
        PageDecoder(CORE["events"].columns, "2026-07-15").decode(body)


def test_related_resource_when_it_did_not_come_along_then_its_columns_are_null() -> None:
    item = {"id": "e", "relationships": {"attributions": {"data": [{"type": "attribution", "id": "a"}]}}}
    other = {"type": "attribution", "id": "another", "relationships": {"flow": {"data": {"type": "flow", "id": "f"}}}}
    body = json.dumps({"data": [item], "included": [other]}).encode()
    assert rows_of(PageDecoder(CORE["events"].columns, "2026-07-15").decode(body))[0]["flow_id"] is None


@pytest.mark.parametrize("escape", [r"\ud83d", r"\ude00", r"\ud83d\ud83d", r"a\ud83d b"])
@pytest.mark.parametrize("attribute", ["first_name", "properties", "something_new"])
def test_text_when_it_holds_half_an_emoji_then_the_page_is_read_all_the_same(attribute: str, escape: str) -> None:
    value = f'{{"x":"{escape}"}}' if attribute == "properties" else f'"{escape}"'
    whole = r"\ud83d\ude00 \\ud83d"
    body = (
        f'{{"data":[{{"id":"a","attributes":{{"{attribute}":{value}}}}},'
        f'{{"id":"b","attributes":{{"last_name":"{whole}"}}}}]}}'
    ).encode()
    decoder = PageDecoder(CORE["profiles"].columns_for(frozenset()), "2026-07-15")
    rows = rows_of(decoder.decode(body))
    assert [row["id"] for row in rows] == ["a", "b"]
    assert rows[1]["last_name"] == "😀 \\ud83d"
    kept = rows[0][EXTRA if attribute == "something_new" else attribute]
    assert "�" in (kept if attribute == "first_name" else json.dumps(json.loads(kept), ensure_ascii=False))


def test_list_member_when_it_has_no_id_then_the_page_is_unreadable() -> None:
    decoder = PageDecoder(CORE["list_profiles"].columns_for(frozenset()), "2026-07-15")
    assert rows_of(decoder.decode(b'{"data":[{"id":"p"}]}', {"list_id": "L"}))[0]["id"] == "L:p"
    with pytest.raises(UnreadablePageError):
        decoder.decode(b'{"data":[{"id":null}]}', {"list_id": "L"})
