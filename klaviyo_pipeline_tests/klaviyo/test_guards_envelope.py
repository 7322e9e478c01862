"""How an incomplete answer is described: by the errors' own words, and by the row that is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.client.envelope import (
    check_document,
    check_identities,
    check_links,
    check_members,
    check_next,
    details,
    errors_of,
    refuse_errors,
)
from klaviyo_pipeline.klaviyo.decode.pages import PageDecoder
from klaviyo_pipeline.klaviyo.errors import UnreadablePageError


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        ([{"detail": "Shard 7 is away.", "title": "Timeout", "code": "timeout"}], "Shard 7 is away."),
        ([{"detail": "", "title": "Timeout", "code": "timeout"}], "Timeout"),
        ([{"code": "timeout"}], "timeout"),
        ([{"code": 7}], "7"),
        ([{"id": "1"}], '{"id": "1"}'),
        (["away", None], '"away"; null'),
        ({"reason": "half"}, '{"reason": "half"}'),
        ([{"code": each} for each in "abc"], "a; b; c"),
        ([{"code": each} for each in "abcde"], "a; b; c (and 2 more)"),
    ],
)
def test_errors_when_an_answer_has_them_then_their_own_words_are_said(errors: Any, said: str) -> None:
    assert details(errors) == said
    assert errors_of(json.dumps({"errors": errors}).encode()) == f"errors: {said}"
    with pytest.raises(UnreadablePageError) as refused:
        refuse_errors(json.dumps(errors).encode())
    assert str(refused.value) == f"the answer has errors: {said}"
    with pytest.raises(UnreadablePageError) as refused:
        check_document({"errors": errors, "data": []}, many=True)
    assert str(refused.value) == f"the answer has errors: {said}"


@pytest.mark.parametrize("body", [b"{", b"[1]", b"{}", b'{"errors": []}', b'{"errors": null}', b"[" * 100_000])
def test_errors_when_a_body_has_none_that_can_be_read_then_nothing_is_said(body: bytes) -> None:
    assert errors_of(body) == ""


def test_errors_when_they_are_none_then_the_page_counts_and_when_unreadable_it_does_not() -> None:
    refuse_errors(b"[]")
    refuse_errors(b"null")
    for unreadable in (b"[", b"[" * 100_000):
        with pytest.raises(UnreadablePageError, match='the answer has errors: "unreadable errors"'):
            refuse_errors(unreadable)


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        ((None, "list"), "a row without an id"),
        (("", "list"), "a row without an id"),
        ((17, "list"), "a row with the id 17"),
        ((0, "list"), "a row with the id 0"),
        (("L2", "segment"), "a row of type 'segment' where 'list' belongs (id 'L2')"),
        (("L2", None), "a row of type None where 'list' belongs (id 'L2')"),
    ],
)
def test_row_when_its_id_or_type_is_wrong_then_is_named(identity: tuple[Any, Any], said: str) -> None:
    with pytest.raises(UnreadablePageError) as refused:
        check_identities([("L1", "list"), identity], "list")
    assert str(refused.value) == said
    check_identities([("L1", "list"), ("S1", "segment")], None)
    check_identities([], "list")


@pytest.mark.parametrize(
    ("data", "many", "said"),
    [
        ([], False, "its data is not one object"),
        ({}, True, "its data is not a list"),
        ("all", None, "its data is not a list or one object"),
        (None, True, "its data is not a list"),
        ([{}, 1], True, "a row that is no object"),
        ([[]], None, "a row that is no object"),
    ],
)
def test_data_when_it_has_another_form_then_says_which_belongs(data: Any, many: bool | None, said: str) -> None:
    with pytest.raises(UnreadablePageError) as refused:
        check_document({"data": data}, many=many)
    assert str(refused.value) == said


def test_document_when_it_is_whole_then_is_given_back() -> None:
    for data, many in (([], True), ([{}], True), ([{}], None), ({}, False), ({}, None)):
        document = {"data": data, "errors": []}
        assert check_document(document, many=many) is document
        assert check_document(linked := {**document, "links": {}}, many=many, linked=True) is linked
        with pytest.raises(UnreadablePageError, match="no links"):
            check_document({**document, "links": []}, many=many, linked=True)
    check_links(has_links=True, linked=False)
    check_links(has_links=False, linked=False)


LISTS = PageDecoder(SOURCES["lists"].columns, "2026-10-15")


@pytest.mark.parametrize(
    ("links", "has_links", "following"),
    [
        ({}, False, None),
        ({"links": None}, False, None),
        ({"links": {"self": "x"}}, False, None),
        ({"links": {"next": None}}, True, None),
        ({"links": {"next": "https://a.klaviyo.com/api/lists?page=2"}}, True, "/api/lists?page=2"),
    ],
    ids=["none", "null", "without next", "last", "next"],
)
def test_end_of_a_page_when_links_say_so_then_is_told_from_links_that_are_missing(
    links: dict[str, Any], has_links: bool, following: str | None
) -> None:
    page = LISTS.decode(json.dumps({"data": [{"type": "list", "id": "L1"}], **links}).encode())

    assert (page.ids, page.has_links, page.next_target) == (["L1"], has_links, following)


def test_next_link_when_it_leaves_the_collection_then_is_refused() -> None:
    for following in (None, "/api/lists?page[cursor]=2", "/api/lists/?page[cursor]=2", "/api/li%73ts"):
        check_next("/api/lists?page[cursor]=1", following)
    for following in ("/api/metrics?page[cursor]=2", "/", "/api/lists/L1?page[cursor]=2"):
        with pytest.raises(
            UnreadablePageError, match=f"of /api/lists leads to {following.partition('?')[0].rstrip('/')}$"
        ):
            check_next("/api/lists?page[cursor]=1", following)


CUT = "/api/events?filter=greater-or-equal%28datetime%2C2026-11-02T00%3A00%3A00Z%29&sort=datetime&page%5Bsize%5D=200"


@pytest.mark.parametrize(
    ("following", "said"),
    [
        (f"{CUT}&page%5Bcursor%5D=WzE3", None),
        (CUT.replace("%28", "(").replace("%5B", "[") + "&page[cursor]=x", None),
        (CUT.replace("00Z", "00+00:00").replace("page%5Bsize%5D=200", "page[cursor]=x&page[size]=50"), None),
        (CUT.replace("00Z", "00%2B00%3A00"), None),
        ("/api/events?page[cursor]=x", "filter, sort"),
        (CUT.replace("11-02", "11-03"), "filter"),
        (f"{CUT}&filter=equals%28metric_id%2C%22M%22%29", "filter"),
        (CUT.replace("sort=datetime", "sort=-datetime"), "sort"),
        (f"{CUT}&fields%5Bevent%5D=uuid", r"fields\[event\]"),
    ],
    ids=["Klaviyo's", "decoded", "a time's other spelling", "encoded", "none", "later", "more", "back", "fields"],
)
def test_next_link_when_its_query_selects_other_rows_or_fields_then_is_refused(
    following: str, said: str | None
) -> None:
    if said is None:
        check_next(CUT, following)
    else:
        with pytest.raises(UnreadablePageError, match=f"has another {said}$"):
            check_next(CUT, following)


@pytest.mark.parametrize(
    ("body", "is_whole"),
    [
        (b'{"data":[],"links":{"next":null}}', True),
        (b' { "data" : [ { "data" : [] } ] ,\n"a\\"b":"}","links" : { "next" : "x" } } \n', True),
        (b"{ }", True),
        (b'{"data":[],"data":[1]}', False),
        (b'{"data":[1],"data":[]}', False),
        (b'{"data":[1],"data":[2]}', False),
        (b'{"data":[],"links":{"next":"x"},"links":{}}', False),
        (b'{"data":[],"links":{"next":"x","next":null}}', False),
        (b'{"errors":[1],"data":[],"errors":[]}', False),
    ],
)
def test_member_of_a_document_when_it_is_there_twice_then_is_refused(body: bytes, is_whole: bool) -> None:
    if is_whole:
        check_members(body)
    else:
        with pytest.raises(UnreadablePageError, match="a member twice"):
            check_members(body)
