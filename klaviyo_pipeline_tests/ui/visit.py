"""A person at Dagster's UI: a headless Chromium that reaches nothing but Dagster, and what was seen and heard."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Route, ViewportSize, expect, sync_playwright

from klaviyo_pipeline_tests.ui.running import ROOT

ARTIFACTS = ROOT / "artifacts" / "ui"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
PICTURES = os.environ.get("KLAVIYO_UI_SCREENSHOTS")
"""The folder whose pictures are to be taken anew: those for the documentation (docs/contributing.md)."""
_PUBLISHED = {"assets", "asset", "checks", "status", "launchpad-klaviyo_daily"}
_FLAGS = [
    "--no-sandbox",  # CI runs as root, which Chromium's own sandbox refuses
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_REPOSITORY = "global@global"
_WINDOW = ViewportSize(width=1440, height=900)
_PATIENCE_MS = 30_000
_PRESS_MS = 3_000
_RUN_MS = 120_000
"""For a run: Dagster's daemon looks for new backfills twice a minute."""

expect.set_options(timeout=_PATIENCE_MS)


@dataclass
class Visit:
    """A page on Dagster's UI.

    Attributes:
        outside: Addresses that the page asked for and did not get, since they are not Dagster's.
        complaints: What the browser's console had to say as an error, and uncaught exceptions.
        traffic: A file with Dagster's answers, complete when the visit has ended.
    """

    page: Page
    url: str
    traffic: Path
    outside: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        """Open a path of Dagster's UI."""
        self.page.goto(f"{self.url}{path}")
        return self.page

    def asset(self, name: str, view: str = "overview") -> Page:
        """Open a tab of an asset's page."""
        page = self.go(f"/assets/{name}?view={view}")
        expect(page.get_by_role("button", name="Materialize").first).to_be_visible()
        return page

    def materialize(self) -> None:
        """Press the button of an asset's page."""
        self.page.get_by_role("button", name="Materialize").first.click()

    def press_until(self, button: Locator, shown: Locator) -> None:
        """Press a button, again every few seconds, until something is shown.

        Dagster's dialogs ignore a press that comes before their partitions have arrived.
        """
        for _ in range(_PATIENCE_MS // _PRESS_MS):
            button.click()
            with suppress(AssertionError):
                expect(shown).to_be_visible(timeout=_PRESS_MS)
                return
        expect(shown).to_be_visible()

    def follow(self, announced: str, until: re.Pattern[str]) -> None:
        """From the notice of what has been launched to its page, and stay until it says that it is done."""
        notice = self.page.get_by_text(re.compile(announced))
        expect(notice).to_be_visible()
        self.page.get_by_role("link", name="View", exact=True).or_(
            self.page.get_by_role("button", name="View", exact=True)
        ).last.click()
        expect(self.page.get_by_text(until).first).to_be_visible(timeout=_RUN_MS)

    def metadata(self, name: str) -> Locator:
        """The line of an asset's metadata that has a name."""
        cell = self.page.get_by_role("cell", name=name, exact=True)
        return self.page.get_by_role("row").filter(has=cell).last

    @contextmanager
    def graph(self, *groups: str, height: int) -> Iterator[Locator]:
        """Open the graph of all assets, with groups unfolded, in a window of a height (pixels) that has room for it."""
        # Dagster draws only those nodes that are in sight.
        unfolded = ",".join(f"{_REPOSITORY}:{group}" for group in groups)
        self.page.set_viewport_size(ViewportSize(width=1600, height=height))
        self.go(f"/asset-groups?{urlencode({'expanded': unfolded})}")
        yield self.page.locator("svg foreignObject")
        self.page.set_viewport_size(_WINDOW)

    def shoot(self, name: str) -> None:
        """Keep a picture, for documentation too if it is one that is shown there and is asked for."""
        file = ARTIFACTS / f"{name}.png"
        self.page.screenshot(path=file, animations="disabled", caret="hide")
        if PICTURES and name in _PUBLISHED:  # with fewer colours it has a third of the bytes
            with Image.open(file) as picture:
                few = picture.convert("RGB").quantize(128, dither=Image.Dither.NONE)
            few.save(ROOT / PICTURES / f"{name}.png", optimize=True)

    def end(self) -> None:
        """Leave, and write the traffic."""
        self.page.context.close()


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium, Debian's."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield chromium
        chromium.close()


def visit(chromium: Browser, url: str) -> Visit:
    """A new visitor, to whom nothing outside of Dagster is there."""
    traffic = ARTIFACTS / "graphql.har"
    context = chromium.new_context(viewport=_WINDOW, record_har_path=traffic, record_har_url_filter="**/graphql**")
    page = context.new_page()
    page.set_default_timeout(_PATIENCE_MS)
    visitor = Visit(page, url, traffic)

    def refuse(route: Route) -> None:
        visitor.outside.append(route.request.url)
        route.abort()

    context.route(lambda asked: not asked.startswith((f"{url}/", "data:", "blob:")), refuse)
    page.on("console", lambda said: visitor.complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: visitor.heard.append(str(frame))))
    return visitor
