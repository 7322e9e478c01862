"""The transport: one HTTP exchange over kept-alive connections, whole body included, or a TransportError."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

import klaviyo_pipeline
from klaviyo_pipeline.klaviyo.settings import ClientSettings


class TransportError(Exception):
    """No whole answer arrived: no connection, a reset, a timeout, a cut-off body."""


@dataclass(frozen=True)
class Answered:
    """An HTTP answer with its whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Http:
    """Sends one request at a time a thread, each thread over a connection of its own."""

    def __init__(self, base_url: str, api_key: str, revision: str, settings: ClientSettings) -> None:
        self._base_url = base_url
        self._settings = settings
        self._auth = _PrivateKey(api_key)
        self._headers = {
            "revision": revision,
            "Accept": "application/vnd.api+json",
            "Content-Type": "application/vnd.api+json",
            "User-Agent": f"klaviyo-pipeline/{klaviyo_pipeline.__version__}",
        }
        self._local = threading.local()

    def send(self, target: str, body: bytes | None = None) -> Answered:
        """Send a request and read the whole answer.

        Raises:
            TransportError: if none arrives, saying what happened.
        """
        adapter, template, environment = self._connection()
        prepared = template.copy()
        prepared.url = self._base_url + target  # as it is: preparing a URL would encode it anew
        if body is not None:
            prepared.method = "POST"
            prepared.prepare_body(body, None)
        try:
            # Session.send would add cookies, hooks and redirects, at half a millisecond a page.
            with adapter.send(
                prepared,
                stream=True,
                timeout=(self._settings.connect_timeout_s, self._settings.read_timeout_s),
                **environment,
            ) as response:
                # requests would read in pieces of 10 kB; and its own error classes do not cover this read.
                content = response.raw.read(decode_content=True)
                return Answered(response.status_code, response.headers, content)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise TransportError(_describe(error)) from None

    def _connection(self) -> tuple[HTTPAdapter, requests.PreparedRequest, dict[str, Any]]:
        """This thread's connection, a request to copy, and the proxies and certificates; looked up once."""
        if not hasattr(self._local, "connection"):
            session = requests.Session()
            session.headers.update(self._headers)
            template = session.prepare_request(requests.Request("GET", self._base_url, auth=self._auth))
            found = session.merge_environment_settings(self._base_url, {}, None, None, None)
            environment = {name: value for name, value in found.items() if name != "stream"}
            self._local.connection = (_Adapter(self._settings.write_timeout_s), template, environment)
        connection: tuple[HTTPAdapter, requests.PreparedRequest, dict[str, Any]] = self._local.connection
        return connection


class _PrivateKey(AuthBase):
    """Sets the key itself, so that neither a repr nor a ~/.netrc entry for the host comes into it."""

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Klaviyo-API-Key {self._api_key}"
        return request


class _Adapter(HTTPAdapter):
    """One kept-alive connection, no retries of its own, and a timeout for sending.

    requests knows a connect and a read timeout; urllib3 uses the connect timeout while it sends.
    """

    def __init__(self, write_timeout_s: float) -> None:
        self._write_timeout_s = write_timeout_s
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - urllib3's own signature
        super().init_poolmanager(*args, **kwargs)
        write_timeout_s = self._write_timeout_s

        class Connection(urllib3.connection.HTTPConnection):
            def send(self, data: Any) -> None:  # noqa: ANN401 - bytes, a file or an iterable
                _send_within(self, write_timeout_s)
                super().send(data)

        class SecureConnection(urllib3.connection.HTTPSConnection):
            def send(self, data: Any) -> None:  # noqa: ANN401 - bytes, a file or an iterable
                _send_within(self, write_timeout_s)
                super().send(data)

        class Pool(urllib3.HTTPConnectionPool):
            ConnectionCls = Connection

        class SecurePool(urllib3.HTTPSConnectionPool):
            ConnectionCls = SecureConnection

        self.poolmanager.pool_classes_by_scheme = {"http": Pool, "https": SecurePool}


def _send_within(connection: urllib3.connection.HTTPConnection, seconds: float) -> None:
    if connection.sock is None and connection.auto_open:
        connection.connect()
    if connection.sock is not None:
        connection.sock.settimeout(seconds)


def _describe(error: Exception) -> str:
    """What happened, in one line; the libraries wrap the cause several times over."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "no connection within connect_timeout_s"
    if isinstance(error, requests.exceptions.ReadTimeout | urllib3.exceptions.ReadTimeoutError):
        return "no answer within read_timeout_s"
    cause: BaseException = error
    while True:
        inner = next((arg for arg in cause.args if isinstance(arg, BaseException)), None)
        inner = inner or getattr(cause, "reason", None)
        if not isinstance(inner, BaseException):
            break
        cause = inner
    if isinstance(cause, TimeoutError) and cause.errno is None:  # the socket's own, while sending
        return "the request could not be sent within write_timeout_s"
    text = str(cause).strip() or type(cause).__name__
    return f"{type(cause).__name__}: {text}"
