"""Alerts: a message when a problem begins and one when it has ended, in each channel, across restarts."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg
import pytest

import klaviyo_pipeline.definitions  # noqa: F401 - with the default data sources, before a test sets others
from klaviyo_pipeline import clock
from klaviyo_pipeline.alerts import problems
from klaviyo_pipeline.alerts.sensor import SENSOR
from klaviyo_pipeline.built_in import built_in_definitions
from klaviyo_pipeline.orchestration import dagster_home
from klaviyo_pipeline.orchestration.partitions import daily_partitions
from klaviyo_pipeline_tests.alerts.servers import PASSWORD, USER, MailBox, Receiver
from klaviyo_pipeline_tests.transfers.workplace import Workplace


@dataclass
class Watching:
    """The sensor over the project's records, with what Dagster keeps of it."""

    instance: dg.DagsterInstance
    cursor: str | None = None
    said: str = ""

    def look(self) -> str:
        """One look, by definitions that were made anew, as after a restart; what the sensor says."""
        repository = built_in_definitions(daily_partitions("2026-09-01", "UTC")).get_repository_def()
        context = dg.build_sensor_context(self.instance, cursor=self.cursor, repository_def=repository)
        found = repository.get_sensor_def(SENSOR).evaluate_tick(context)
        self.cursor = found.cursor
        return found.skip_message or ""


@pytest.fixture
def watching(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watching]:
    monkeypatch.setenv("KLAVIYO_SOURCES", "metrics, lists")
    monkeypatch.setenv("KLAVIYO_DAGSTER_URL", "https://dagster.example.com/")
    for name in ("ALERT_WEBHOOK", "ALERT_JSON_WEBHOOK", "ALERT_MAIL_TO"):
        monkeypatch.delenv(f"KLAVIYO_{name}", raising=False)
    # Dagster's records know the machine's time only, and at that time a revision may end.
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC))
    monkeypatch.setattr(problems, "_revision", lambda _now, _chosen: ())
    with dagster_home.kept_instance() as instance:
        yield Watching(instance)


def use_mail(mails: MailBox, monkeypatch: pytest.MonkeyPatch, *, security: str = "none") -> None:
    monkeypatch.setenv("KLAVIYO_ALERT_MAIL_TO", "data@shop.example, on-call@shop.example")
    monkeypatch.setenv("KLAVIYO_SMTP_SERVER", f"127.0.0.1:{mails.port}")
    monkeypatch.setenv("KLAVIYO_SMTP_SECURITY", security)
    monkeypatch.setenv("KLAVIYO_SMTP_USER", USER)
    monkeypatch.setenv("KLAVIYO_SMTP_PASSWORD", PASSWORD)


def test_broken_load_and_its_recovery_are_two_messages_in_each_channel(
    place: Workplace,
    watching: Watching,
    slack: Receiver,
    programs: Receiver,
    mails: MailBox,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("KLAVIYO_ALERT_WEBHOOK", slack.address)
    monkeypatch.setenv("KLAVIYO_ALERT_JSON_WEBHOOK", programs.address)
    use_mail(mails, monkeypatch)
    place.cli("load", "metrics", "lists")
    assert watching.look() == "0 problems now; 0 messages sent."

    for _ in range(2):
        monkeypatch.setenv("KLAVIYO_API_KEY", "pk_wrong")
        place.cli("load", "lists", exit_code=1)
        watching.look()
    assert watching.look() == "1 problems now; 0 messages sent."
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_sandbox")
    place.cli("load", "lists")
    for _ in range(2):
        watching.look()

    begun, ended = slack.received
    assert begun["blocks"][0]["text"]["text"] == "Load failed: klaviyo/lists"
    assert "API key" in begun["blocks"][1]["text"]["text"]
    link = "https://dagster.example.com/assets/klaviyo/lists?view=overview"
    assert begun["blocks"][2]["text"]["text"] == f"<{link}|Open in Dagster>"
    assert ended["blocks"][0]["text"]["text"] == "Well again: Load failed: klaviyo/lists"
    opened, resolved = programs.received
    assert (opened["state"], resolved["state"]) == ("open", "resolved")
    assert opened["key"] == resolved["key"] == "table klaviyo/lists"
    assert "API key" in opened["sentence"]
    assert opened["link"] == link
    failure, recovery = mails.mails
    assert failure["Subject"] == "Klaviyo: Load failed: klaviyo/lists"
    assert failure["To"] == "data@shop.example, on-call@shop.example"
    assert failure["From"] == "data@shop.example"
    assert link in failure.get_content()
    assert "API key" in failure.get_content()
    assert recovery["Subject"] == "Klaviyo: Well again: Load failed: klaviyo/lists"
    everything = json.dumps([*slack.received, *programs.received]) + str(mails.mails) + caplog.text
    everything += "".join(mail.as_string() for mail in mails.mails)
    for secret in ("pk_wrong", "not-for-logs", PASSWORD):
        assert secret not in everything


def test_channel_that_is_down_is_told_later_and_the_other_is_told_once(
    place: Workplace, watching: Watching, slack: Receiver, mails: MailBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_ALERT_WEBHOOK", slack.address)
    use_mail(mails, monkeypatch)
    place.write("wrong", "source: nothing\n")
    mails.is_down = True
    for _ in range(2):
        said = watching.look()
        assert "mail: The mail server 127.0.0.1 did not take the message (SMTPDataError: " in said
        assert PASSWORD not in said
    assert [message["blocks"][0]["text"]["text"] for message in slack.received] == ["File is broken: transfers/wrong"]
    mails.is_down = False
    watching.look()
    watching.look()
    assert [mail["Subject"] for mail in mails.mails] == ["Klaviyo: File is broken: transfers/wrong"]
    assert len(slack.received) == 1


def test_password_is_not_sent_to_a_server_that_cannot_encrypt(
    place: Workplace, watching: Watching, mails: MailBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_mail(mails, monkeypatch, security="starttls")
    place.write("wrong", "source: nothing\n")
    assert "STARTTLS" in watching.look()
    assert not mails.mails


def test_without_a_channel_the_sensor_says_what_to_set(watching: Watching) -> None:
    assert watching.look() == (
        "No message is sent: set one of KLAVIYO_ALERT_WEBHOOK, KLAVIYO_ALERT_JSON_WEBHOOK, KLAVIYO_ALERT_MAIL_TO."
    )
