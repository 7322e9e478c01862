"""The address of Klaviyo's API, which gets the key."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.client.settings import KLAVIYO_URL

_NETLOC = re.compile(r"[A-Za-z0-9._-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")
"""A host and a port, and nothing that two parsers could read in two ways."""
_PATH = re.compile(r"[A-Za-z0-9._~%/-]*")


def check_address(text: str, *, allow_http: bool = False, name: str = "base_url") -> str:
    """The address, checked, without a slash at its end.

    Args:
        text: The address.
        allow_http: Whether http may leave this machine; otherwise it must name the loopback interface.
        name: The setting, for messages.

    Raises:
        ConfigurationError: if it is not an address, has credentials, or would send a key over the network in clear.
    """
    try:
        parts = urlsplit(text.strip())
        usable = parts.scheme in {"http", "https"} and _NETLOC.fullmatch(parts.netloc) is not None
        usable = usable and _PATH.fullmatch(parts.path) is not None and not (parts.query or parts.fragment)
        usable = usable and parts.port != 0  # asking for the port checks it
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationError(
            f"{name} must be an address like {KLAVIYO_URL}, with http or https and without credentials."
        )
    if parts.scheme == "http" and not (is_loopback(parts.hostname or "") or allow_http):
        raise ConfigurationError(
            f"{name} is http://{parts.netloc}, which sends the API key over the network in clear. Use https, or a "
            "loopback address such as http://127.0.0.1:8765. For a network that you trust, set the environment "
            "variable KLAVIYO_ALLOW_HTTP to 1."
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def no_proxy_between(url: str) -> bool:
    """Whether requests to an address go there directly: without TLS, a proxy would read the key."""
    parts = urlsplit(url)
    return parts.scheme == "http" or is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a host is localhost, 127.0.0.0/8 or ::1, in this spelling.

    Another name that resolves to this machine does not count.
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
