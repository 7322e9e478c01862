"""Mail servers that never end an answer: the message fails in bounded time and memory."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage

import pytest

from klaviyo_pipeline.alerts import smtp
from klaviyo_pipeline.alerts.smtp import MailError, MailServer, send


@contextmanager
def answering(answer: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    """A server on a free port that treats its first connection so, until the end of the test."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                answer(connection, over)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            thread.join()


def drips(connection: socket.socket, over: threading.Event) -> None:
    """A byte now and then, each in time for the timeout of one read."""
    while not over.wait(0.01):
        connection.sendall(b"2")


def pours(connection: socket.socket, over: threading.Event) -> None:
    """Lines of one answer, for ever."""
    while not over.is_set():
        connection.sendall(b"220-" + b"x" * 1000 + b"\r\n")


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
@pytest.mark.parametrize("answer", [drips, pours])
def test_mail_server_that_never_ends_an_answer_is_left(
    answer: Callable[[socket.socket, threading.Event], None], security: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "IN_ALL_S", 0.3)
    message = EmailMessage()
    message["From"] = message["To"] = "data@shop.example"
    with (
        answering(answer) as port,
        pytest.raises(MailError, match="did not take the message") as failed,
    ):
        send(message, MailServer("127.0.0.1", port, security))
    assert len(str(failed.value)) < 500
