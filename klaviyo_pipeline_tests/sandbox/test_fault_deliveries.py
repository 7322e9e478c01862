"""Faults of a delivery: dropped, cut, hanging and wrongly labelled answers, over a real connection."""

import threading
from http.client import HTTPConnection, IncompleteRead
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from klaviyo_pipeline.sandbox.faults.plan import Fault, FaultPlan
from klaviyo_pipeline.sandbox.options import SandboxOptions
from klaviyo_pipeline.sandbox.server import RunningSandbox, running_sandbox
from klaviyo_pipeline_tests.sandbox.client import headers
from klaviyo_pipeline_tests.sandbox.conftest import NO_LIMITS

TINY = SandboxOptions(profiles=20, events=50, until="2026-11-01", templates=3, campaigns=3)


@pytest.fixture
def serving() -> Any:
    with running_sandbox(TINY, NO_LIMITS) as sandbox:
        yield sandbox


def ask(sandbox: RunningSandbox, path: str = "/api/metrics") -> requests.Response:
    return requests.get(sandbox.url + path, headers=headers(sandbox.api_key), timeout=30)


def plan(sandbox: RunningSandbox, *rules: Fault) -> FaultPlan:
    made = FaultPlan(1, rules)
    sandbox.app.plan_faults(made)
    return made


def test_reset_drops_the_connection_and_the_next_request_goes_well(
    serving: RunningSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    plan(serving, Fault("reset", limit=1))
    with pytest.raises(requests.ConnectionError, match="reset"):
        ask(serving)
    assert ask(serving).status_code == 200
    assert not caplog.records, "the server complains of nothing"


def test_truncated_body_is_shorter_than_promised(serving: RunningSandbox, caplog: pytest.LogCaptureFixture) -> None:
    plan(serving, Fault("truncated", limit=1))
    connection = HTTPConnection(urlsplit(serving.url).netloc)
    connection.request("GET", "/api/metrics", headers=headers(serving.api_key))
    with pytest.raises(IncompleteRead) as cut:
        connection.getresponse().read()
    assert cut.value.partial.startswith(b'{"data":')
    assert ask(serving).json()["data"]
    assert not caplog.records


def test_hang_lasts_until_the_client_gives_up(serving: RunningSandbox) -> None:
    hanging = plan(serving, Fault("hang", limit=1))
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{serving.url}/api/metrics", headers=headers(serving.api_key), timeout=(30, 0.05))
    assert ask(serving).status_code == 200
    assert hanging.report()["total"] == 1


def test_hang_ends_when_it_is_released(serving: RunningSandbox) -> None:
    hanging = plan(serving, Fault("hang"))
    failed = []

    def wait() -> None:
        try:
            ask(serving)
        except requests.ConnectionError as error:
            failed.append(error)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    while hanging._releasing.waiting < 3:
        assert any(thread.is_alive() for thread in threads)
    serving.app.plan_faults(FaultPlan())
    for thread in threads:
        thread.join()
    assert len(failed) == 3
    assert hanging._releasing.waiting == 0
    assert serving.app.counts.open == 0


def test_hanging_requests_do_not_outlive_the_sandbox() -> None:
    hanging = FaultPlan(1, [Fault("hang")])
    errors = []
    threads = set(threading.enumerate())
    with running_sandbox(TINY, NO_LIMITS, faults=hanging) as sandbox:

        def wait() -> None:
            with pytest.raises(requests.ConnectionError) as caught:
                ask(sandbox)
            errors.append(caught)

        thread = threading.Thread(target=wait)
        thread.start()
        while not hanging._releasing.waiting:
            assert thread.is_alive()
    thread.join()
    assert errors
    assert hanging._releasing.waiting == 0
    assert set(threading.enumerate()) <= threads


def test_hang_with_an_argument_ends_by_itself(serving: RunningSandbox) -> None:
    plan(serving, Fault("hang", argument="0.01", limit=1))
    with pytest.raises(requests.ConnectionError):
        ask(serving)
    assert ask(serving).status_code == 200


def test_invalid_json_has_the_right_length(serving: RunningSandbox) -> None:
    plan(serving, Fault("invalid-json", limit=1))
    answer = ask(serving)
    assert len(answer.content) == int(answer.headers["content-length"])
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def test_content_type_is_wrong_while_the_body_is_right(serving: RunningSandbox) -> None:
    right = ask(serving).json()
    plan(serving, Fault("content-type"))
    answer = ask(serving)
    assert answer.headers["content-type"] == "text/html"
    assert answer.json() == right
