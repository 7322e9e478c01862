"""No link between documents leads nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from klaviyo_pipeline_tests.docs.documents import DOCUMENTS, anchors, links, name_of


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_relative_link_leads_to_a_file_and_its_heading(path: Path) -> None:
    for link in links(path):
        if link.startswith(("https://", "http://")):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link
