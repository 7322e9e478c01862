"""Faults that ASGI cannot express: broken connections, and requests that hang."""

import asyncio
import socket
import struct
import threading
from typing import Any

from klaviyo_pipeline.sandbox.api.messages import Response, Send, start

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Releasing:
    """A flag for tasks of any event loop to wait for, and for any thread to set."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set = False
        self._waiting: dict[asyncio.Future[None], asyncio.AbstractEventLoop] = {}

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def set(self) -> None:
        """Let all go, those that come later too."""
        with self._lock:
            self._set = True
            for future, loop in self._waiting.items():
                loop.call_soon_threadsafe(_finish, future)

    async def wait(self, seconds: float | None = None) -> None:
        """Wait for the flag, at most so long."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._lock:
            if self._set:
                return
            self._waiting[future] = loop
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            pass
        finally:
            with self._lock:
                del self._waiting[future]


def _finish(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


async def reset(send: Send) -> None:
    """Break the connection off with a TCP reset, before a byte of the answer.

    Raises:
        ConnectionResetError: where there is no connection (the application is called directly).
    """
    transport = _transport(send)
    if transport is None:
        raise ConnectionResetError
    found = transport.get_extra_info("socket")
    if found is not None:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()
    await _until_noticed(send)


async def cut_short(response: Response, send: Send, length: int) -> None:
    """Promise the whole answer, send so many bytes of its body, and close.

    Raises:
        ConnectionResetError: where there is no connection.
    """
    await send(start(response))
    await send({"type": "http.response.body", "body": response.body[:length], "more_body": True})
    transport = _transport(send)
    if transport is None:
        raise ConnectionResetError
    transport.close()
    await _until_noticed(send)


async def hang(send: Send, releasing: Releasing, seconds: float | None) -> None:
    """Answer nothing until the client gives up, time is over or all are let go; then break off."""
    gone = asyncio.ensure_future(_client_gone(send))
    released = asyncio.ensure_future(releasing.wait(seconds))
    try:
        await asyncio.wait({gone, released}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (gone, released):
            task.cancel()
        await asyncio.gather(gone, released, return_exceptions=True)
    await reset(send)


async def _client_gone(send: Send) -> None:
    cycle: Any = getattr(send, "__self__", None)
    if cycle is None:
        await asyncio.get_running_loop().create_future()
    while (await cycle.receive())["type"] != "http.disconnect":
        pass


async def _until_noticed(send: Send) -> None:
    """Give the server its turns to see that the connection is gone, lest it complains of a missing answer."""
    cycle: Any = getattr(send, "__self__", None)
    while not cycle.disconnected:
        await asyncio.sleep(0)


def _transport(send: Send) -> Any:  # noqa: ANN401 - asyncio's own transport
    """The connection under uvicorn's `send`, which is a method of its request cycle."""
    return getattr(getattr(send, "__self__", None), "transport", None)
