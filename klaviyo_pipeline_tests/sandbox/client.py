"""Asks a sandbox application directly, without a socket."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from klaviyo_pipeline.sandbox.app import Sandbox
from klaviyo_pipeline.sandbox.options import DEFAULT_KEY

BASE = "http://sandbox.test"
NEWEST_DOCUMENTED = "2026-07-15"

_LOOP = asyncio.Runner()
"""One for all requests: a new event loop takes longer than most answers."""


def headers(key: str) -> dict[str, str]:
    """What a request to a served sandbox needs."""
    return {"Authorization": f"Klaviyo-API-Key {key}", "revision": NEWEST_DOCUMENTED}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.content)

    @property
    def ids(self) -> list[str]:
        return [item["id"] for item in self.json["data"]]

    @property
    def error(self) -> dict[str, Any]:
        return self.json["errors"][0]


class Client:
    def __init__(self, app: Sandbox, revision: str | None = NEWEST_DOCUMENTED, key: str | None = DEFAULT_KEY) -> None:
        self.app = app
        self._revision = revision
        self._key = key

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, **headers)

    def send(self, method: str, path: str, payload: object = None, **headers: str) -> Answer:
        parts = urlsplit(path)
        sent = {"host": urlsplit(BASE).netloc}
        if self._key is not None:
            sent["authorization"] = f"Klaviyo-API-Key {self._key}"
        if self._revision is not None:
            sent["revision"] = self._revision
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        scope = {
            "type": "http",
            "method": method,
            "scheme": "http",
            "path": parts.path,
            "query_string": parts.query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        }
        messages: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"" if payload is None else msgspec.json.encode(payload)}

        async def collect(message: Any) -> None:
            messages.append(message)

        _LOOP.run(self.app(scope, receive, collect))
        start = messages[0]
        return Answer(
            start["status"],
            {name.decode(): value.decode() for name, value in start["headers"]},
            b"".join(message.get("body", b"") for message in messages[1:]),
        )

    def pages(self, path: str) -> Iterator[Answer]:
        """Follow links.next, verbatim, to the last page."""
        following: str | None = path
        while following is not None:
            answer = self.get(following)
            assert answer.status == 200, answer.content[:500]
            yield answer
            following = answer.json["links"]["next"]

    def all_ids(self, path: str) -> list[str]:
        return [found for page in self.pages(path) for found in page.ids]
