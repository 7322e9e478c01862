"""Whatever a server answers: a page with the right rows, or an error of ours, in bounded time and memory.

`make soak` runs many times as many examples.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from klaviyo_pipeline.klaviyo.catalogue.model import MEDIUM
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.client import settings as settings_module
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient, Request
from klaviyo_pipeline.klaviyo.client.rate_limits import RateLimits
from klaviyo_pipeline.klaviyo.client.settings import SETTINGS, ClientSettings, Setting
from klaviyo_pipeline.klaviyo.decode.pages import Page, PageDecoder
from klaviyo_pipeline.klaviyo.errors import KlaviyoError, UnreadablePageError
from klaviyo_pipeline_tests.hostile import mutations
from klaviyo_pipeline_tests.hostile.server import WireServer, says, serving
from klaviyo_pipeline_tests.klaviyo.support import VirtualTime
from klaviyo_pipeline_tests.soaking import SOAK, scaled

EXAMPLES = scaled(300)
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=SOAK <= 1,
    phases=[phase for phase in Phase if SOAK > 1 or phase is not Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
LONGEST_WAIT_S = 30.0


@pytest.fixture(scope="module")
def server() -> Iterator[WireServer]:
    yield from serving()


def decoder(name: str) -> PageDecoder:
    source = SOURCES[name]
    time_field = source.time_field(None)
    return PageDecoder(source.columns, mutations.REVISION, time_field.name if time_field else None)


def check(page: Page, body: bytes, name: str) -> None:
    """The batch is sound, and has the rows of the document that Python's own decoder reads."""
    page.batch.validate(full=True)
    assert page.next_target is None or page.next_target.startswith("/")
    for text in page.batch.column("_extra").to_pylist():
        assert text is None or isinstance(json.loads(text), dict)
    try:
        data = json.loads(body.decode("utf-8-sig"))["data"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return
    rows = data if isinstance(data, list) else [] if data is None else [data]
    assert page.rows == len(rows)
    if SOURCES[name].fan_out is None and b"\\ud" not in body:
        assert page.batch.column("id").to_pylist() == [row["id"] for row in rows]


@FUZZ
@given(data=st.data())
def test_page_when_any_part_or_byte_of_it_is_changed_then_is_read_right_or_refused(data: Any) -> None:
    name = data.draw(mutations.sources)
    body = data.draw(mutations.bodies(name))
    try:
        page = decoder(name).decode(body, mutations.page(name)[1])
    except UnreadablePageError:
        return
    check(page, body, name)


@FUZZ
@given(data=st.data())
def test_answer_when_anything_on_the_wire_is_changed_then_is_read_right_or_an_error_of_ours_says_why(
    server: WireServer, tight: ClientSettings, data: Any
) -> None:
    name = data.draw(mutations.sources)
    server.handlers = [says(data.draw(mutations.answers(name))), says(data.draw(mutations.answers(name)))]
    server.accepted = 0
    clock = VirtualTime()
    client = KlaviyoClient("pk_fuzz", tight, base_url=server.url)
    client._limits = RateLimits(1.0, clock)
    reader, bodies = decoder(name), list[bytes]()

    def read(body: bytes, _revision: str) -> Page:
        assert len(body) <= 2**20, "max_page_mb"
        bodies.append(body)
        return reader.decode(body, mutations.page(name)[1])

    request = Request(f"/api/{name}", f"/api/{name}", MEDIUM, name)
    for _request in range(2):
        began = clock.now
        try:
            answer = client.fetch(request, read, clock)  # type: ignore[arg-type]
        except KlaviyoError as error:
            problem = str(error)
        else:
            problem = ""
            check(answer.value, bodies[-1], name)
        assert problem.isprintable()
        assert len(problem) < 2000
        assert clock.now - began <= 2 * 2 * 70.0, "one retry, each preceded by a wait for the limit"
        assert client.clock_ahead_s < 400 * 86_400


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> ClientSettings:
    """One retry, pages of a megabyte, and no answer that takes longer than some seconds."""
    for name in ("max_page_mb", "total_timeout_s", "read_timeout_s"):
        monkeypatch.setitem(
            settings_module.SETTINGS, name, Setting(SETTINGS[name].default, 0.001, SETTINGS[name].maximum, "")
        )
    return ClientSettings(
        retry_limit=1, max_retry_wait_s=LONGEST_WAIT_S, max_page_mb=1, total_timeout_s=20, read_timeout_s=20
    )
