"""All connections of an account together hold no more than their budget and one page; who finds it empty waits."""

import gzip
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from klaviyo_pipeline.klaviyo.catalogue.model import MEDIUM
from klaviyo_pipeline.klaviyo.client.answers import document
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient, Request
from klaviyo_pipeline.klaviyo.client.memory import Held, MemoryBudget, memory_of_account
from klaviyo_pipeline.klaviyo.client.settings import ClientSettings
from klaviyo_pipeline_tests.hostile import server as hostile
from klaviyo_pipeline_tests.hostile.server import WireServer, answer, says

REQUEST = Request("/api/metrics", "/api/metrics", MEDIUM, "Metrics")
PATIENCE_S = 30
MEGABYTE = 2**20
CONNECTIONS = 8


class Noting(MemoryBudget):
    """Notes the most bytes that were taken at once, and tells when an answer begins to wait."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self._most, self.peak = most, 0
        self.waits = threading.Semaphore(0)
        changed = self._changed
        wait_for = changed.wait_for

        def noted(predicate: Callable[[], Any], timeout: float | None = None) -> Any:
            self.waits.release()
            return wait_for(predicate, PATIENCE_S if timeout is None else timeout)

        changed.wait_for = noted  # type: ignore[method-assign, assignment]

    def _take(self, held: Held, count: int) -> None:
        super()._take(held, count)
        self.peak = max(self.peak, self._most - self._left)


@pytest.fixture
def server() -> Iterator[WireServer]:
    yield from hostile.serving()


def test_answer_when_the_budget_is_empty_then_waits_until_another_one_gives_back() -> None:
    budget = Noting(100)
    went_on: list[str] = []

    def second() -> None:
        with budget.answer() as held:
            held.take(50)
            went_on.append("second")
            assert held.waited_s > 0

    with budget.answer() as beyond:
        beyond.take(90)
        beyond.take(90)  # nobody else may take more than is left
        thread = threading.Thread(target=second)
        thread.start()
        assert budget.waits.acquire(timeout=PATIENCE_S)
        assert went_on == []
        beyond.take(1000)
        assert beyond.waited_s == 0
    thread.join(PATIENCE_S)
    assert went_on == ["second"]


def test_answers_when_each_holds_a_part_and_needs_more_then_all_end() -> None:
    budget, all_hold = Noting(CONNECTIONS * 10), threading.Barrier(CONNECTIONS)

    def grow() -> None:
        with budget.answer() as held:
            held.take(10)
            all_hold.wait(PATIENCE_S)
            for _piece in range(5):
                held.take(10)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for future in [pool.submit(grow) for _ in range(CONNECTIONS)]:
            future.result(PATIENCE_S)
    assert budget.peak <= CONNECTIONS * 10 + 60


@pytest.mark.parametrize("packed", [True, False])
def test_connections_when_each_gets_a_large_page_then_together_they_hold_the_budget_and_one_page(
    packed: bool, server: WireServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = Noting(2 * MEGABYTE)
    monkeypatch.setattr("klaviyo_pipeline.klaviyo.client.client.memory_of_account", lambda _account: budget)
    body = b'{"data":[]}'.ljust(4 * MEGABYTE)
    sent = gzip.compress(body, mtime=0) if packed else body
    server.then(says(answer(sent, *(["Content-Encoding: gzip"] if packed else []))))
    client = KlaviyoClient("pk_memory", ClientSettings(max_page_mb=16, rate_limit_share=1.0), base_url=server.url)

    def read(page: bytes, _revision: str) -> int:
        return len(page)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        pages = [pool.submit(client.fetch, REQUEST, read) for _ in range(CONNECTIONS)]
        assert [page.result(PATIENCE_S).value for page in pages] == [len(body)] * CONNECTIONS
    assert server.accepted == CONNECTIONS, "they wait, and nothing is asked for again"
    assert budget.peak <= 2 * MEGABYTE + 2 * len(body) + len(sent)
    assert budget._left == 2 * MEGABYTE


def test_page_when_it_cannot_be_read_then_gives_back_its_bytes(
    server: WireServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = Noting(MEGABYTE)
    monkeypatch.setattr("klaviyo_pipeline.klaviyo.client.client.memory_of_account", lambda _account: budget)
    server.then(says(answer(b"{")), says(answer(b'{"data":', length=99)), says(answer(b'{"data":[]}')))
    client = KlaviyoClient("pk_memory", ClientSettings(initial_retry_wait_s=1), base_url=server.url)
    cancelled = threading.Event()
    monkeypatch.setattr(cancelled, "wait", lambda _seconds: False)

    def read(page: bytes, _revision: str) -> dict[str, Any]:
        return document(page)

    assert client.fetch(REQUEST, read, cancelled).retries == 2
    assert budget._left == MEGABYTE


def test_budget_when_two_clients_have_an_account_then_is_shared() -> None:
    assert memory_of_account("same") is memory_of_account("same")
    assert memory_of_account("same") is not memory_of_account("another")
