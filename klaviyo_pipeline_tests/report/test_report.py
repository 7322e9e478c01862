"""The report: what is in it, that texts stay texts, and that it needs nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import defaultdict
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

import klaviyo_pipeline.definitions  # noqa: F401 - with the default data sources, before a test sets others
from klaviyo_pipeline.analytics.building import build
from klaviyo_pipeline.analytics.tables import TABLES
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
from klaviyo_pipeline.report.assets import write_report
from klaviyo_pipeline.report.html import html_of
from klaviyo_pipeline_tests.alerts.servers import MailBox
from klaviyo_pipeline_tests.alerts.test_alerts import use_mail
from klaviyo_pipeline_tests.report.made_up import ATTACK, PLAIN, report
from klaviyo_pipeline_tests.transfers.workplace import Workplace


class Page(HTMLParser):
    """A parsed page: its elements by name, their attributes, and the texts of scripts and of everything else."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: dict[str, list[dict[str, str | None]]] = defaultdict(list)
        self.scripts: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag].append(dict(attrs))
        self._open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            self.scripts[-1] += data
        else:
            self.text += data


@pytest.fixture(scope="session")
def page() -> Page:
    return Page(html_of(report()))


def test_texts_with_html_stay_texts(page: Page) -> None:
    assert not page.elements["img"]
    assert len(page.elements["script"]) == 3
    assert not [
        name for each in page.elements.values() for attributes in each for name in attributes if name[:2] == "on"
    ]
    assert page.text.count(ATTACK) >= 6
    specs = json.loads(page.scripts[0])
    assert specs["events"]["encoding"]["color"]["scale"]["domain"] == ["Opened Email", ATTACK, PLAIN]


def test_page_refers_to_nothing_elsewhere_and_its_policy_allows_its_own_scripts_only(page: Page) -> None:
    addresses = [
        value
        for each in page.elements.values()
        for attributes in each
        for name, value in attributes.items()
        if name in {"src", "href", "action", "srcset"}
    ]
    assert addresses
    assert all(address and address.startswith(("#", "data:")) for address in addresses)
    (policy,) = [each["content"] for each in page.elements["meta"] if "Content-Security-Policy" in each.values()]
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "connect-src" not in policy
    for script in page.scripts[1:]:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_every_chart_stands_there_as_a_table_too(page: Page) -> None:
    drawn = [figure for figure in report().figures if figure.chart is not None]
    assert set(json.loads(page.scripts[0])) == {figure.name for figure in drawn}
    assert len(page.elements["details"]) == len(drawn)
    assert "The table flow_performance has not been built." in page.text


def test_report_without_charts_needs_no_script(tmp_path: Path) -> None:
    empty = Page(html_of(replace(report(), figures=(), changes=(), checks=(), reconciliation=(), differences=())))
    assert len(empty.elements["script"]) == 1
    assert "No check has run yet." in empty.text
    assert "No load has landed in the last 24 hours." in empty.text


def test_command_writes_the_numbers_of_the_tables_and_no_person_and_mails_the_file(
    place: Workplace, mails: MailBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_mail(mails, monkeypatch)
    monkeypatch.setenv("KLAVIYO_SOURCES", "metrics, lists, list_profiles, events")
    monkeypatch.setenv("KLAVIYO_PARTITION_START", "2026-09-14")
    place.cli("load", "metrics", "lists", "list_profiles", "events")
    duckdb = KlaviyoDuckDBResource()
    for name in ("daily_metrics", "list_growth"):
        build(duckdb.warehouse(), TABLES[name], duckdb.schema_or_default, duckdb.zone)
    said = place.cli("report", "--mail", "boss@shop.example, data@shop.example").stdout
    assert "Wrote the report to" in said
    assert "Mailed it to boss@shop.example,data@shop.example." in said
    file = place.root / "data" / "klaviyo-report.html"
    (mail,) = mails.mails
    (attached,) = mail.iter_attachments()
    assert attached.get_filename() == file.name
    assert attached.get_content().encode() == file.read_bytes()
    assert "tables are well" in mail.get_body().get_content()  # type: ignore[union-attr]
    assert file.stat().st_mode & 0o077 == 0
    written = Page(file.read_text())
    specs = json.loads(written.scripts[0])
    assert sum(row["value"] for row in specs["events"]["data"]["values"]) == len(place.truth("events"))
    assert f"{len(place.truth('lists')):,}" in written.text
    assert "klaviyo.list_profiles" in written.text
    assert "The table campaign_performance has not been built yet." in written.text
    everything = file.read_text()
    for profile in place.truth("profiles"):
        assert profile["id"] not in everything
        assert not profile.get("email") or profile["email"] not in everything


@pytest.mark.parametrize(
    "content", [b"DUCK rows of years", b"KLAVIYO_API_KEY=x\n", b"<!doctype html><title>Home</title>"]
)
def test_file_that_is_no_report_is_not_replaced(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "mine"
    file.write_bytes(content)
    (tmp_path / "link.html").symlink_to(file)
    for path in (file, tmp_path / "link.html"):
        with pytest.raises(ConfigurationError, match="mine is a file of another kind, so it is not replaced"):
            write_report(replace(report(), figures=()), path)
    assert file.read_bytes() == content
    assert len(list(tmp_path.iterdir())) == 2


def test_report_replaces_an_earlier_one_and_keeps_the_mode_that_lets_others_read_it(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "report.html"
    write_report(replace(report(), figures=()), file)
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    file.chmod(0o644)
    before = file.read_bytes()
    write_report(replace(report(), figures=(), changes=()), file)
    assert file.read_bytes() != before
    assert file.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in file.parent.iterdir()] == ["report.html"]
