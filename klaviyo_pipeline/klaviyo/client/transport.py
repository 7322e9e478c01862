"""The transport: one HTTP exchange over kept-alive connections, whole body included, or a TransportError."""

from __future__ import annotations

import http.client
import threading
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

import klaviyo_pipeline
from klaviyo_pipeline.klaviyo.client.address import no_proxy_between
from klaviyo_pipeline.klaviyo.client.bounded import (
    ACCEPTED_ENCODING,
    BoundExceededError,
    bounded_response,
    read_error,
    read_page,
)
from klaviyo_pipeline.klaviyo.client.memory import Held, MemoryBudget
from klaviyo_pipeline.klaviyo.client.settings import ClientSettings


class TransportError(Exception):
    """No whole answer arrived: no connection, a reset, a timeout, a cut-off body, or more than is allowed."""


_FAULTS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    zlib.error,
    OSError,
    ValueError,  # the libraries' own parsing of addresses, lengths and texts
)


@dataclass(frozen=True)
class Answered:
    """An HTTP answer with its whole body, or with the beginning of it if the status is not 200."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Http:
    """Sends one request at a time a thread, each thread over a connection of its own."""

    def __init__(self, base_url: str, api_key: str, revision: str, settings: ClientSettings) -> None:
        self._base_url = base_url
        self._settings = settings
        self._most_bytes = int(settings.max_page_mb * 2**20)
        self._auth = _PrivateKey(api_key)
        self._headers = {
            "revision": revision,
            "Accept": "application/vnd.api+json",
            "Accept-Encoding": ACCEPTED_ENCODING,
            "Content-Type": "application/vnd.api+json",
            "User-Agent": f"klaviyo-pipeline/{klaviyo_pipeline.__version__}",
        }
        self._local = threading.local()

    def send(self, target: str, body: bytes | None = None, held: Held | None = None) -> Answered:
        """Send a request and read the whole answer.

        Args:
            target: The path and query.
            body: The body of a POST; None for a GET.
            held: Takes the bytes of the answer from a budget; None for one of its own.

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
                # requests would read in pieces of 10 kB, and unpack whatever they come to.
                if response.status_code == 200:
                    content = read_page(response.raw, response.headers, self._most_bytes, held or Held(MemoryBudget()))
                else:
                    content = read_error(response.raw, response.headers)
                return Answered(response.status_code, response.headers, content)
        except _FAULTS as error:
            raise TransportError(_describe(error)) from None

    def _connection(self) -> tuple[HTTPAdapter, requests.PreparedRequest, dict[str, Any]]:
        """This thread's connection, a request to copy, and the proxies and certificates; looked up once."""
        if not hasattr(self._local, "connection"):
            session = requests.Session()
            session.headers.update(self._headers)
            template = session.prepare_request(requests.Request("GET", self._base_url, auth=self._auth))
            found = session.merge_environment_settings(self._base_url, {}, None, None, None)
            environment = {name: value for name, value in found.items() if name != "stream"}
            if no_proxy_between(self._base_url):
                environment["proxies"] = {}
            self._local.connection = (_Adapter(self._settings, self._most_bytes), template, environment)
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
    """One kept-alive connection, no retries of its own, a timeout for sending, and bounds on the answer.

    requests knows a connect and a read timeout; urllib3 uses the connect timeout while it sends.
    """

    def __init__(self, settings: ClientSettings, most_bytes: int) -> None:
        self._pools = _pools(settings, most_bytes)
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - urllib3's own signature
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> urllib3.ProxyManager:  # noqa: ANN401 - as above
        manager: urllib3.ProxyManager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _pools(settings: ClientSettings, most_bytes: int) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    """urllib3's pools by scheme, with connections that keep our bounds."""
    bounded = bounded_response(settings.total_timeout_s, most_bytes)

    class Connection(urllib3.connection.HTTPConnection):
        response_class = bounded

        def send(self, data: Any) -> None:  # noqa: ANN401 - bytes, a file or an iterable
            _send_within(self, settings.write_timeout_s)
            super().send(data)

    class SecureConnection(urllib3.connection.HTTPSConnection):
        response_class = bounded

        def send(self, data: Any) -> None:  # noqa: ANN401 - bytes, a file or an iterable
            _send_within(self, settings.write_timeout_s)
            super().send(data)

    class Pool(urllib3.HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    return {"http": Pool, "https": SecurePool}


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
    if isinstance(cause, BoundExceededError):
        return str(cause)
    if isinstance(cause, TimeoutError) and cause.errno is None:  # the socket's own, while sending
        return "the request could not be sent within write_timeout_s"
    text = str(cause).strip() or type(cause).__name__
    return f"{type(cause).__name__}: {text}"
