"""Klaviyo's clock beside ours: a watermark never lies after what Klaviyo calls now."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from email.utils import formatdate
from typing import Any

import pytest
import responses

from klaviyo_pipeline.klaviyo.catalogue.model import MEDIUM
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient, Request
from klaviyo_pipeline.klaviyo.extract import page_reader
from klaviyo_pipeline.klaviyo.extract.extract import extract
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.sandbox.api import messages
from klaviyo_pipeline_tests.klaviyo.support import NOW, SHOP_ENDS, Watched, request_for

HOUR_S = 3600.0
REQUEST = Request("/api/metrics", "/api/metrics", MEDIUM, "Metrics")
PAGE = {"data": [], "links": {"next": None}}


def ahead_after(*behind_s: float | str | None) -> float:
    """How far our clock is taken to be ahead, after answers whose ``Date`` is so far behind it."""
    client = KlaviyoClient("pk_0123456789", base_url="https://a.klaviyo.com")
    with responses.RequestsMock() as klaviyo:
        for each in behind_s:
            date = formatdate(time.time() - each, usegmt=True) if isinstance(each, float) else each
            klaviyo.get("https://a.klaviyo.com/api/metrics", json=PAGE, headers={"Date": date} if date else {})
        for _ in behind_s:
            client.get_json(REQUEST)
    return client.clock_ahead_s


@pytest.mark.parametrize(
    ("behind_s", "ahead_s"),
    [
        ([2 * HOUR_S], 2 * HOUR_S),
        ([5 * HOUR_S, 2 * HOUR_S, 8 * HOUR_S], 2 * HOUR_S),
        ([2 * HOUR_S, 5 * HOUR_S], 2 * HOUR_S),
        (["no date", None, 2 * HOUR_S, "Thu, 99 Nov 2026"], 2 * HOUR_S),
        ([2 * HOUR_S, 0.0], 0.0),
        ([-2 * HOUR_S], 0.0),
        ([2 * HOUR_S, -2 * HOUR_S], 0.0),
        ([None], 0.0),
    ],
)
def test_clock_when_answers_differ_then_the_smallest_skew_counts(
    behind_s: list[float | str | None], ahead_s: float
) -> None:
    assert ahead_after(*behind_s) == pytest.approx(ahead_s, abs=600)
    assert (ahead_after(*behind_s) == 0.0) == (ahead_s == 0.0)


@pytest.mark.parametrize(
    ("end", "watermark"),
    [
        (None, NOW - timedelta(hours=2)),
        (NOW + timedelta(days=1), NOW - timedelta(hours=2)),
        (NOW - timedelta(hours=1), NOW - timedelta(hours=2)),
        (NOW - timedelta(hours=5), NOW - timedelta(hours=5)),
    ],
)
def test_watermark_when_our_clock_is_ahead_then_is_no_later_than_klaviyos_now(
    end: Any,
    watermark: Any,
    make_client: Callable[..., KlaviyoClient],
    area: StagingArea,
    watched: Watched,
) -> None:
    watched.alter = dated(8, 2, 5)
    client = make_client(max_connections=1)
    page_reader.PAGE_SIZES._refused[client.account, "events", client.revision] = 20
    staged = extract(client, request_for("events", SHOP_ENDS - timedelta(days=1), end), area)
    staged.landed()

    assert abs(staged.watermark - watermark) < timedelta(minutes=10)
    assert staged.watermark <= watermark


def dated(*hours_behind: int) -> Callable[[str, messages.Request, messages.Response], messages.Response]:
    """Gives each answer a ``Date`` so many hours behind, the last one again and again."""
    left = list(hours_behind)

    def alter(_operation: str, _request: messages.Request, response: messages.Response) -> messages.Response:
        hours = left.pop(0) if len(left) > 1 else left[0]
        date = formatdate(time.time() - hours * HOUR_S, usegmt=True).encode()
        return messages.Response(response.status, response.body, (*response.headers, (b"date", date)))

    return alter
