"""Failed runs are told to a webhook: what the message says, how it is delivered, and what is never in a log."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import dagster as dg
import pytest

from klaviyo_pipeline.orchestration.automation.failed_runs import SENSOR
from klaviyo_pipeline.orchestration.automation.webhook import ATTEMPTS, WebhookError, post
from klaviyo_pipeline_tests.incremental.support import QUIET, Project
from klaviyo_pipeline_tests.orchestration.conftest import World

SECRET = "/services/T0000/B0000/not-for-logs"


@dataclass
class Receiver:
    """A web server that takes messages, and may be told what to answer first."""

    address: str = ""
    answers: list[int] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    location: str = ""
    requests: int = 0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            made.requests += 1
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            status = made.answers.pop(0) if made.answers else 200
            if status == 200:
                assert self.headers["Content-Type"] == "application/json"
                made.received.append(json.loads(body))
            self.send_response(status)
            if made.location:
                self.send_header("Location", made.location)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.address = f"http://127.0.0.1:{server.server_port}{SECRET}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


class Watching:
    """The sensor of failed runs, over a project's runs."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.sensor = project.definitions.get_repository_def().get_sensor_def(SENSOR)
        self.cursor: str | None = None

    def look(self) -> Any:
        """What the sensor makes of what happened since the last look."""
        context = dg.build_sensor_context(self.project.instance, cursor=self.cursor)
        found = self.sensor.evaluate_tick(context)
        self.cursor = found.cursor
        return found


@pytest.fixture
def watching(world: World) -> Watching:
    made = Watching(Project(world))
    assert "Initiating" in (made.look().skip_message or "")
    return made


def fail(project: Project, *sources: str, **settings: Any) -> str:
    """A run that fails; its id."""
    result = project.job.execute_in_process(
        asset_selection=[dg.AssetKey(["klaviyo", source]) for source in sources],
        instance=project.instance,
        tags={"dagster/asset_partition_range_start": "2026-11-17", "dagster/asset_partition_range_end": "2026-11-18"},
        run_config=QUIET,
        raise_on_error=False,
        **settings,
    )
    assert not result.success
    return result.run_id


def test_failed_run_then_its_message_is_received(
    watching: Watching, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("KLAVIYO_ALERT_WEBHOOK", receiver.address)
    monkeypatch.setenv("KLAVIYO_DAGSTER_URL", "https://dagster.example.com/")
    caplog.set_level(logging.DEBUG)
    project = watching.project
    project.world.sandbox.app.options.keys["pk_sandbox"] = frozenset({"profiles:read"})  # type: ignore[index]
    run_id = fail(project, "events", "event_metrics")

    watching.look()

    (message,) = receiver.received
    header, reason, facts = message["blocks"]
    assert header["text"]["text"] == "Klaviyo run failed"
    assert "events:read" in reason["text"]["text"]
    assert "Traceback" not in json.dumps(message)
    assert [each["text"] for each in facts["fields"]] == [
        "*Job*\nassets, by hand",
        f"*Run*\n<https://dagster.example.com/runs/{run_id}|{run_id}>",
        "*Assets*\nklaviyo/event_metrics, klaviyo/events",
        "*Failed*\nklaviyo/events",
        "*Partitions*\n2026-11-17 to 2026-11-18",
    ]
    assert message["text"].startswith("Klaviyo run failed: klaviyo/events: ")
    logged = caplog.text + "".join(entry.to_json() for entry in project.instance.all_logs(run_id))
    assert "pk_sandbox" not in logged + json.dumps(message)
    assert "not-for-logs" not in logged
    watching.look()
    assert len(receiver.received) == 1


def test_blocked_run_then_the_message_says_what_the_check_found(
    watching: Watching, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_ALERT_WEBHOOK", receiver.address)
    project = watching.project
    project.load("events", days=("2026-11-18", "2026-11-18"))
    with project.duckdb.warehouse().writing() as connection:
        connection.execute("UPDATE klaviyo.events SET id = NULL WHERE id = (SELECT min(id) FROM klaviyo.events)")
    fail(project, "events")

    watching.look()

    (message,) = receiver.received
    assert message["text"].startswith(
        "Klaviyo run failed: klaviyo_events_checks: klaviyo/events: primary_key_is_unique failed. 1 rows without id."
    )


def test_run_of_a_whole_job_then_its_assets_are_named_too(
    watching: Watching, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_ALERT_WEBHOOK", receiver.address)
    project = watching.project
    project.world.sandbox.app.options.keys["pk_sandbox"] = frozenset({"metrics:read"})  # type: ignore[index]
    job = project.definitions.resolve_job_def("klaviyo_daily")
    job.execute_in_process(instance=project.instance, run_config=QUIET, raise_on_error=False)

    watching.look()

    (message,) = receiver.received
    texts = [each["text"] for each in message["blocks"][2]["fields"]]
    assert texts[0] == "*Job*\nklaviyo_daily"
    assert texts[2:] == [
        "*Assets*\nklaviyo/list_profiles, klaviyo/lists, klaviyo/metrics, klaviyo/templates",
        "*Failed*\nklaviyo/list_profiles, klaviyo/lists, klaviyo/templates",
    ]


def test_no_webhook_is_set_then_says_so(watching: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KLAVIYO_ALERT_WEBHOOK", raising=False)
    fail(watching.project, "event_metrics")

    assert watching.look().skip_message == "No message is sent: KLAVIYO_ALERT_WEBHOOK is not set."


def test_webhook_that_refuses_then_the_look_fails_without_the_address(
    watching: Watching, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("KLAVIYO_ALERT_WEBHOOK", receiver.address)
    caplog.set_level(logging.DEBUG)
    receiver.answers = [404]
    fail(watching.project, "event_metrics")

    (reaction,) = watching.look().dagster_run_reactions

    error = reaction.error.to_string()
    assert "The webhook answered HTTP 404; the message was not delivered." in error
    assert "not-for-logs" not in error + caplog.text


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_webhook_that_answers_with_a_redirect_is_not_delivered(receiver: Receiver, status: int) -> None:
    receiver.answers, receiver.location = [status], receiver.address

    with pytest.raises(WebhookError, match=f"answered HTTP {status}; the message was not delivered"):
        post(receiver.address, {"text": "hello"})

    assert receiver.received == []
    assert receiver.requests == 1


def test_webhook_that_is_busy_is_asked_again_ever_later(receiver: Receiver) -> None:
    receiver.answers, waits = [503, 429], list[float]()

    post(receiver.address, {"text": "hello"}, waits.append)

    assert receiver.received == [{"text": "hello"}]
    assert waits == [1.0, 2.0]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://127.0.0.1:9" + SECRET, "could not be reached"),
        ("ftp://127.0.0.1" + SECRET, "must begin with https://"),
        ("http://127.0.0.1:port" + SECRET, "is not a URL"),
    ],
)
def test_webhook_that_can_not_be_reached_then_says_why_without_its_address(address: str, said: str) -> None:
    waits = list[float]()

    with pytest.raises(WebhookError, match=said) as caught:
        post(address, {"text": "hello"}, waits.append)

    assert "not-for-logs" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert len(waits) == (ATTEMPTS - 1 if said == "could not be reached" else 0)
