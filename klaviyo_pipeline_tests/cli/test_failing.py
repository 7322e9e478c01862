"""How commands end that fail or are stopped: one sentence, an exit code, no traceback, no control characters."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from klaviyo_pipeline.cli.failing import Commands, Failed
from klaviyo_pipeline.cli.output import cell, printable
from klaviyo_pipeline.sandbox.options import SandboxOptions, ServerOptions
from klaviyo_pipeline.sandbox.server import running_sandbox
from klaviyo_pipeline_tests.transfers.workplace import Workplace, workplace_at

HOSTILE = "name\x1b]0;title\x07\x1b[2Jrest\r\x9bA"


def test_control_characters_of_a_server_never_reach_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for text in (printable(HOSTILE), cell(HOSTILE), Failed(HOSTILE).format_message()):
        assert text.isprintable()
        assert text.startswith("name ")
    assert printable("two\nlines") == "two\nlines"
    assert "\n" not in cell("two\nlines")


def test_a_failed_quiet_run_prints_its_reason_once(place: Workplace) -> None:
    place.write("kinds", "source: event_metrics")

    result = place.cli("transfer", "run", "kinds", "-q", exit_code=1)

    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("Error: Run ")
    assert "Load the data source events first" in line


def test_history_says_why_a_run_failed(place: Workplace) -> None:
    place.write("kinds", "source: event_metrics")
    place.cli("transfer", "run", "kinds", "-q", exit_code=1)

    assert (
        "failed: event_metrics follows the events in klaviyo.events" in place.cli("transfer", "history", "kinds").stderr
    )
    (run,) = place.json("transfer", "history", "kinds")
    assert run["error"].startswith("event_metrics follows the events")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("api_token: ${KLAVIYO_API_KEY}", "API key in the environment variable KLAVIYO_API_KEY"),
        ("api_token: xxx", "API key in the file"),
        ("description: none", "default"),
    ],
)
def test_show_says_where_the_key_comes_from(place: Workplace, line: str, said: str) -> None:
    place.write("kinds", f"source: metrics\n{line}")

    assert f"Account       : {said}\n" in place.cli("transfer", "show", "kinds").stdout


def test_a_run_that_a_person_stops_ends_with_one_sentence_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = SandboxOptions(seed=3, profiles=5, events=400, days=3, until="2026-09-20T12:00:00+00:00")
    slow = ServerOptions(rate_limits=False, latency_ms=60_000)
    with running_sandbox(shop, slow) as sandbox, workplace_at(tmp_path, sandbox, monkeypatch) as place:
        place.write("kinds", "source: metrics")
        command = [sys.executable, "-m", "klaviyo_pipeline.cli", "transfer", "run", "kinds"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
            assert process.stderr is not None
            for line in process.stderr:
                if "Reading metrics" in line:
                    break
            process.send_signal(signal.SIGINT)
            said = process.stderr.read()
            assert process.wait() == 130

    assert "Run it again: it resumes" in said
    assert "Traceback" not in said


def test_an_unexpected_interrupt_in_any_command_is_one_sentence() -> None:
    from click.testing import CliRunner

    group = Commands("group")

    @group.command()
    def stop() -> None:
        raise KeyboardInterrupt

    result = CliRunner().invoke(group, ["stop"])

    assert result.exit_code == 130
    assert result.stderr.startswith("Error: Stopped.")
