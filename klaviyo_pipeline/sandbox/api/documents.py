"""A call of an operation, and the JSON:API documents that answer it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from klaviyo_pipeline.sandbox.api.messages import Request
from klaviyo_pipeline.sandbox.api.query import Query, encode_cursor
from klaviyo_pipeline.sandbox.api.shapes import Shapes, View
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.data.tables import Page

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation."""

    store: Store
    request: Request
    query: Query
    revision: str
    id: str
    shapes: Shapes
    operation: str = ""
    now: float = 0

    @classmethod
    def of(
        cls, store: Store, request: Request, query: Query, revision: str, found_id: str, operation: str, now: float
    ) -> "Call":
        """A call with its own view; `now` in seconds since the epoch."""
        view = View(request.base, revision, query.fields, query.includes, query.additional)
        return cls(store, request, query, revision, found_id, Shapes(store, view), operation, now)


def collection(call: Call, data: Iterable[bytes], page: Page[T], included: Iterable[bytes] = ()) -> bytes:
    """A page of a collection, with the cursor to the next."""
    request = call.request
    following = None
    if page.next_after is not None:
        following = request.url(**{"page[cursor]": encode_cursor(page.next_after)})
    links = {"self": request.url(), "next": following, "prev": None}
    return _document(b"[" + b",".join(data) + b"]", links, call, included)


def whole(call: Call, data: Iterable[bytes], included: Iterable[bytes] = ()) -> bytes:
    """A collection that takes no cursor."""
    return _document(b"[" + b",".join(data) + b"]", {"self": call.request.url()}, call, included)


def single(call: Call, data: bytes, included: Iterable[bytes] = ()) -> bytes:
    """One resource, identifier or null."""
    return _document(data, {"self": call.request.url()}, call, included)


def _document(data: bytes, links: dict[str, str | None], call: Call, included: Iterable[bytes]) -> bytes:
    parts = [b'{"data":', data]
    if call.query.includes:
        parts += [b',"included":[', b",".join(included), b"]"]
    parts += [b',"links":', msgspec.json.encode(links), b"}"]
    return b"".join(parts)
