"""Messages to a webhook: how they are delivered, and what is never in a log."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from klaviyo_pipeline.orchestration.automation.webhook import ATTEMPTS, WebhookError, post
from klaviyo_pipeline_tests.alerts.servers import SECRET, Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


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
