"""A request and an answer, for the handlers and the fault hooks."""

import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import msgspec

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON_API = b"application/vnd.api+json"


@dataclass(frozen=True, slots=True)
class Request:
    """One request: its path, query (decoded, in order), lower-case headers and body."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes
    base: str

    @property
    def parameters(self) -> dict[str, str]:
        """The query by name; the last of equal names."""
        return dict(self.query)

    def url(self, **changes: str | None) -> str:
        """This request's absolute URL, percent-encoded, with parameters changed (None: dropped)."""
        pairs = [(name, value) for name, value in self.query if name not in changes]
        pairs += [(name, value) for name, value in changes.items() if value is not None]
        return f"{self.base}{quote(self.path)}" + (f"?{urlencode(pairs)}" if pairs else "")

    @classmethod
    def of(cls, scope: Scope, body: bytes) -> "Request":
        """Read an ASGI scope."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        return cls(
            method=scope["method"],
            path=scope["path"],
            query=tuple(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
            headers=headers,
            body=body,
            base=f"{scope['scheme']}://{headers.get('host', 'localhost')}",
        )


@dataclass(frozen=True, slots=True)
class Response:
    """One answer."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = field(default=())
    content_type: bytes = JSON_API

    @classmethod
    def json(cls, value: object, status: int = 200) -> "Response":
        """Plain JSON, as the admin paths answer."""
        return cls(status, msgspec.json.encode(value), content_type=b"application/json")


async def read_body(receive: Receive) -> bytes:
    """The whole request body."""
    parts = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def start(response: Response) -> dict[str, Any]:
    """The message that begins an answer: its status and headers, with the length of its whole body."""
    headers = [
        (b"content-type", response.content_type),
        (b"content-length", str(len(response.body)).encode()),
        *response.headers,
    ]
    if not any(name == b"date" for name, _ in response.headers):
        headers.append((b"date", _date(int(time.time()))))
    return {"type": "http.response.start", "status": response.status, "headers": headers}


@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


async def deliver(response: Response, send: Send) -> None:
    """Send an answer whole."""
    await send(start(response))
    await send({"type": "http.response.body", "body": response.body})
