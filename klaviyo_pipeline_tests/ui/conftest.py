"""Fixtures of the browser's tests. Without Playwright (`make test-ui` installs it) there is nothing to collect."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from klaviyo_pipeline_tests.ui.running import RunningDagster, running_dagster

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from klaviyo_pipeline_tests.ui.visit import Visit

collect_ignore = [] if find_spec("playwright") else ["test_in_the_browser.py", "test_report_page.py"]
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
def chromium() -> Iterator[Browser]:
    """The only browser: Playwright starts once in a process."""
    from klaviyo_pipeline_tests.ui.visit import ARTIFACTS, browser

    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    with browser() as started:
        yield started


@pytest.fixture(scope="session")
def visitor(dagster: RunningDagster, chromium: Browser) -> Visit:
    """The only one, so that what is loaded by one test is there to see for the next."""
    from klaviyo_pipeline_tests.ui.visit import visit

    return visit(chromium, dagster.url)


@pytest.fixture(autouse=True)
def evidence(request: pytest.FixtureRequest) -> Iterator[None]:
    """When a test of Dagster's UI fails: what was on the page, a picture, and where Dagster's own words are."""
    yield
    if "visitor" not in request.fixturenames:
        return
    visitor: Visit = request.getfixturevalue("visitor")
    if _REPORT in request.node.stash and not visitor.page.is_closed():
        visitor.shoot(f"failed-{request.node.name}")
        print(f"On {visitor.page.url}:\n{visitor.page.locator('body').inner_text()}")
        print(f"The browser's console: {visitor.complaints}")
        log = visitor.traffic.with_name("dagster.log")
        print(f"The end of {log}:\n{log.read_text()[-5000:]}")
