"""The server: in a thread, in a process, from the command line, with faults plugged in."""

import json
import subprocess
import sys
from collections.abc import Callable

import pytest
import requests
from click.testing import CliRunner

from klaviyo_pipeline.sandbox.api.messages import Request, Response, Send, deliver
from klaviyo_pipeline.sandbox.app import Sandbox
from klaviyo_pipeline.sandbox.command import sandbox as sandbox_command
from klaviyo_pipeline.sandbox.faults.plan import NoFaults
from klaviyo_pipeline.sandbox.options import SandboxOptions
from klaviyo_pipeline.sandbox.server import RunningSandbox, running_sandbox, sandbox_process
from klaviyo_pipeline_tests.sandbox.client import Client, headers
from klaviyo_pipeline_tests.sandbox.conftest import NO_LIMITS

TINY = SandboxOptions(profiles=20, events=50, until="2026-11-01", templates=3, campaigns=3)


def test_thread_serves_over_kept_alive_connections(running: RunningSandbox) -> None:
    running.reset_counts()
    with requests.Session() as session:
        session.headers.update(headers(running.api_key))
        url: str | None = f"{running.url}/api/profiles?page[size]=100"
        ids = []
        while url:
            document = session.get(url, timeout=10).json()
            ids += [item["id"] for item in document["data"]]
            url = document["links"]["next"]
    assert ids == sorted(running.store.profiles.rows)
    assert running.counts()["endpoints"] == {"get_profiles": {"200": 3}}


def test_sandboxes_run_side_by_side() -> None:
    with running_sandbox(TINY, NO_LIMITS) as one, running_sandbox(TINY, NO_LIMITS) as two:
        assert one.url != two.url
        one.store.delete("events", next(iter(one.store.events)).id)
        assert len(two.store.events) == len(one.store.events) + 1


def test_process_serves_and_tells_its_counts() -> None:
    arguments = ("--events", "50", "--profiles", "20", "--until", "2026-11-01", "--key", "narrow=lists:read")
    with sandbox_process(*arguments) as process:
        assert requests.get(f"{process.url}/api/metrics", headers=headers(process.api_key), timeout=10).ok
        process.reset_counts()
        answer = requests.get(f"{process.url}/api/lists", headers=headers("narrow"), timeout=10)
        assert answer.status_code == 200
        answer = requests.get(f"{process.url}/api/metrics", headers=headers("narrow"), timeout=10)
        assert answer.status_code == 403
        assert process.counts()["endpoints"] == {"get_lists": {"200": 1}, "get_metrics": {"403": 1}}
        assert process.admin("POST", "events", {"datetime": "2026-11-01T00:00:00Z"})["ids"]
        process.reset_counts()
        assert process.counts()["total"] == 0


def test_process_that_cannot_start_says_so() -> None:
    with pytest.raises(RuntimeError, match="before it was ready"), sandbox_process("--nonsense"):
        pass


def test_command_explains_every_option() -> None:
    shown = CliRunner().invoke(sandbox_command, ["--help"]).output
    for parameter in sandbox_command.params:
        assert parameter.opts[0] in shown
        assert parameter.help  # type: ignore[attr-defined]


def test_importing_the_command_loads_no_server() -> None:
    script = (
        "import json, sys; import klaviyo_pipeline.sandbox.command;"
        "print(json.dumps([name for name in ('uvicorn', 'msgspec', 'dagster', 'duckdb') if name in sys.modules]))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == []


class Stormy(NoFaults):
    """Refuses the first request and cuts the second short."""

    def __init__(self) -> None:
        self.asked = 0

    async def instead(self, operation: str, request: Request) -> Response | None:
        self.asked += 1
        return (
            Response(503, b"<html>Service Unavailable</html>", content_type=b"text/html") if self.asked == 1 else None
        )

    async def deliver(self, operation: str, request: Request, response: Response, send: Send) -> None:
        if self.asked == 2:
            response = Response(response.status, response.body[:20], response.headers)
        await deliver(response, send)


def test_faults_answer_instead_and_deliver_otherwise(fresh: Callable[..., Sandbox]) -> None:
    client = Client(fresh(faults=Stormy()))
    first, second, third = (client.get("/api/metrics") for _ in range(3))
    assert (first.status, first.content[:6]) == (503, b"<html>")
    assert len(second.content) == 20
    assert third.ids
    assert client.get("/sandbox/requests").json["endpoints"] == {"get_metrics": {"200": 2, "503": 1}}


def test_dropped_connection_is_an_error_of_the_client_only() -> None:
    class Dropping(NoFaults):
        async def deliver(self, operation: str, request: Request, response: Response, send: Send) -> None:
            if operation == "get_metrics":
                length = (b"content-length", b"%d" % len(response.body))
                await send({"type": "http.response.start", "status": 200, "headers": [length]})
                await send({"type": "http.response.body", "body": response.body[:9], "more_body": True})
                raise ConnectionResetError
            await deliver(response, send)

    with running_sandbox(TINY, NO_LIMITS, faults=Dropping()) as sandbox:
        with pytest.raises(requests.RequestException):
            requests.get(f"{sandbox.url}/api/metrics", headers=headers(sandbox.api_key), timeout=10)
        answer = requests.get(f"{sandbox.url}/api/lists", headers=headers(sandbox.api_key), timeout=10)
        assert answer.status_code == 200
        assert sandbox.counts()["total"] == 2
