"""Bounds on one HTTP answer: its total time, its headers, its bytes, and its unpacked bytes.

The standard library bounds a header line and the number of headers, but not their time, and not the number of interim
answers (``100 Continue``). A read timeout starts again with each byte. So one reader counts all bytes from the socket
and checks the time.
"""

from __future__ import annotations

import http.client
import io
import time
import zlib
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline.klaviyo.client.memory import Held, MemoryBudget

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    import urllib3
    from _typeshed import WriteableBuffer

HEAD_BYTES = 256 * 1024
"""The most that an answer's status line and headers may take, with all interim answers before it."""
ERROR_BYTES = 64 * 1024
"""So much is read of the body of an answer that is no page."""
ACCEPTED_ENCODING = "gzip, deflate"
"""What :func:`unpack` bounds, so the only encodings to ask for."""
_PIECE = 1024 * 1024
_MOST_MEMBERS = 100
"""A gzip body may consist of several members; no server needs more than one."""


class BoundExceededError(OSError):
    """An answer takes too long, is too large, or has an encoding that cannot be bounded."""


class BoundedResponse(http.client.HTTPResponse):
    """An answer that is read within ``total_s`` seconds and ``most_bytes`` bytes.

    The class attributes are set by :func:`bounded_response`; ``http.client`` makes the objects.
    """

    total_s: float
    most_bytes: int

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - http.client's own
        super().__init__(sock, *args, **kwargs)
        self._reader = _BoundedReader(sock, self.fp.detach(), self.total_s)
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        """Read the status line and the headers. Skips interim answers.

        Raises:
            HTTPException: for headers that cannot be parsed to their end; urllib3 would log them and drop the rest.
        """
        super().begin()
        while 100 <= self.status < 200:
            self.headers = self.msg = None  # type: ignore[assignment]  # so http.client reads the next answer
            super().begin()
        if self.msg.defects or self.msg.get_payload():
            raise http.client.HTTPException("the answer's headers cannot be parsed")
        self._reader.allow(self.most_bytes)

    def postpone(self, seconds: float) -> None:
        """Allow the answer this many more seconds."""
        self._reader.postpone(seconds)


def bounded_response(total_s: float, most_bytes: int) -> type[BoundedResponse]:
    """A response class for ``http.client`` with these bounds."""
    return type("Response", (BoundedResponse,), {"total_s": total_s, "most_bytes": most_bytes})


class _BoundedReader(io.RawIOBase):
    """Reads from a socket until a deadline or a number of bytes is reached."""

    def __init__(self, sock: socket.socket, source: io.RawIOBase, total_s: float) -> None:
        super().__init__()
        self._sock = sock
        self._source = source
        self._total_s = total_s
        self._deadline = time.monotonic() + total_s
        self._left, self._what = HEAD_BYTES, "the head of the answer"

    def allow(self, most_bytes: int) -> None:
        """Allow this many bytes for the body."""
        self._left, self._what = most_bytes, "the body of the answer"

    def postpone(self, seconds: float) -> None:
        """Move the deadline."""
        self._deadline += seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        left_s = self._deadline - time.monotonic()
        timeout_s = self._sock.gettimeout()
        if timeout_s is None or left_s < timeout_s:
            if left_s <= 0:
                raise self._too_late()
            self._sock.settimeout(left_s)
        try:
            size = self._source.readinto(buffer)
        except TimeoutError:
            if time.monotonic() >= self._deadline:
                raise self._too_late() from None
            raise
        self._left -= size or 0
        if self._left < 0:
            raise BoundExceededError(f"{self._what} has more bytes than allowed")
        return size

    def close(self) -> None:
        self._source.close()
        super().close()

    def _too_late(self) -> BoundExceededError:
        return BoundExceededError(f"no whole answer within total_timeout_s ({self._total_s:g} s)")


def read_page(response: urllib3.BaseHTTPResponse, headers: Mapping[str, str], most: int, held: Held) -> bytes:
    """The unpacked body of an answer.

    Args:
        response: The answer.
        headers: Its headers.
        most: The maximum number of bytes.
        held: Takes the bytes from a budget, when they arrive and when they unpack.

    Raises:
        BoundExceededError: if it has more than ``most`` bytes, packed or unpacked.
        OSError, urllib3.exceptions.HTTPError, zlib.error: if it does not arrive completely.
    """
    return unpack(headers.get("Content-Encoding", ""), _read(response, most, held), most, held.take)


def read_error(response: urllib3.BaseHTTPResponse, headers: Mapping[str, str]) -> bytes:
    """The beginning of the unpacked body of an error, at most ERROR_BYTES.

    Raises:
        OSError, urllib3.exceptions.HTTPError, zlib.error: if it does not arrive.
    """
    try:
        return read_page(response, headers, ERROR_BYTES, Held(MemoryBudget(4 * ERROR_BYTES)))
    except _TooLongError as error:
        return error.beginning


def unpack(encoding: str, body: bytes, most: int, take: Callable[[int], None]) -> bytes:
    """A body without its content encoding.

    Args:
        encoding: The content encoding.
        body: The packed body.
        most: The maximum number of bytes.
        take: Called with the number of bytes before they are unpacked. It may wait.

    Raises:
        BoundExceededError: for more than ``most`` bytes, or an encoding that was not requested.
        zlib.error: for bytes that are not in that encoding.
    """
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"} or not body:
        return body
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise BoundExceededError(f"the answer has the content encoding {encoding!r}, but only gzip is asked for")
    unpacked: list[bytes] = []
    room = most
    for _member in range(_MOST_MEMBERS):
        # 47: a gzip or zlib header, whichever there is. Some servers call a stream without one "deflate".
        stream = zlib.decompressobj(-15 if encoding == "deflate" and not _has_zlib_header(body) else 47)
        while not stream.eof:
            piece = stream.decompress(body, min(_PIECE, room + 1))
            if not piece and not stream.eof:
                raise BoundExceededError("the answer's packed body is cut off")
            take(len(piece))
            unpacked.append(piece)
            room -= len(piece)
            if room < 0:
                raise _TooLongError(_joined(unpacked, take), most)
            body = stream.unconsumed_tail
        body = stream.unused_data
        if not body.startswith(b"\x1f\x8b"):  # nothing, or padding
            return _joined(unpacked, take)
    raise BoundExceededError(f"the answer's body has more than {_MOST_MEMBERS} gzip members")


def _joined(pieces: list[bytes], take: Callable[[int], None]) -> bytes:
    if len(pieces) > 1:
        take(sum(map(len, pieces)))
    return b"".join(pieces)


class _TooLongError(BoundExceededError):
    def __init__(self, beginning: bytes, most: int) -> None:
        super().__init__(f"the answer has more than {most / 2**20:g} MB; max_page_mb is the limit for a page")
        self.beginning = beginning[:most]


def _read(response: urllib3.BaseHTTPResponse, most: int, held: Held) -> bytes:
    """A body as it was sent. Reads it piece by piece, so that a stated length allocates nothing."""
    pieces: list[bytes] = []
    room = most
    while piece := response.read(min(_PIECE, room + 1), decode_content=False):
        waited_s = held.waited_s
        held.take(len(piece))
        _postpone(response, held.waited_s - waited_s)
        pieces.append(piece)
        room -= len(piece)
        if room < 0:
            raise _TooLongError(b"".join(pieces), most)
    return _joined(pieces, held.take)


def _postpone(response: urllib3.BaseHTTPResponse, seconds: float) -> None:
    """Give an answer more time after this side waited."""
    original = getattr(response, "_original_response", None)
    if seconds and isinstance(original, BoundedResponse):
        original.postpone(seconds)


def _has_zlib_header(body: bytes) -> bool:
    return len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
