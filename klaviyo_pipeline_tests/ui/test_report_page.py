"""The report in a real browser, from disk: charts, no text that runs, no request, and readable by anybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from klaviyo_pipeline.report.html import html_of
from klaviyo_pipeline_tests.report.made_up import ATTACK, report
from klaviyo_pipeline_tests.ui.visit import ARTIFACTS

pytestmark = pytest.mark.ui
Scheme = Literal["light", "dark"]
WINDOWS: dict[str, tuple[int, Scheme]] = {"light": (1200, "light"), "dark": (1200, "dark"), "phone": (360, "light")}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("report") / "klaviyo-report.html"
    written.write_text(html_of(report()))
    return written


@pytest.mark.parametrize("name", WINDOWS)
def test_report_is_drawn_from_disk_and_is_open_to_everybody(name: str, file: Path, chromium: Browser) -> None:
    width, scheme = WINDOWS[name]
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(file.as_uri())
    drawn = [figure for figure in report().figures if figure.chart is not None]
    expect(page.locator(".chart svg")).to_have_count(len(drawn))
    page.screenshot(path=ARTIFACTS / f"report-{name}.png", full_page=True)

    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
    assert not said
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    expect(page).to_have_title("Klaviyo report of 2026-11-21 12:00 UTC")  # no text of Klaviyo's has run
    assert page.locator("img").count() == 0
    assert _violations(page) == []

    _tooltip_shows_text(page)
    page.get_by_text("Events per day by metric: the values as a table").click()
    values = page.get_by_role("region", name="Events per day by metric, values by day")
    expect(values.get_by_role("columnheader")).to_have_count(1 + 3)
    expect(values.get_by_role("row")).to_have_count(1 + 90)
    page.close()


def _tooltip_shows_text(page: Page) -> None:
    """A tooltip holds a name from Klaviyo."""
    bar = page.locator("#chart-events svg path[aria-roledescription=bar]")
    bar.nth(bar.count() // 2).hover(force=True)
    expect(page.locator("#vg-tooltip-element")).to_be_visible()
    assert page.locator("#vg-tooltip-element img").count() == 0


def _violations(page: Page) -> list[dict[str, Any]]:
    """What axe finds, of any severity."""
    found = Axe().run(page)
    return [
        {"rule": each["id"], "nodes": [node["html"][:200] for node in each["nodes"]][:3]}
        for each in found.response["violations"]
    ]


def test_attack_of_the_test_is_one_where_nothing_is_escaped(chromium: Browser) -> None:
    page = chromium.new_page()
    page.route("**/*", lambda route: route.abort())
    page.set_content(f"<p>{ATTACK}</p>")
    page.wait_for_function("document.title === 'taken'")
    page.close()
