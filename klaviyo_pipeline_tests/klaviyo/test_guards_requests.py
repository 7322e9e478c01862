"""Which requests a window comes to at its edges, and what names the extract that they fill."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from klaviyo_pipeline.klaviyo.catalogue.revisions import REVISIONS, shape_of
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.klaviyo.windows import Window
from klaviyo_pipeline.sandbox.server import RunningSandbox
from klaviyo_pipeline_tests.klaviyo.support import NOW, SHOP_ENDS, Watched, load

Make = Callable[..., KlaviyoClient]
SECOND, MICROSECOND = timedelta(seconds=1), timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("end", "request_end"),
    [
        (NOW - SECOND, NOW - SECOND),
        (NOW - MICROSECOND, NOW),
        (NOW, NOW),
        (NOW + MICROSECOND, None),
        (NOW + SECOND, None),
    ],
)
def test_window_when_it_ends_around_now_then_the_request_ends_with_it_or_stays_open(
    end: datetime, request_end: datetime | None
) -> None:
    window = Window(NOW - timedelta(days=1), end, NOW)
    assert window.request_end == request_end
    assert window.watermark == min(end, NOW)


def test_window_when_it_starts_now_then_is_refused_and_a_moment_before_is_not() -> None:
    with pytest.raises(Exception, match="lies in the future"):
        Window(NOW, None, NOW)
    assert Window(NOW - MICROSECOND, None, NOW).request_start == NOW - SECOND


def test_page_size_when_a_parent_has_one_child_then_is_left_out_and_when_it_has_many_is_the_largest(
    client: KlaviyoClient, area: StagingArea, sandbox: RunningSandbox, watched: Watched
) -> None:
    event = next(each for each in sandbox.store.events if each.metric_id in sandbox.store.metrics)
    load(client, area, "event_metrics", ids=[event.id])
    assert watched.asked("page[size]") == [None]
    watched.requests.clear()

    load(client, area, "list_profiles", ids=sorted(sandbox.store.lists.rows)[:1])
    assert set(watched.asked("page[size]")) == {"100"}


def test_extract_when_taken_up_again_then_keeps_its_name_and_once_landed_the_next_has_another(
    client: KlaviyoClient, area: StagingArea
) -> None:
    first, again = (load(client, area, "lists", keep=keep).staged.extract_id for keep in (True, False))
    following = load(client, area, "lists").staged.extract_id
    assert isinstance(first, str)
    assert first == again != following


def test_extract_when_done_then_its_wait_for_the_limit_is_that_of_its_requests(
    client: KlaviyoClient, area: StagingArea
) -> None:
    client.traffic.add(limit_wait_s=100.0)
    staged = load(client, area, "lists").staged
    assert staged.waited_for_limit_s == staged.traffic.limit_wait_s < 100.0


@pytest.mark.parametrize("minutes", [1, 14, 15, 29, 30, 44, 45])
def test_slices_when_a_window_is_short_then_each_has_a_quarter_of_an_hour_at_least(
    minutes: int, make_client: Make, area: StagingArea, watched: Watched
) -> None:
    start = SHOP_ENDS - timedelta(days=30)
    load(make_client(max_connections=3), area, "events", start, start + timedelta(minutes=minutes))
    assert len(watched.requests) == max(1, min(3, minutes // 15))


@pytest.mark.parametrize(
    ("revision", "shape"),
    [
        ("2026-07-15", "2026-07-15"),
        ("2026-08-01", "2026-07-15"),
        ("2026-10-14", "2026-07-15"),
        ("2026-10-15", "2026-10-15"),
        ("2029-01-01", REVISIONS[-1].name),
        ("2019-01-01", REVISIONS[0].name),
    ],
)
def test_shape_when_a_revision_is_not_known_then_is_that_of_the_newest_before_it(revision: str, shape: str) -> None:
    assert shape_of(revision) == shape
