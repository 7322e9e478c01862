"""A limit with a budget that several processes share: what it asks for, and what it counts. No database is needed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from klaviyo_pipeline import environment
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.model import LARGE, Tier
from klaviyo_pipeline.klaviyo.client.rate_limits import EndpointLimit, RateLimits
from klaviyo_pipeline_tests.klaviyo.pacing import Clock, allowed


@dataclass
class Shared:
    """Says to wait as often as it is told to."""

    waits: list[float] = field(default_factory=list)
    asked: list[dict[float, int]] = field(default_factory=list)

    def permits(self, _endpoint: str) -> "Shared":
        return self

    def take(self, windows: Mapping[float, int]) -> float:
        self.asked.append(dict(windows))
        return self.waits.pop(0) if self.waits else 0.0


def test_permit_when_the_budget_has_none_then_the_request_waits_and_is_not_counted():
    clock, shared = Clock(), Shared(waits=[5.0])
    limit = EndpointLimit(Tier(1, 10), 0.9, clock, permits=shared)
    assert limit.reserve() == 5.0
    assert limit.reserve() == 0.0  # the first one was not sent
    assert limit.reserve() > 0  # by its own window, so the budget is not asked
    assert len(shared.asked) == 2


def test_permit_when_it_is_asked_for_then_by_the_shares_of_the_windows_that_klaviyo_states():
    clock, shared = Clock(), Shared()
    limit = RateLimits(0.9, clock, shared).of("events", LARGE)
    limit.reserve()
    limit.observe({"RateLimit-Limit": "350, 350;w=1, 3500;w=60", "RateLimit-Remaining": "349"})
    limit.reserve()
    limit.throttled(1.0)
    clock.sleep(1.1)
    limit.reserve()
    first, stated, careful = shared.asked
    assert first == {1.0: allowed(75, 0.9), 60.0: allowed(750, 0.9)}
    assert stated == {1.0: allowed(350, 0.9), 60.0: allowed(3500, 0.9)}
    assert careful[1.0] < stated[1.0]
    assert careful[60.0] == stated[60.0]


def test_permit_when_the_server_states_no_limit_then_is_not_asked_for():
    shared = Shared()
    limit = EndpointLimit(LARGE, 0.9, Clock(), permits=shared)
    limit.observe({})
    assert limit.reserve() == 0.0
    assert shared.asked == []


def test_limits_of_one_endpoint_when_their_shares_differ_then_have_one_budget():
    clock, shared = Clock(), Shared()
    limits = RateLimits(0.9, clock, shared)
    for each in (limits.of("events", LARGE), limits.with_share(0.5).of("events", LARGE)):
        each.reserve()
    assert [asked[1.0] for asked in shared.asked] == [allowed(75, 0.9), allowed(75, 0.5)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("off", "off"),
        ("postgres:dbname=lake host=db user=me", "dbname=lake host=db user=me"),
        ("postgres://me@db/lake", "postgresql://me@db/lake"),
    ],
)
def test_shared_database_when_it_is_named_then_is_read(monkeypatch, text, found):
    monkeypatch.setenv("KLAVIYO_COORDINATION", text)
    assert environment.COORDINATION.value == found


@pytest.mark.parametrize(
    "text", ["postgresql://me:hunter-the-2nd@db/lake", "postgres:dbname=x password=hunter-the-2nd", "db"]
)
def test_shared_database_when_it_is_wrong_then_the_message_says_so_without_the_password(monkeypatch, text):
    monkeypatch.setenv("KLAVIYO_COORDINATION", text)
    with pytest.raises(ConfigurationError, match="KLAVIYO_COORDINATION") as error:
        environment.coordination()
    assert "hunter" not in str(error.value)


def test_no_shared_database_when_neither_it_nor_a_lake_is_set(monkeypatch):
    monkeypatch.delenv("KLAVIYO_COORDINATION", raising=False)
    assert environment.coordination() is None
