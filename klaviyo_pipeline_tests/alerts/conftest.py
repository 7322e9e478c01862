from collections.abc import Iterator

import pytest

from klaviyo_pipeline_tests.alerts.servers import MailBox, Receiver, mail_box, receiving
from klaviyo_pipeline_tests.transfers.workplace import place, shop

__all__ = ["place", "shop"]


@pytest.fixture
def slack() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def programs() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def mails() -> Iterator[MailBox]:
    with mail_box() as made:
        yield made
