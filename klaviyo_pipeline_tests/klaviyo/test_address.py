"""Where a key may be sent to: over https, or to this machine, and there without a proxy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.model import Tier
from klaviyo_pipeline.klaviyo.client.address import check_address
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient, Request
from klaviyo_pipeline.klaviyo.client.settings import ClientSettings
from klaviyo_pipeline.klaviyo.errors import KlaviyoError
from klaviyo_pipeline.orchestration.automation.webhook import WebhookError, post
from klaviyo_pipeline.orchestration.resources import KlaviyoResource
from klaviyo_pipeline.transfers.file.authentications import read_authentications
from klaviyo_pipeline.yaml_files.problems import FileError
from klaviyo_pipeline_tests.hostile.listener import Listener, listening

KEY = "pk_for_this_machine_only"
ACROSS_THE_NETWORK = [
    *("klaviyo.example", "10.0.0.5", "192.168.1.2:8765", "169.254.169.254", "[2001:db8::1]", "[::ffff:10.0.0.5]:80"),
    # Names and spellings that look like this machine, or that a resolver might take for it.
    *(
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "localhost.",
        "127.0.0.1.",
        "evil-localhost",
        "localhost.localdomain",
    ),
    *(
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0",
        "0.0.0.0",
        "[::]",
        "[::ffff:127.0.0.1]",
        "127.0.0.1.evil",
    ),
]
NO_ADDRESS = [
    *("http://localhost@evil.example", "http://evil.example@localhost", "http://127.0.0.1:80@evil.example"),
    *("http://127.0.0.1\\@evil.example", "http://127.0.0.1\\.evil.example", "http://127.0.0.1#@evil.example"),
    *("http://127.0.0.1?@evil.example", "http://[::1%25lo]", "http://127.0.0.1:80:90", "http://\u2488\u2488.example"),
    *("http://loc\u0430lhost", "http:// localhost", "http:localhost", "//localhost", "file:///etc/passwd"),
    *(
        "https://a.klaviyo.com/\x00",
        "https://a.klaviyo.com/a b",
        "https://a.klaviyo.com/?x=1",
        "https://a.klaviyo.com/\\",
    ),
]
PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


@pytest.fixture
def server() -> Iterator[Listener]:
    yield from listening()


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """A proxy that every variable names, and that no variable excepts an address from."""
    for made in listening():
        for name in PROXIES:
            monkeypatch.setenv(name, made.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        yield made


def ask(client: KlaviyoClient) -> None:
    client.fetch(Request("/api/lists", "/api/lists", Tier(75, 700), "Lists"), lambda body, _revision: body)


@pytest.mark.parametrize("host", ACROSS_THE_NETWORK)
def test_http_across_the_network_is_refused_unless_a_setting_allows_it(host: str) -> None:
    with pytest.raises(ConfigurationError, match="in clear"):
        KlaviyoClient(KEY, base_url=f"http://{host}")
    assert KlaviyoClient(KEY, base_url=f"http://{host}", allow_http=True).base_url == f"http://{host}"
    assert KlaviyoClient(KEY, base_url=f"https://{host}").base_url == f"https://{host}"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1", "127.8.9.10:1", "[::1]", "[0:0::1]:80"])
def test_http_to_this_machine_is_taken(host: str) -> None:
    assert check_address(f"http://{host}/") == f"http://{host}"


@pytest.mark.parametrize("url", NO_ADDRESS)
@pytest.mark.parametrize("allow_http", [False, True])
def test_address_that_two_parsers_could_read_in_two_ways_is_refused(url: str, allow_http: bool) -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        check_address(url, allow_http=allow_http)


@pytest.mark.parametrize(("value", "allowed"), [("1", True), ("on", True), ("0", False), ("", False), ("no", False)])
def test_the_setting_is_an_environment_variable(value: str, allowed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_ALLOW_HTTP", value)
    monkeypatch.setenv("KLAVIYO_API_KEY", KEY)
    monkeypatch.setenv("KLAVIYO_BASE_URL", "http://sandbox.internal:8765")
    if allowed:
        assert KlaviyoResource().client().base_url == "http://sandbox.internal:8765"
    else:
        with pytest.raises(ConfigurationError, match="KLAVIYO_ALLOW_HTTP"):
            KlaviyoResource().client()


def test_address_of_an_account_in_the_authentications_file_is_checked_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KLAVIYO_ALLOW_HTTP", raising=False)
    file = tmp_path / "authentications.yml"
    file.write_text("shop:\n  api_key: ${SHOP_KEY}\n  base_url: http://klaviyo.example\n")
    with pytest.raises(FileError, match=r"authentications.yml:3:13: shop.base_url is http://klaviyo.example, which"):
        read_authentications(str(file))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_proxy_never_sees_a_key_that_goes_to_this_machine(server: Listener, proxy: Listener, host: str) -> None:
    ask(KlaviyoClient(KEY, base_url=f"http://{host}:{server.port}"))
    assert [request for request in server.heard if KEY in request]
    assert proxy.heard == []


def test_proxy_never_sees_a_key_in_clear(proxy: Listener) -> None:
    """Without TLS the request goes there directly, also where the setting allows it; with TLS through a tunnel."""
    settings = ClientSettings(retry_limit=1)
    for url in ("http://klaviyo.invalid", "https://klaviyo.invalid"):
        with pytest.raises(KlaviyoError):
            ask(KlaviyoClient(KEY, settings, base_url=url, allow_http=True))
    assert proxy.heard, "https goes through the proxy"
    assert all(request.startswith("CONNECT klaviyo.invalid:443") for request in proxy.heard)
    assert KEY not in "".join(proxy.heard)


def test_netrc_of_the_host_does_not_replace_the_key(
    server: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password of-somebody-else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    ask(KlaviyoClient(KEY, base_url=server.url))
    assert f"Authorization: Klaviyo-API-Key {KEY}" in server.heard[0]


def test_webhook_over_http_needs_this_machine_or_the_setting_and_no_proxy_sees_it(
    server: Listener, proxy: Listener
) -> None:
    with pytest.raises(WebhookError, match="in clear") as refused:
        post("http://hooks.example/services/T000/B000/secret-of-the-hook", {})
    assert "secret-of-the-hook" not in str(refused.value)
    post(f"{server.url}/services/T000/B000/secret-of-the-hook", {"text": f"with {KEY}"})
    assert len(server.heard) == 1
    assert proxy.heard == []
