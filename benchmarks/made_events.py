"""A Klaviyo that makes its events and profiles while it answers, so that millions of them cost no memory.

Event number n is dated ``SINCE`` plus n times the spacing; its profile is number n modulo ``PROFILES``. Serves the two
collections as the project reads them: events by a window of ``datetime``, profiles by ids.

    python -m benchmarks.made_events EVENTS
"""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha512
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

SINCE = datetime(2023, 1, 1, tzinfo=UTC)
UNTIL = datetime(2026, 1, 1, tzinfo=UTC)
PROFILES = 250_000
_SECONDS = int((UNTIL - SINCE).total_seconds())
_EVENT = (
    '{"type":"event","id":"event%09d","attributes":{"timestamp":%d,"datetime":"%s","event_properties":{"page":'
    '"https://shop.example.com/products/shirt-%d?ref=mail","browser":"Firefox","$session_id":"%08x%08x","screen":'
    '{"width":1440,"height":900},"Items":["a","b","c"],"note":"%s","$value":%d.5},"uuid":"%08x-d4f3-11f1-8001-6c0dd3f5e3d2"},'
    '"relationships":{"profile":{"data":{"type":"profile","id":"%s"}},"metric":{"data":{"type":"metric","id":"METRIC"}}}}'
)
_PROFILE = (
    '{"type":"profile","id":"%s","attributes":{"email":"%s@example.com","first_name":"Ada","created":'
    '"2022-05-01T00:00:00+00:00","updated":"2022-05-01T00:00:00+00:00","location":{},"properties":{"plan":"a"}}}'
)


def profile_id(number: int) -> str:
    """The id of the profile of an event."""
    return f"PROFILE{number % PROFILES:019d}"


class Server(ThreadingHTTPServer):
    """Serves so many events; counts the requests."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, events: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events, self.answered = events, 0

    def handle_error(self, *_arguments: object) -> None:
        """Nothing: a client that is killed breaks its connections."""

    def page(self, path: str, query: dict[str, str]) -> bytes:
        """The document that answers a request."""
        if path.rstrip("/").endswith("/events"):
            return self._events(path, query)
        ids = re.findall(r'"([^"]+)"', query.get("filter", ""))
        return _document([_PROFILE % (each, each.lower()) for each in ids], "null")

    def _events(self, path: str, query: dict[str, str]) -> bytes:
        low, high = 0, self.events
        for operator, text in (
            re.findall(r"(greater-or-equal|greater-than|less-than)\(datetime,([^)]+)\)", query["filter"])
            if "filter" in query
            else []
        ):
            seconds = (datetime.fromisoformat(text.replace("Z", "+00:00")) - SINCE).total_seconds()
            number = -int(-seconds * self.events // _SECONDS)  # the first event that is not before
            if operator == "less-than":
                high = min(high, number)
            else:
                low = max(low, number)
        first = int(query.get("page[cursor]", low))
        last = min(high, first + int(query.get("page[size]", 200)))
        following = "null"
        if last < high:
            following = json.dumps(
                f"http://{self.server_address[0]}:{self.server_port}{path}?"
                + urlencode({**query, "page[cursor]": last})
            )
        return _document([self._event(number) for number in range(first, last)], following)

    def _event(self, number: int) -> str:
        second = number * _SECONDS // self.events
        at = SINCE + timedelta(seconds=second)
        mixed = number * 2654435761 & 0xFFFFFFFF
        return _EVENT % (
            *(number, int(at.timestamp()), at.isoformat(), number % 977, mixed, number),
            *(sha512(b"%d" % number).hexdigest() * 2, number % 500, mixed),
            profile_id(number),
        )


def _document(rows: list[str], following: str) -> bytes:
    return f'{{"data":[{",".join(rows)}],"links":{{"self":"","next":{following},"prev":null}}}}'.encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        """Answer a page."""
        split = urlsplit(self.path)
        if split.path == "/answered":
            return self._send(str(self.server.answered).encode())
        self.server.answered += 1
        return self._send(
            self.server.page(split.path, {name: values[0] for name, values in parse_qs(split.query).items()})
        )

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        for name, value in (
            ("Content-Type", "application/vnd.api+json"),
            ("X-Klaviyo-API-Revision", self.headers.get("revision", "")),
            ("RateLimit-Limit", "1000000, 1000000;w=1, 60000000;w=60"),
            ("RateLimit-Remaining", "999999"),
            ("RateLimit-Reset", "0"),
            ("Content-Length", str(len(body))),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Nothing: a line a request would be the most of the work."""


if __name__ == "__main__":
    server = Server(int(sys.argv[1]))
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
