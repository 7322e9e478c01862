"""Sends a mail by SMTP. The password is a secret, so no log and no error contains it."""

from __future__ import annotations

import smtplib
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from threading import Timer
from typing import TYPE_CHECKING, Any, BinaryIO

from klaviyo_pipeline import environment
from klaviyo_pipeline.errors import ConfigurationError, PipelineError
from klaviyo_pipeline.klaviyo.client.address import is_loopback
from klaviyo_pipeline.redaction import keep_secret, redact

if TYPE_CHECKING:
    from email.message import EmailMessage

TIMEOUT_S = 10.0
"""For one answer."""
IN_ALL_S = 30.0
"""For a message, also where the server sends a byte now and then. Dagster allows a sensor a minute."""
ANSWER_BYTES = 1_000_000
_LONGEST = 300


class MailError(PipelineError):
    """The mail server did not accept a message."""


@dataclass(frozen=True)
class MailServer:
    """A mail server, and how to log in. ``security`` is starttls, tls or none; a blank user: no login."""

    host: str
    port: int
    security: str = "starttls"
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"MailServer({self.host!r}, {self.port}, {self.security!r}, user={self.user!r})"

    @classmethod
    def of_environment(cls) -> MailServer:
        """The server in the environment.

        Raises:
            ConfigurationError: if a setting is missing or wrong.
        """
        host, port = environment.SMTP_SERVER.value.rsplit(":", 1)
        security = environment.SMTP_SECURITY.value
        user, password = environment.SMTP_USER.value, environment.SMTP_PASSWORD.value
        if password and security == "none" and not (is_loopback(host) or environment.allow_http()):
            raise ConfigurationError(
                f"{environment.SMTP_SECURITY.name} is none, which sends the password over the network in clear. Use "
                f"starttls or tls, or set {environment.ALLOW_HTTP.name} to 1 for a network that you trust."
            )
        return cls(host, int(port), security, user, password)


def send(message: EmailMessage, server: MailServer) -> None:
    """Send a mail.

    Raises:
        MailError: with the server's answer, without the password.
    """
    if server.password:
        keep_secret(server.password, "[mail password]")
    try:
        with _connected(server) as connection:
            if server.user:
                connection.login(server.user, server.password)
            connection.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        text = redact(" ".join(str(error).split()))[:_LONGEST]
        raise MailError(
            f"The mail server {server.host} did not take the message ({type(error).__name__}: {text})."
        ) from None


def _connected(server: MailServer) -> smtplib.SMTP:
    if server.security == "tls":
        return _BoundedTls(server.host, server.port, timeout=TIMEOUT_S, context=ssl.create_default_context())
    connection = _Bounded(server.host, server.port, timeout=TIMEOUT_S)
    if server.security == "starttls":
        try:
            connection.starttls(context=ssl.create_default_context())
        except BaseException:
            connection.close()
            raise
    return connection


class _Bounded(smtplib.SMTP):
    """A connection that ends after IN_ALL_S, and after so many bytes of answers."""

    _deadline: Timer | None = None
    _ending: socket.socket | None = None
    file: Any

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """Also starts the time. A copy of the connection ends it, since TLS takes over the first one."""
        made = socket.create_connection((host, port), timeout)
        self._ending = made.dup()
        self._deadline = Timer(IN_ALL_S, _end, [self._ending])
        self._deadline.daemon = True
        self._deadline.start()
        return made

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = _Answers(self.sock.makefile("rb"))
        return super().getreply()

    def close(self) -> None:
        super().close()
        if self._deadline is not None and self._ending is not None:
            self._deadline.cancel()
            self._ending.close()


class _BoundedTls(smtplib.SMTP_SSL, _Bounded):
    """The same with TLS from the start: the time includes the handshake."""


class _Answers:
    """What a server says: only so many bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = ANSWER_BYTES

    def readline(self, size: int) -> bytes:
        line = self._file.readline(size)
        self._left -= len(line)
        if self._left < 0:
            raise OSError("its answers do not end")
        return line

    def close(self) -> None:
        self._file.close()


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
