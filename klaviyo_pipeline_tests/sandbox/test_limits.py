"""Both fixed windows, by a clock that the test turns."""

from collections.abc import Callable
from dataclasses import dataclass

from klaviyo_pipeline.sandbox.app import Sandbox
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.options import ServerOptions
from klaviyo_pipeline_tests.sandbox.client import Answer, Client


@dataclass
class Clock:
    now: float = 6_000.0

    def __call__(self) -> float:
        return self.now


def _statuses(client: Client, path: str, times: int) -> list[int]:
    return [client.get(path).status for _ in range(times)]


def _rate_headers(answer: Answer) -> list[str]:
    return [name for name in answer.headers if name.startswith("ratelimit")]


def test_burst_window_refuses_until_the_second_is_over(fresh: Callable[..., Sandbox]) -> None:
    clock = Clock()
    client = Client(fresh(ServerOptions(), clock=clock))
    assert _statuses(client, "/api/metrics", 11) == [200] * 10 + [429]
    clock.now += 0.999
    assert client.get("/api/metrics").status == 429
    clock.now += 0.001
    assert client.get("/api/metrics").status == 200


def test_steady_window_refuses_until_the_minute_is_over(fresh: Callable[..., Sandbox]) -> None:
    clock = Clock()
    client = Client(fresh(ServerOptions(), clock=clock))
    for _ in range(15):
        assert client.get("/api/accounts").status == 200
        clock.now += 1
    refused = client.get("/api/accounts")
    assert (refused.status, refused.headers["retry-after"]) == (429, "45")
    clock.now = 6_059.9
    assert client.get("/api/accounts").headers["retry-after"] == "1"
    clock.now = 6_060
    assert client.get("/api/accounts").status == 200


def test_headers_are_as_recorded(fresh: Callable[..., Sandbox]) -> None:
    client = Client(fresh(ServerOptions(), clock=Clock()))
    answer = client.get("/api/events?page[size]=1")
    assert answer.headers["ratelimit-limit"] == "350, 350;w=1, 3500;w=60"
    assert answer.headers["ratelimit-remaining"] == "349"
    assert answer.headers["ratelimit-reset"] == "1"
    missing = client.get("/api/metrics/NOPE01")
    assert missing.headers["ratelimit-limit"] == "10, 10;w=1, 150;w=60"


def test_refusal_is_worded_as_recorded(fresh: Callable[..., Sandbox]) -> None:
    client = Client(fresh(ServerOptions(), clock=Clock()))
    client.get("/api/accounts")
    refused = client.get("/api/accounts")
    assert refused.headers["retry-after"] == "1"
    assert not _rate_headers(refused)
    assert refused.error["code"] == "throttled"
    assert refused.error["title"] == "Request was throttled."
    assert refused.error["detail"] == "Request was throttled. Expected available in 1 second."
    assert refused.error["source"] == {"pointer": "/data"}
    assert refused.error["links"]["type"].endswith("#rate-limits")


def test_endpoints_are_limited_apart(fresh: Callable[..., Sandbox]) -> None:
    client = Client(fresh(ServerOptions(), clock=Clock()))
    assert _statuses(client, "/api/accounts", 2) == [200, 429]
    assert client.get("/api/metrics").status == 200


def test_predictive_analytics_and_profile_count_lower_the_limit(fresh: Callable[..., Sandbox], store: Store) -> None:
    client = Client(fresh(ServerOptions(), clock=Clock()))
    path = "/api/profiles?additional-fields[profile]=predictive_analytics&page[size]=1"
    assert _statuses(client, path, 11) == [200] * 10 + [429]
    list_id = next(iter(store.lists.rows))
    counted = f"/api/lists/{list_id}?additional-fields[list]=profile_count"
    assert _statuses(client, counted, 2) == [200, 429]
    assert client.get(f"/api/lists/{list_id}").headers["ratelimit-limit"] == "75, 75;w=1, 750;w=60"


def test_limits_are_of_the_revision(fresh: Callable[..., Sandbox]) -> None:
    app = fresh(ServerOptions(), clock=Clock())
    assert Client(app, "2025-10-15").get("/api/profiles").headers["ratelimit-limit"] == "75, 75;w=1, 700;w=60"
    assert Client(app, "2026-01-15").get("/api/profiles").headers["ratelimit-limit"] == "75, 75;w=1, 750;w=60"


def test_without_limits_the_headers_state_limits_that_nobody_reaches(client: Client) -> None:
    answers = [client.get("/api/accounts") for _ in range(30)]
    assert {answer.status for answer in answers} == {200}
    assert _rate_headers(answers[0]) == ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"]
    assert min(int(answer.headers["ratelimit-remaining"]) for answer in answers) > 900_000


def test_counts_tell_of_refusals_and_reset(fresh: Callable[..., Sandbox]) -> None:
    client = Client(fresh(ServerOptions(), clock=Clock()))
    _statuses(client, "/api/accounts", 3)
    client.get("/api/metrics/NOPE01")
    counts = client.get("/sandbox/requests").json
    assert counts["total"] == 4
    assert counts["refused"] == 2
    assert counts["open_maximum"] == 1
    assert counts["bytes"] > 0
    assert counts["endpoints"] == {"get_accounts": {"200": 1, "429": 2}, "get_metric": {"404": 1}}
    client.send("POST", "/sandbox/requests")
    assert client.get("/sandbox/requests").json["total"] == 0
    assert client.get("/api/accounts").status == 200
