"""How many requests are under way at once: as many as help."""

from collections.abc import Callable

from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.extract.progress import Connections
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.sandbox.options import ServerOptions
from klaviyo_pipeline.sandbox.server import running_sandbox
from klaviyo_pipeline_tests.klaviyo.conftest import KEYS, OPTIONS
from klaviyo_pipeline_tests.klaviyo.support import load, page_size, truth


def grown(most: int, network_s: float, cpu_s: float, all_s: float) -> int:
    """How many connections there are after many pages that took so long."""
    connections = Connections(most)
    for _page in range(500):
        connections.page_took(network_s, cpu_s, all_s)
        if connections.one_more_helps:
            connections.count += 1
    return connections.count


def test_connections_when_they_only_wait_for_klaviyo_then_grow_to_the_most_allowed() -> None:
    assert grown(64, network_s=1.0, cpu_s=0.003, all_s=1.01) == 64
    assert grown(3, network_s=1.0, cpu_s=0.003, all_s=1.01) == 3


def test_connections_when_pages_wait_for_their_turn_at_the_limit_then_stay_few() -> None:
    assert Connections.FIRST <= grown(64, network_s=0.05, cpu_s=0.001, all_s=0.10) < 16


def test_connections_when_the_processor_is_busy_then_are_what_keeps_it_so() -> None:
    assert grown(64, network_s=0.097, cpu_s=0.003, all_s=0.1) == 31
    assert grown(64, network_s=0.05, cpu_s=0.01, all_s=0.06) == Connections.FIRST


def test_fetch_when_klaviyo_answers_slowly_then_uses_more_connections_than_at_first(
    make_client: Callable[..., KlaviyoClient], area: StagingArea
) -> None:
    with running_sandbox(OPTIONS, ServerOptions(rate_limits=False, keys=KEYS, latency_ms=100)) as slow:
        client = make_client(max_connections=24, base_url=slow.url)
        page_size(client, "events", 10)
        loaded = load(client, area, "events")
        assert sorted(loaded.ids) == truth(slow.store, "events")
    assert Connections.FIRST < loaded.staged.progress.connections <= 24
