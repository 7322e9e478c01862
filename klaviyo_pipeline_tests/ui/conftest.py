"""Fixtures of the browser's tests. Without Playwright (`make test-ui` installs it) there is nothing to collect."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from klaviyo_pipeline_tests.ui.running import RunningDagster, running_dagster

if TYPE_CHECKING:
    from klaviyo_pipeline_tests.ui.visit import Visit

collect_ignore = [] if find_spec("playwright") else ["test_in_the_browser.py"]
_REPORT = pytest.StashKey[pytest.TestReport]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.failed:
        item.stash[_REPORT] = report
    return report


@pytest.fixture(scope="session")
def dagster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDagster]:
    from klaviyo_pipeline_tests.ui.visit import ARTIFACTS

    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    with running_dagster(tmp_path_factory.mktemp("dagster"), ARTIFACTS / "dagster.log") as running:
        yield running


@pytest.fixture(scope="session")
def visitor(dagster: RunningDagster) -> Iterator[Visit]:
    """The only one, so that what is loaded by one test is there to see for the next."""
    from klaviyo_pipeline_tests.ui.visit import browser, visit

    with browser() as chromium:
        yield visit(chromium, dagster.url)


@pytest.fixture(autouse=True)
def evidence(request: pytest.FixtureRequest, visitor: Visit) -> Iterator[None]:
    """When a test fails: what was on the page, a picture of it, and where Dagster's own words are."""
    yield
    if _REPORT in request.node.stash and not visitor.page.is_closed():
        visitor.shoot(f"failed-{request.node.name}")
        print(f"On {visitor.page.url}:\n{visitor.page.locator('body').inner_text()}")
        print(f"The browser's console: {visitor.complaints}")
        log = visitor.traffic.with_name("dagster.log")
        print(f"The end of {log}:\n{log.read_text()[-5000:]}")
