"""Sends a mail by SMTP. The password is a secret, so no log and no error contains it."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from klaviyo_pipeline import environment
from klaviyo_pipeline.errors import ConfigurationError, PipelineError
from klaviyo_pipeline.klaviyo.client.address import is_loopback
from klaviyo_pipeline.redaction import keep_secret, redact

if TYPE_CHECKING:
    from email.message import EmailMessage

TIMEOUT_S = 10.0


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
        text = redact(" ".join(str(error).split()))
        raise MailError(
            f"The mail server {server.host} did not take the message ({type(error).__name__}: {text})."
        ) from None


def _connected(server: MailServer) -> smtplib.SMTP:
    if server.security == "tls":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_S, context=context)
    connection = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
    if server.security == "starttls":
        try:
            connection.starttls(context=ssl.create_default_context())
        except BaseException:
            connection.close()
            raise
    return connection
