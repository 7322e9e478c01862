"""Servers that take alerts: a web server and a mail server."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

SECRET = "/services/T0000/B0000/not-for-logs"


@dataclass
class Receiver:
    """A web server that takes messages, and may be told what to answer first."""

    address: str = ""
    answers: list[int] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    location: str = ""
    requests: int = 0


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A web server on a free port."""
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            made.requests += 1
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            status = made.answers.pop(0) if made.answers else 200
            if status == 200:
                assert self.headers["Content-Type"] == "application/json"
                made.received.append(json.loads(body))
            self.send_response(status)
            if made.location:
                self.send_header("Location", made.location)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.address = f"http://127.0.0.1:{server.server_port}{SECRET}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


USER, PASSWORD = "alerts@shop.example", "correct horse battery"


@dataclass
class MailBox:
    """A mail server that wants a login; ``is_down``: it refuses every message."""

    port: int
    mails: list[EmailMessage] = field(default_factory=list)
    is_down: bool = False

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if self.is_down:
            return "451 try again later"
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"


@contextmanager
def mail_box() -> Iterator[MailBox]:
    """A mail server on a free port."""

    def login(_server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        right = LoginPassword(USER.encode(), PASSWORD.encode())
        return AuthResult(success=given == right, handled=False)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    box = MailBox(port)
    server = Controller(
        box, hostname="127.0.0.1", port=port, authenticator=login, auth_required=True, auth_require_tls=False
    )
    server.start()
    try:
        yield box
    finally:
        server.stop()
