"""Processes that share a budget in Postgres keep Klaviyo's windows together. Without Postgres, each keeps its own."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from klaviyo_pipeline import environment
from klaviyo_pipeline.coordination import permits
from klaviyo_pipeline.coordination.permits import SharedPermits
from klaviyo_pipeline.coordination.postgres import Coordination, CoordinationError, coordination_at
from klaviyo_pipeline.klaviyo.catalogue.model import SMALL
from klaviyo_pipeline.klaviyo.client.rate_limits import RateLimits
from klaviyo_pipeline.sandbox.faults.plan import NoFaults
from klaviyo_pipeline.sandbox.options import SandboxOptions
from klaviyo_pipeline.sandbox.server import running_sandbox
from klaviyo_pipeline.transfers.setup_check import _coordination
from klaviyo_pipeline_tests.klaviyo.pacing import allowed, most_in_any_stretch
from klaviyo_pipeline_tests.lake import destinations, servers

pytestmark = pytest.mark.lake
SHOP = SandboxOptions(profiles=20, events=50, days=3, until="2026-11-20", lists=1, templates=1, campaigns=1)
A_MINUTE, BURST = allowed(150, 0.9), allowed(10, 0.9)


@dataclass
class Log(NoFaults):
    """When the sandbox answered each request, and how."""

    times: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    async def deliver(self, operation: str, request: Any, response: Any, send: Any) -> None:
        self.times.append(time.time())
        self.statuses.append(response.status)
        await super().deliver(operation, request, response, send)


@pytest.fixture(scope="module")
def address() -> str:
    return destinations.running().postgres.database()


@pytest.fixture
def coordination(address: str) -> Coordination:
    return coordination_at(address)


def readers(url: str, key: str, requests: int, count: int, coordination: str) -> list[subprocess.Popen[str]]:
    """Processes that begin together."""
    command = [sys.executable, "-m", "klaviyo_pipeline_tests.lake.reader_process", url, key, str(requests)]
    environ = {**os.environ, "KLAVIYO_COORDINATION": coordination}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environ}
    started = [subprocess.Popen(command, **pipes) for _ in range(count)]
    for each in started:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in started:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    return started


def test_two_processes_on_one_account_when_limits_are_on_then_use_them_up_together_and_are_not_refused(address):
    with running_sandbox(SHOP) as sandbox:
        log = Log()
        sandbox.app.plan_faults(log)
        # So many that some must wait for the second minute.
        for each in readers(sandbox.url, sandbox.api_key, A_MINUTE // 2 + 8, 2, f"postgres:{address}"):
            assert each.wait(240) == 0
    sent = len(log.times)
    assert sent >= 2 * (A_MINUTE // 2 + 8)
    assert log.statuses.count(429) < 0.01 * sent
    assert most_in_any_stretch(log.times, 60) <= A_MINUTE
    assert sum(at < log.times[0] + 60 for at in log.times) >= 0.95 * A_MINUTE


def taken(permits: SharedPermits, most: int, windows: dict[float, int]) -> int:
    """How many requests may be sent, at most so many."""
    return next((n for n in range(most) if permits.take(windows) > 0), most)


def test_budget_when_others_have_leased_all_then_says_how_long_to_wait_and_their_names_do_not_matter(coordination):
    windows = {1.0: 1000, 3600.0: 25}
    ours, theirs, of_others = (SharedPermits(coordination, name) for name in ("all", "all", "another"))
    assert taken(ours, 15, windows) == 15  # in blocks of 1, 2, 4 and 8
    assert taken(theirs, 20, windows) == 10
    assert 3590 < theirs.take(windows) <= 3601
    assert taken(of_others, 20, windows) == 20


def test_budget_when_requests_follow_fast_then_few_leases_serve_them(coordination):
    fast = SharedPermits(coordination, "fast", lambda: 0.0)
    assert taken(fast, 300, {1.0: 315, 3600.0: 3150}) == 300
    count = "SELECT count(*) FROM klaviyo_pipeline.request_leases WHERE bucket = 'fast'"

    def leases(cursor: Any) -> int:
        cursor.execute(count)
        return cursor.fetchone()[0]

    assert coordination.run(leases) == 14  # of 1, 2, 4, 8, 16 and then 31 requests


def test_budget_when_a_lease_has_ended_then_what_was_not_sent_is_given_back(coordination):
    now = 0.0
    ours, theirs = (SharedPermits(coordination, "given back", lambda: now) for _ in range(2))
    windows = {1.0: 1000, 3600.0: 40}
    # The blocks grow with the demand: 1, 2, 4, 8, 16; one of the last is sent.
    assert taken(ours, 16, windows) == 16
    assert taken(theirs, 40, windows) == 40 - 31
    now += 2 * permits.LEASE_S
    assert ours.take(windows) == 0.0  # fifteen go back, and two are leased
    now += 2 * permits.ASK_EVERY_S
    assert taken(theirs, 40, windows) == 40 - 18 - 9


def test_budget_when_a_process_is_killed_then_its_lease_counts_until_its_window_has_passed(coordination):
    windows = {1.0: 1000, 3600.0: 20}
    code = (
        "import os, signal, sys; from klaviyo_pipeline.coordination.permits import SharedPermits; "
        "from klaviyo_pipeline.coordination.postgres import coordination_at; "
        "dying = SharedPermits(coordination_at(sys.argv[1]), 'killed'); "
        f"assert [dying.take({windows}) for _ in range(4)] == [0.0] * 4; "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, coordination.address], timeout=60)
    assert done.returncode == -9
    # It had leased 1, 2 and 4, and has sent four.
    survivor = SharedPermits(coordination, "killed")
    assert taken(survivor, 20, windows) == 20 - 7
    age = (
        "UPDATE klaviyo_pipeline.request_leases SET leased_at = leased_at - interval '2 hours' WHERE bucket = 'killed'"
    )
    coordination.run(lambda cursor: cursor.execute(age))
    assert taken(SharedPermits(coordination, "killed"), 30, windows) == 20


def test_limit_when_it_has_a_budget_then_all_limits_with_it_keep_the_window_together(coordination):
    budget = permits.Budget(coordination, "one-account")
    limits = [RateLimits(0.9, time.monotonic, budget).of("lists", SMALL) for _ in range(2)]
    sent = sum(1 for limit in limits for _ in range(5) if limit.reserve() == 0.0)
    assert sent == allowed(3, 0.9)


def test_postgres_when_it_is_not_there_then_a_load_is_told_once_and_keeps_its_own_limits(caplog):
    with running_sandbox(SHOP) as sandbox, caplog.at_level(logging.WARNING):
        from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
        from klaviyo_pipeline_tests.lake.reader_process import REQUEST

        gone = Coordination(f"dbname=x host=127.0.0.1 port={servers.free_port()} user=x")
        client = KlaviyoClient(sandbox.api_key, base_url=sandbox.url, coordination=gone)
        for _ in range(3):
            assert client.get_json(REQUEST)["data"]
    said = [each.getMessage() for each in caplog.records if "KLAVIYO_COORDINATION" in each.getMessage()]
    assert len(said) == 1
    assert "Connection refused" in said[0]


def test_postgres_when_it_restarted_then_the_next_call_connects_again(coordination):
    def kill_itself(cursor: Any) -> None:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'klaviyo_pipeline'"
        )

    with pytest.raises(CoordinationError, match="does not work"):
        Coordination(coordination.address).run(kill_itself)
    assert SharedPermits(coordination, "after a restart").take({1.0: 10}) == 0.0


def test_shared_tables_when_a_client_has_sent_requests_then_do_not_have_its_key(coordination):
    from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
    from klaviyo_pipeline_tests.lake.reader_process import REQUEST

    with running_sandbox(SHOP) as sandbox:
        for _ in range(2):
            KlaviyoClient(sandbox.api_key, base_url=sandbox.url, coordination=coordination).get_json(REQUEST)

    def buckets(cursor: Any) -> list[str]:
        cursor.execute("SELECT DISTINCT bucket FROM klaviyo_pipeline.request_leases WHERE bucket LIKE '% metrics'")
        return [each for (each,) in cursor.fetchall()]

    found = coordination.run(buckets)
    assert found
    assert not any(sandbox.api_key in each for each in found)


def test_check_when_the_shared_database_answers_or_not_then_says_so(coordination, monkeypatch):
    gone = f"postgres:dbname=x host=127.0.0.1 port={servers.free_port()} user=x"
    found = []
    for address in (f"postgres:{coordination.address}", gone, "off"):
        monkeypatch.setenv("KLAVIYO_COORDINATION", address)
        found += _coordination()
    assert [each.ok for each in found] == [True, False]
    assert "Connection refused" in found[1].text


def test_lake_in_postgres_when_nothing_else_is_set_then_its_catalog_is_the_shared_database(coordination, monkeypatch):
    monkeypatch.setenv("KLAVIYO_DESTINATION", f"ducklake:postgres:{coordination.address}")
    assert environment.coordination() is coordination
    monkeypatch.setenv("KLAVIYO_COORDINATION", "off")
    assert environment.coordination() is None
    monkeypatch.delenv("KLAVIYO_COORDINATION")
    monkeypatch.setenv("KLAVIYO_DESTINATION", "ducklake:data/klaviyo.ducklake")
    assert environment.coordination() is None
