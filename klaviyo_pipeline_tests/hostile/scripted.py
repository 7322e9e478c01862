"""A Klaviyo whose collections and mishaps a test decides: pages with cursors, and a twist for any answer.

It is a second implementation of the API's outside, and shares nothing with the sandbox: what the sandbox always does
right (links, types, one list a page) can be wrong here.
"""

from __future__ import annotations

import json
import operator
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

Document = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """One request: its path, its query, and which page of the cursor it is, from 0 on."""

    path: str
    query: dict[str, str]
    page: int


Twist = Callable[[Asked, Document], Document | bytes | int]
"""Gets the right answer and gives another one: a document, raw bytes, or a status."""


def untwisted(_asked: Asked, document: Document) -> Document:
    """The right answer."""
    return document


@dataclass
class Klaviyo:
    """What a scripted server serves.

    Attributes:
        collections: Items by path, such as ``/api/lists``.
        things: Single resources by path.
        rows_a_page: How many items a page has.
        twist: What becomes of each answer.
        asked: All requests so far.
    """

    collections: dict[str, list[Document]] = field(default_factory=dict)
    things: dict[str, Document] = field(default_factory=dict)
    rows_a_page: int = 20
    twist: Twist = untwisted
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def paths(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [each.path for each in self.asked]

    def answer(self, target: str) -> tuple[int, bytes]:
        """The status and body for a request."""
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        asked = Asked(parts.path, query, int(query.get("page[cursor]", 0)))
        self.asked.append(asked)
        document = self._document(asked)
        if document is None:
            return 404, json.dumps({"errors": [{"status": 404, "detail": f"{asked.path} does not exist."}]}).encode()
        twisted = self.twist(asked, document)
        if isinstance(twisted, int):
            return twisted, json.dumps({"errors": [{"status": twisted, "detail": "Scripted."}]}).encode()
        return 200, twisted if isinstance(twisted, bytes) else json.dumps(twisted).encode()

    def _document(self, asked: Asked) -> Document | None:
        if asked.path in self.things:
            return {"data": self.things[asked.path], "links": {"self": asked.path}}
        if asked.path not in self.collections:
            return None
        items = [item for item in self.collections[asked.path] if _passes(item, asked.query.get("filter", ""))]
        if asked.query.get("sort"):
            items = sorted(items, key=lambda item: str(_value(item, asked.query["sort"])))
        start = asked.page * self.rows_a_page
        more = start + self.rows_a_page < len(items)
        query = urlencode({**asked.query, "page[cursor]": asked.page + 1})
        following = f"{self.url}{asked.path}?{query}" if more else None
        links = {"self": asked.path, "next": following, "prev": None}
        return {"data": items[start : start + self.rows_a_page], "links": links}


_CONDITION = re.compile(r"(greater-or-equal|greater-than|less-or-equal|less-than)\((\w+),([^)]+)\)")
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "greater-or-equal": operator.ge,
    "greater-than": operator.gt,
    "less-or-equal": operator.le,
    "less-than": operator.lt,
}


def _passes(item: Document, conditions: str) -> bool:
    """Whether an item passes the conditions on its times; other conditions let everything pass."""
    return all(
        _COMPARISONS[comparison](_value(item, name), datetime.fromisoformat(bound))
        for comparison, name, bound in _CONDITION.findall(conditions)
    )


def _value(item: Document, name: str) -> datetime:
    return datetime.fromisoformat(item["attributes"][name])


def resources(kind: str, ids: list[str], **attributes: Any) -> list[Document]:
    """Items of a type; an attribute that is a list has a value for each."""
    return [
        {
            "type": kind,
            "id": id_,
            "attributes": {name: value[at] if isinstance(value, list) else value for name, value in attributes.items()},
        }
        for at, id_ in enumerate(ids)
    ]


@contextmanager
def scripted(klaviyo: Klaviyo) -> Iterator[Klaviyo]:
    """Serves it at its ``url``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else a body waits 40 ms for the receipt of its headers

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(length)
            status, body = klaviyo.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.api+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    klaviyo.url = f"http://127.0.0.1:{server.server_port}"
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    serving.start()
    try:
        yield klaviyo
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
