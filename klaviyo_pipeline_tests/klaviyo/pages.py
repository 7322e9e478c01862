"""Pages of profiles, and the rows of a decoded page."""

import json
from typing import Any

from klaviyo_pipeline.klaviyo.catalogue.columns import EXTRA
from klaviyo_pipeline.klaviyo.decode.pages import Page, PageDecoder
from klaviyo_pipeline_tests.core import CORE


def rows_of(page: Page) -> list[dict[str, Any]]:
    return page.batch.to_pylist()


def profile_page(*attributes: Any, **extra: Any) -> bytes:
    items = [{"type": "profile", "id": f"p{i}", "attributes": each} for i, each in enumerate(attributes)]
    return json.dumps({"data": items, "links": {"self": "x", "next": None}, **extra}).encode()


def decode_profiles(*attributes: Any) -> Page:
    return PageDecoder(CORE["profiles"].columns_for(frozenset()), "2026-07-15", "updated").decode(
        profile_page(*attributes)
    )


def extra_of(page: Page, row: int = 0) -> Any:
    text = rows_of(page)[row][EXTRA]
    return None if text is None else json.loads(text)
