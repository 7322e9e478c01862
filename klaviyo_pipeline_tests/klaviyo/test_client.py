"""One request of the client: what is sent, what is refused before, and where links lead."""

import time
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient, target_of_link
from klaviyo_pipeline.klaviyo.client.settings import ClientSettings
from klaviyo_pipeline.sandbox.server import RunningSandbox
from klaviyo_pipeline_tests.klaviyo.support import VirtualTime
from klaviyo_pipeline_tests.klaviyo.virtual import KEY, PAGE, REQUEST, URL, client, clock, fetch, klaviyo, make

__all__ = ["client", "clock", "klaviyo", "make"]


# What is sent


def test_request_when_sent_then_names_key_revision_and_format(
    client: KlaviyoClient, clock: VirtualTime, klaviyo: Any
) -> None:
    klaviyo.get(URL, json=PAGE)
    fetch(client, clock)
    sent = klaviyo.calls[0].request.headers
    assert sent["Authorization"] == f"Klaviyo-API-Key {KEY}"
    assert sent["revision"] == "2026-07-15"
    assert sent["Accept"] == "application/vnd.api+json"
    assert sent["User-Agent"].startswith("klaviyo-pipeline/")


def test_request_when_netrc_has_an_entry_for_the_host_then_the_key_is_sent_all_the_same(
    client: KlaviyoClient, clock: VirtualTime, klaviyo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine a.klaviyo.com login someone password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert requests.utils.get_netrc_auth(URL) == ("someone", "secret"), "the entry is one that requests would use"
    klaviyo.get(URL, json=PAGE)
    fetch(client, clock)
    assert klaviyo.calls[0].request.headers["Authorization"] == f"Klaviyo-API-Key {KEY}"


def test_answer_when_another_revision_answered_then_says_which(
    client: KlaviyoClient, clock: VirtualTime, klaviyo: Any
) -> None:
    klaviyo.get(URL, json=PAGE, headers={"X-Klaviyo-API-Revision": "2025-01-15"})
    klaviyo.get(URL, json=PAGE)
    assert fetch(client, clock).revision == "2025-01-15"
    assert fetch(client, clock).revision == "2026-07-15"


# What is refused before anything is sent


@pytest.mark.parametrize("key", ["", "  ", "\n"])
def test_client_when_there_is_no_key_then_message_names_the_variable(key: str) -> None:
    with pytest.raises(ConfigurationError, match=r"KLAVIYO_API_KEY"):
        KlaviyoClient(key)


@pytest.mark.parametrize("key", ["pk_a b", "pk_ü", "pk_\x00a", "pk_a\r\nEvil: yes"])
def test_client_when_the_key_holds_odd_characters_then_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigurationError, match=r"characters") as refused:
        KlaviyoClient(key)
    assert key not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["", "a.klaviyo.com", "ftp://a.klaviyo.com", "https://", "https://user:pw@host", "https://:pw@host", "http://[::1",
     "http://host:port", "http://host:99999"],
)  # fmt: skip
def test_client_when_the_address_is_none_then_is_refused_without_showing_a_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"base_url") as refused:
        KlaviyoClient(KEY, base_url=url)
    assert "pw" not in str(refused.value)


def test_client_when_the_revision_is_malformed_then_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"revision"):
        KlaviyoClient(KEY, revision="latest")


# Links


@pytest.mark.parametrize(
    ("link", "followed"),
    [
        ("https://a.klaviyo.com/api/events?page%5Bcursor%5D=x%3D%3D", "/api/events?page%5Bcursor%5D=x%3D%3D"),
        ("https://elsewhere.example/api/events?a=b", "/api/events?a=b"),
        ("http://elsewhere.example:8080/api/events?next=https://x/y", "/api/events?next=https://x/y"),
        ("/api/events?a=b", "/api/events?a=b"),
        ("https://elsewhere.example", "/"),
    ],
)
def test_link_when_followed_then_only_path_and_query_count_to_the_letter(link: str, followed: str) -> None:
    assert target_of_link(link) == followed


@pytest.mark.parametrize(
    "link", ["@evil.example/api", ".evil.example/api", ":80@evil.example/", "//evil.example/api", "evil", "", "?a=b",
             "https://evil.example", "https:\\\\evil.example\\", "javascript:alert(1)", "\\@evil.example"]
)  # fmt: skip
def test_link_when_made_to_lead_elsewhere_then_stays_on_the_configured_host(link: str) -> None:
    url = requests.Request("GET", "https://a.klaviyo.com" + target_of_link(link)).prepare().url
    assert url is not None
    assert url.startswith("https://a.klaviyo.com/")


@given(st.text(max_size=30))
def test_link_when_any_text_then_stays_on_the_configured_host(link: str) -> None:
    assert target_of_link(link).startswith("/")


def test_network_time_is_that_of_the_last_exchange_alone(sandbox: RunningSandbox) -> None:
    client = KlaviyoClient("pk_sandbox", ClientSettings(), base_url=sandbox.url)
    began = time.monotonic()
    answer = client.fetch(REQUEST, lambda body, _revision: len(body))
    assert 0 < answer.network_s <= time.monotonic() - began
