"""Posts a message to a webhook. The address is a secret, like Slack's, so no log and no error contains it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from klaviyo_pipeline.errors import PipelineError
from klaviyo_pipeline.klaviyo.client.address import is_loopback, no_proxy_between
from klaviyo_pipeline.redaction import ADDRESS, keep_secret, redact_values

if TYPE_CHECKING:
    from http.client import HTTPResponse
    from urllib.request import OpenerDirector, Request

FIRST_WAIT_S = 1.0
ATTEMPTS = 4
TIMEOUT_S = 8.0
"""In all less than the minute that Dagster allows a sensor."""

_PASSING = {408, 425, 429, 500, 502, 503, 504}


class WebhookError(PipelineError):
    """The webhook did not accept a message."""


def post(
    address: str,
    message: Mapping[str, Any],
    sleep: Callable[[float], None] = time.sleep,
    *,
    allow_http: bool = False,
) -> None:
    """Post a message as JSON, again after a second, two and four if the other side is busy or cannot be reached.

    Args:
        address: The address. http must name the loopback interface, unless ``allow_http`` is on.
        message: The message. Secrets in it are replaced.
        sleep: Waits for some seconds.
        allow_http: Whether the address may cross the network in clear.

    Raises:
        WebhookError: with the answer, without the address.
    """
    # Not requests: urllib3 writes the path of every request to its debug log.
    from http.client import HTTPException, InvalidURL
    from urllib.error import HTTPError
    from urllib.request import Request

    keep_secret(address, ADDRESS)
    if not address.lower().startswith(("https://", "http://")):
        raise WebhookError("The webhook's address must begin with https:// or http://.")
    try:
        direct = no_proxy_between(address)
        parts = urlsplit(address)
        in_clear = parts.scheme == "http" and not is_loopback(parts.hostname or "")
    except ValueError:
        raise WebhookError("The webhook's address is not a URL.") from None
    if in_clear and not allow_http:
        raise WebhookError(
            "The webhook's address begins with http://, which sends it over the network in clear. Use https, or set "
            "the environment variable KLAVIYO_ALLOW_HTTP to 1 for a network that you trust."
        )
    opener = _opener(direct=direct)
    body = json.dumps(redact_values(message)).encode()
    for attempt in range(ATTEMPTS):
        try:
            request = Request(address, body, {"Content-Type": "application/json"})  # noqa: S310 - checked above
            with opener.open(request, timeout=TIMEOUT_S):
                return
        except HTTPError as error:
            problem, passing = f"answered HTTP {error.code}", error.code in _PASSING
        except (InvalidURL, ValueError):
            raise WebhookError("The webhook's address is not a URL.") from None
        except (OSError, HTTPException) as error:  # among them urllib's URLError
            reason = getattr(error, "reason", error)
            problem, passing = f"could not be reached ({type(reason).__name__})", True
        if not passing or attempt + 1 == ATTEMPTS:
            raise WebhookError(f"The webhook {problem}; the message was not delivered.")
        sleep(FIRST_WAIT_S * 2**attempt)


def _opener(*, direct: bool) -> OpenerDirector:
    """Opens addresses within TIMEOUT_S, also for slow answers, and does not follow redirects.

    A redirect turns the POST into a GET, and delivers nothing.
    """
    from http.client import HTTPConnection, HTTPSConnection
    from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, ProxyHandler, build_opener

    from klaviyo_pipeline.klaviyo.client.bounded import ERROR_BYTES, bounded_response

    bounded = bounded_response(TIMEOUT_S, ERROR_BYTES)

    class Connection(HTTPConnection):
        response_class = bounded

    class SecureConnection(HTTPSConnection):
        response_class = bounded

    class Plain(HTTPHandler):
        def http_open(self, request: Request) -> HTTPResponse:
            return self.do_open(Connection, request)

    class Secure(HTTPSHandler):
        def https_open(self, request: Request) -> HTTPResponse:
            return self.do_open(SecureConnection, request)

    class Refuse(HTTPRedirectHandler):
        def redirect_request(self, *_arguments: object) -> None:
            return None

    return build_opener(Refuse, Plain, Secure, ProxyHandler({} if direct else None))
