"""Pages with values that no decoder takes: the page lands, the value is kept as text and counted."""

import codecs
import json
from typing import Any

import pytest

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.decode.pages import LONGEST_LINK, Page, PageDecoder
from klaviyo_pipeline.klaviyo.decode.structs import MOST_LEARNED
from klaviyo_pipeline.klaviyo.errors import UnreadablePageError

DEEP = "[" * 3000 + "]" * 3000
DEEP_OBJECT = '{"a":' * 3000 + "1" + "}" * 3000


def event(number: int, **values: str) -> str:
    """An event's JSON; values are JSON texts of attributes."""
    attributes = {
        "timestamp": "1767225600",
        "datetime": '"2026-01-01T00:00:00+00:00"',
        "uuid": '"u"',
        "event_properties": "{}",
    } | values
    written = ",".join(f"{json.dumps(name)}:{value}" for name, value in attributes.items())
    return f'{{"type":"event","id":"e{number}","attributes":{{{written}}}}}'


def decoded(*events: str, links: str = '{"next":null}') -> Page:
    body = '{{"data":[{}],"links":{}}}'.format(",".join(events), links)
    return PageDecoder(SOURCES["events"].columns, "2026-07-15", "datetime").decode(body.encode())


def extra(page: Page, row: int) -> dict[str, Any]:
    return json.loads(page.batch.column("_extra").to_pylist()[row] or "{}")  # type: ignore[no-any-return]


TAKEN_OUT = {
    "nested properties": ("event_properties", f'{{"a":{DEEP}}}'),
    "nested objects": ("event_properties", DEEP_OBJECT),
    "nested value of a text column": ("uuid", DEEP),
    "nested value of an unknown attribute": ("something_new", DEEP),
    "an integer of 5,000 digits": ("timestamp", "9" * 5000),
    "a negative integer of 400 digits": ("timestamp", "-" + "9" * 400 + "e5"),
    "a float beyond all": ("timestamp", "1e999"),
    "NaN": ("timestamp", "NaN"),
    "NaN in properties": ("event_properties", '{"a":[1,NaN]}'),
    "-Infinity in an unknown attribute": ("something_new", "-Infinity"),
    "NaN behind a quote": ("event_properties", '{"a\\"NaN":"\\\\","b":NaN}'),
}


@pytest.mark.parametrize("what", sorted(TAKEN_OUT))
def test_page_when_a_value_cannot_be_decoded_then_lands_with_its_text_in_extra(what: str) -> None:
    name, text = TAKEN_OUT[what]
    page = decoded(event(0), event(1, **{name: text}), event(2, event_properties='{"kept":[1]}'))
    rows = page.batch.to_pylist()
    assert [row["id"] for row in rows] == ["e0", "e1", "e2"]
    assert rows[1].get(name) is None
    assert extra(page, 1) == {name: text}
    assert extra(page, 0) == extra(page, 2) == {}
    assert rows[2]["event_properties"] == '{"kept":[1]}'
    assert page.misfits == {name: 1}


def test_page_when_one_resource_has_such_a_value_then_it_is_taken_out_too() -> None:
    decoder = PageDecoder(SOURCES["metrics"].columns, "2026-07-15", single=True)
    page = decoder.decode(b'{"data":{"type":"metric","id":"m","attributes":{"name":NaN,"created":null}}}')
    assert json.loads(page.batch.column("_extra").to_pylist()[0]) == {"name": "NaN"}


def test_page_when_a_large_number_stands_in_free_form_json_then_it_stays_as_sent() -> None:
    properties = '{"number":%s,"float":1e999}' % ("9" * 5000)
    page = decoded(event(0, event_properties=properties), event(1, timestamp="1e999"))
    assert page.batch.to_pylist()[0]["event_properties"] == properties
    assert page.misfits == {"timestamp": 1}


def test_page_when_related_resources_are_nested_too_deep_then_their_text_stands_in_place() -> None:
    decoder = PageDecoder(SOURCES["campaigns"].columns, "2026-07-15")
    linkage = '{"campaign-messages":{"data":[{"type":"campaign-message","id":"b"}]}}'
    included = f'[{{"type":"campaign-message","id":"b","attributes":{{"channel":"email","deep":{DEEP}}}}}]'
    page = decoder.decode(
        (f'{{"data":[{{"id":"c","relationships":{linkage}}}],"included":{included}}}').encode(),
    )
    assert page.rows == 1
    assert sum(page.misfits.values()) == 1


BAD = {
    "UTF-16": '{"data":[]}'.encode("utf-16"),
    "bytes that are no UTF-8": b'{"data":[{"id":"\xff"}]}',
    "no UTF-8 in properties": b'{"data":[{"id":"a","attributes":{"event_properties":{"a":"\xff"}}}]}',
    "a control character": b'{"data":[{"id":"a\x00"}]}',
    "nesting alone": b"[" * 100_000,
    "nested data": b'{"data":' + DEEP.encode() + b"}",
    "nested links": b'{"data":[],"links":' + DEEP.encode() + b"}",
    "closing alone": b'{"data":[]}' + b"]" * 1000,
    "an open text": b'{"data":["' + b"\\" * 1001,
    "HTML": b"<html>" * 1000,
    "a number": b"9" * 5000,
    "null": b"null",
    "a long link": b'{"data":[],"links":{"next":"https://a.test/' + b"x" * LONGEST_LINK + b'"}}',
    "an id nested too deep": b'{"data":[{"id":' + DEEP.encode() + b"}]}",
}


@pytest.mark.parametrize("what", sorted(BAD))
def test_page_when_it_can_not_be_decoded_as_a_whole_then_says_so(what: str) -> None:
    decoder = PageDecoder(SOURCES["events"].columns, "2026-07-15", "datetime")
    with pytest.raises(UnreadablePageError):
        decoder.decode(BAD[what])


def test_page_when_it_begins_with_a_byte_order_mark_then_is_read() -> None:
    body = codecs.BOM_UTF8 + (f'{{"data":[{event(0)}]}}').encode()
    assert PageDecoder(SOURCES["events"].columns, "2026-07-15").decode(body).rows == 1


@pytest.mark.parametrize("odd", ["[1]", '"text"', "5", "null", '{"a":[2]}'])
@pytest.mark.parametrize("where", ["attributes", "relationships"])
def test_related_resource_when_a_part_of_it_has_another_type_then_the_page_is_read(where: str, odd: str) -> None:
    decoder = PageDecoder(SOURCES["campaigns"].columns, "2026-07-15")
    linkage = '{"campaign-messages":{"data":[{"type":"campaign-message","id":"b"},5,null,[]]}}'
    included = f'[{{"type":"campaign-message","id":"b","{where}":{odd}}}]'
    page = decoder.decode((f'{{"data":[{{"id":"c","relationships":{linkage}}}],"included":{included}}}').encode())
    assert page.rows == 1


def test_attributes_when_more_are_new_than_are_learned_then_all_are_kept_all_the_same() -> None:
    decoder = PageDecoder(SOURCES["metrics"].columns, "2026-07-15")
    for page_number in range(3):
        new = {f"new_{page_number}_{i}": i for i in range(MOST_LEARNED - 100)}
        body = {"data": [{"type": "metric", "id": "m", "attributes": {"name": "n", **new}}]}
        page = decoder.decode(json.dumps(body).encode())
        assert json.loads(page.batch.column("_extra").to_pylist()[0]) == new
        assert page.batch.column("name").to_pylist() == ["n"]
    assert len(decoder._structs.extra) <= MOST_LEARNED
