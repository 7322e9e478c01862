"""The site builds without a warning, holds every page, and needs nothing from elsewhere."""

from __future__ import annotations

import re

from klaviyo_pipeline_tests.docs.conftest import Site
from klaviyo_pipeline_tests.docs.documents import DOCS, ROOT


def test_site_when_built_then_warns_of_nothing(site: Site) -> None:
    assert "No issues found" in site.output
    assert "warning" not in site.output.lower()


def test_site_when_built_then_every_document_is_a_page_and_in_the_navigation(site: Site) -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    for path in DOCS.rglob("*.md"):
        name = path.relative_to(DOCS).as_posix()
        page = name.removesuffix(".md").removesuffix("index")
        assert (site.folder / "site" / page / "index.html").is_file(), name
        assert re.search(rf"[ :]{re.escape(name)}$", navigation, re.MULTILINE), f"{name} is not in mkdocs.yml"


def test_site_when_read_then_loads_nothing_from_other_hosts(site: Site) -> None:
    elsewhere = r"(https?:)?//"
    loading = re.compile(
        rf'<(?:script|img|iframe)[^>]+src="{elsewhere}|<link(?![^>]+rel="canonical")[^>]+href="{elsewhere}'
    )
    for page in (site.folder / "site").rglob("*.html"):
        assert not loading.search(page.read_text(encoding="utf-8")), page
    for style in (site.folder / "site").rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//", style.read_text(encoding="utf-8")), style


def test_every_decision_is_listed() -> None:
    listed = (DOCS / "decisions" / "index.md").read_text()
    for path in (DOCS / "decisions").glob("0*.md"):
        heading = path.read_text().splitlines()[0].split(". ", 1)[1]
        assert f"[{heading}]({path.name})" in listed


def test_glossary_is_in_order_and_every_term_of_it_is_used_on_another_page() -> None:
    glossary = DOCS / "glossary.md"
    terms = re.findall(r"^\| ([A-Z][\w -]+) \|", glossary.read_text(), re.MULTILINE)
    pages = " ".join(path.read_text() for path in DOCS.rglob("*.md") if path != glossary).lower()

    assert len(terms) > 25
    assert terms == sorted(terms, key=str.lower)
    assert [term for term in terms if term.lower() not in pages] == []
