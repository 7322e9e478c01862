"""A raw socket server whose every byte a test decides, and the ways in which it can be hostile."""

import gzip
import itertools
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl, urlencode

BODY = b'{"data":[]}'
_STATUS_LINE = re.compile(rb"HTTP/1\.1 [2-9]\d\d .*")
Handler = Callable[[socket.socket], None]


def answer(body: bytes, *headers: str, length: int | None = None, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class WireServer:
    """Accepts connections and hands each to the next of its handlers; the last one is used again and again."""

    def __init__(self) -> None:
        self.handlers: list[Handler] = []
        self.accepted = 0
        self.released = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _address = self._listening.accept()
            except OSError:
                return
            handler = self.handlers[min(self.accepted, len(self.handlers) - 1)]
            self.accepted += 1
            threading.Thread(target=self._handle, args=(handler, connection), daemon=True).start()

    def _handle(self, handler: Handler, connection: socket.socket) -> None:
        with connection:
            try:
                handler(connection)
            except OSError:
                return

    def close(self) -> None:
        self.released.set()
        self._listening.close()

    def then(self, *handlers: Handler) -> None:
        self.handlers += handlers


def says(data: bytes) -> Handler:
    """Reads a request, writes this, and closes the connection.

    The answer says so: a client that kept the connection could send its next request into the closing one.
    """
    status, line_end, rest = data.partition(b"\r\n")
    said = status + line_end + b"Connection: close\r\n" + rest if _STATUS_LINE.fullmatch(status) and rest else data

    def handler(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(said)

    return handler


def resets(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hangs_up(connection: socket.socket) -> None:
    connection.recv(65536)


def endless(first: bytes, again: bytes) -> Handler:
    """Reads a request, writes the beginning of an answer, and then the same bytes for ever."""

    def handler(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(first)
        while True:
            connection.sendall(again)

    return handler


def drip(connection: socket.socket, data: bytes, server: WireServer, pause_s: float = 0.02) -> None:
    """Write the same bytes for ever, one by one, each well within any read timeout."""
    for byte in itertools.cycle(data):
        connection.sendall(bytes([byte]))
        if server.released.wait(pause_s):
            return


def bomb(megabytes: int, members: int = 1) -> bytes:
    """A gzip body of a thousandth of its size."""
    return b"".join(gzip.compress(bytes(megabytes * 2**20 // members), mtime=0) for _ in range(members))


def head(*headers: str, status: str = "200 OK") -> bytes:
    """The head of an answer."""
    return "\r\n".join([f"HTTP/1.1 {status}", *headers]).encode() + b"\r\n\r\n"


def chunked(body: bytes, *sizes: int) -> bytes:
    """A body in chunks of these sizes, over and over."""
    parts, around = [], itertools.cycle(sizes)
    while body:
        size = next(around)
        parts.append(b"%x\r\n%s\r\n" % (len(body[:size]), body[:size]))
        body = body[size:]
    return b"".join(parts) + b"0\r\n\r\n"


def serving() -> Iterator[WireServer]:
    """A server for the length of a fixture."""
    made = WireServer()
    yield made
    made.close()


def pages(make: Callable[[int, str], bytes], *headers: str) -> Handler:
    """Answers each request on a kept connection with the body that ``make`` gives for its number and its target."""
    numbers = itertools.count()

    def handler(connection: socket.socket) -> None:
        with connection.makefile("rb") as requests:
            while line := requests.readline():
                while requests.readline() not in (b"\r\n", b""):
                    pass
                connection.sendall(answer(make(next(numbers), line.split()[1].decode()), *headers))

    return handler


def next_page(target: str, cursor: object) -> str:
    """A next link as Klaviyo's: the page's own query and another cursor."""
    path, _, query = target.partition("?")
    kept = [(name, value) for name, value in parse_qsl(query) if name != "page[cursor]"]
    return f"{path}?{urlencode([*kept, ('page[cursor]', str(cursor))])}"
