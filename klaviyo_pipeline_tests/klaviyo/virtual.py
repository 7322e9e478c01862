"""A client whose limits and waits are in virtual time, and a Klaviyo whose answers are scripted."""

from collections.abc import Callable
from typing import Any

import pytest
import responses

from klaviyo_pipeline.klaviyo.catalogue.model import MEDIUM
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient, Request
from klaviyo_pipeline.klaviyo.client.rate_limits import RateLimits
from klaviyo_pipeline.klaviyo.client.settings import ClientSettings
from klaviyo_pipeline.klaviyo.decode.pages import PageDecoder
from klaviyo_pipeline_tests.klaviyo.support import VirtualTime

KEY = "pk_" + "0123456789abcdef" * 2
URL = "https://a.klaviyo.com/api/metrics"
PAGE = {"data": [], "links": {"self": URL, "next": None, "prev": None}}
REQUEST = Request("/api/metrics", "/api/metrics", MEDIUM, "Metrics", ("metrics:read",))


def problem(status: int, detail: str, code: str = "invalid", **source: str) -> dict[str, Any]:
    error = {"id": "1", "status": status, "code": code, "title": "t", "detail": detail, "source": source}
    return {"status": status, "json": {"errors": [error]}}


@pytest.fixture
def clock() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def make(clock: VirtualTime) -> Callable[..., KlaviyoClient]:
    """Makes a client whose rate limits and waits are in virtual time."""

    def make(revision: str | None = None, **changes: Any) -> KlaviyoClient:
        made = KlaviyoClient(KEY, ClientSettings(**changes), revision=revision)
        made._limits = RateLimits(1.0, clock)
        return made

    return make


@pytest.fixture
def client(make: Callable[..., KlaviyoClient]) -> KlaviyoClient:
    return make()


@pytest.fixture
def klaviyo() -> Any:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def fetch(client: KlaviyoClient, clock: VirtualTime, request: Request = REQUEST) -> Any:
    decoder = PageDecoder(SOURCES["metrics"].columns, client.revision)
    return client.fetch(request, lambda body, _revision: decoder.decode(body), clock)  # type: ignore[arg-type]
