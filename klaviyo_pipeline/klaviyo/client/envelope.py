"""Checks a JSON:API document: whether it is the complete answer to the request.

A 200 can still be half an answer: `errors` beside the data, `data` that is null, one object where a collection
belongs, `data` twice, a page without `links` in the middle of a cursor, a next link with another filter. Each of these
is a passing fault of the server and is retried, because a load that takes it for the whole truth deletes rows.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from klaviyo_pipeline.klaviyo.errors import UnreadablePageError

_SHOWN_ERRORS = 3
_FORMS = {True: "a list", False: "one object", None: "a list or one object"}


def refuse_errors(errors: msgspec.Raw | bytes) -> None:
    """Refuse a document that has errors.

    Raises:
        UnreadablePageError: with the details of the first errors.
    """
    try:
        found = json.loads(bytes(errors))
    except (ValueError, RecursionError):
        found = "unreadable errors"
    if found not in (None, []):
        raise UnreadablePageError(f"the answer has errors: {details(found)}")


def details(errors: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    """What a document's errors say, those of the first few."""
    texts = [_detail(each) for each in errors] if isinstance(errors, list) else [json.dumps(errors)]
    more = f" (and {len(texts) - _SHOWN_ERRORS} more)" if len(texts) > _SHOWN_ERRORS else ""
    return "; ".join(texts[:_SHOWN_ERRORS]) + more


def _detail(error: Any) -> str:  # noqa: ANN401
    told = error.get("detail") or error.get("title") or error.get("code") if isinstance(error, dict) else None
    return str(told) if told else json.dumps(error)


def errors_of(body: bytes) -> str:
    """What the errors of a document say that has no usable data; blank if it has none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    errors = found.get("errors") if isinstance(found, dict) else None
    return f"errors: {details(errors)}" if errors else ""


def check_identities(identities: Iterable[tuple[Any, Any]], resource: str | None) -> None:
    """Check the ids and types of a page's items.

    Args:
        identities: Each item's ``id`` and ``type``.
        resource: The type that all of them must have; None for any.

    Raises:
        UnreadablePageError: for an item without a text as id, or of another type.
    """
    for id_, kind in identities:
        if type(id_) is not str or not id_:
            raise UnreadablePageError("a row without an id" if id_ in (None, "") else f"a row with the id {id_!r}")
        if resource is not None and kind != resource:
            raise UnreadablePageError(f"a row of type {kind!r} where {resource!r} belongs (id {id_!r})")


def check_document(document: dict[str, Any], *, many: bool | None, linked: bool = False) -> dict[str, Any]:
    """A small decoded document, if it is the complete answer.

    Args:
        document: The document.
        many: Whether the request was for a collection or one resource; None for either.
        linked: Whether earlier pages of the same cursor had links.

    Raises:
        UnreadablePageError: otherwise.
    """
    if document.get("errors"):
        raise UnreadablePageError(f"the answer has errors: {details(document['errors'])}")
    data = document.get("data")
    wanted = (list, dict) if many is None else list if many else dict
    if not isinstance(data, wanted):
        raise UnreadablePageError(f"its data is not {_FORMS[many]}")
    items = data if isinstance(data, list) else ()
    if not all(isinstance(item, dict) for item in items):
        raise UnreadablePageError("a row that is no object")
    check_links(has_links=isinstance(document.get("links"), dict), linked=linked)
    return document


def check_links(*, has_links: bool, linked: bool) -> None:
    """Refuse a page without links after pages with them: it may not be the last one.

    Klaviyo's OpenAPI documents do not require ``links``, so a lone first page without them is the end.
    """
    if linked and not has_links:
        raise UnreadablePageError("the page has no links, though the pages before it had: it may not be the last one")


def check_next(asked: str, following: str | None) -> None:
    """Refuse a next link that leaves the collection or changes the filter.

    Klaviyo's next links repeat the whole query of the page and add the cursor. A link with another filter leads to
    other rows, and one without the added fields leads to rows that lack them.

    Args:
        asked: The target of this page's request.
        following: The target of its next link; None for the last page.

    Raises:
        UnreadablePageError: if their paths differ, or a parameter other than those of the page.
    """
    if following is None:
        return
    if _path(following) != _path(asked):
        raise UnreadablePageError(f"the next link of a page of {_path(asked)} leads to {_path(following)}")
    before, after = _selection(asked), _selection(following)
    if before != after:
        names = sorted({name for name, _value in (before - after) + (after - before)})
        raise UnreadablePageError(f"the next link of a page of {_path(asked)} has another {', '.join(names)}")


def _selection(target: str) -> Counter[tuple[str, str]]:
    """A query's parameters but those of the page; a time in UTC may be written in two ways."""
    query = target.partition("?")[2].partition("#")[0]
    return Counter(
        (name, value.replace("+00:00", "Z").replace(" ", ""))
        for name, value in parse_qsl(query.replace("+00:00", "Z"), keep_blank_values=True)
        if not name.startswith(("page[", "page_"))  # reports have page_cursor
    )


def check_members(body: bytes | msgspec.Raw) -> None:
    """Refuse a document that has a member twice, such as ``data``: a parser keeps one of them and drops rows.

    The members that the parser kept must fill the text. This costs a fifth of the time of decoding a page.

    Raises:
        UnreadablePageError: naming the place.
        msgspec.MsgspecError: if it is not a JSON object.
    """
    members = _MEMBERS.decode(body)
    text, end = bytes(body), 0
    for value in members.values():
        key = _KEY.match(text, end)
        end = key.end() + len(memoryview(value)) if key is not None else len(text)
    if members and text[end:].strip() != b"}":
        raise UnreadablePageError("the answer has a member twice")
    if bytes(members.get("links", b""))[:1] == b"{":
        check_members(members["links"])


_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KEY = re.compile(rb'\s*[{,]\s*"[^"\\]*(?:\\.[^"\\]*)*"\s*:\s*', re.DOTALL)


def _path(target: str) -> str:
    return unquote(target.partition("?")[0]).rstrip("/")
