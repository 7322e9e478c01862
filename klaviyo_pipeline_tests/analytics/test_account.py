"""The account's time zone where Klaviyo does not tell one: the storage time zone, with a warning."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from klaviyo_pipeline.analytics.account import zone_of_account
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline_tests.hostile.server import WireServer, answer, says


@pytest.fixture
def server() -> Iterator[WireServer]:
    server = WireServer()
    yield server
    server.close()


@pytest.mark.parametrize("timezone", [None, "", "PST", "Mars/Olympus", "../../etc/passwd"])
def test_a_time_zone_that_is_none_gives_the_storage_time_zone_and_a_warning(
    tmp_path: Path, server: WireServer, timezone: Any
) -> None:
    attributes = {"timezone": timezone, "preferred_currency": None}
    document = {"data": [{"type": "account", "id": "a", "attributes": attributes}], "links": {}}
    server.then(says(answer(json.dumps(document).encode(), "Content-Type: application/json", "Connection: close")))
    duckdb = KlaviyoDuckDBResource(database=str(tmp_path / "x.duckdb"), timezone="Asia/Tokyo")
    warnings: list[str] = []

    zone, currency = zone_of_account(KlaviyoResource(api_key="pk_any", base_url=server.url), duckdb, warnings.append)

    assert (zone.key, currency) == ("Asia/Tokyo", "")
    (said,) = warnings
    assert "Days begin in the storage time zone, Asia/Tokyo" in said
    assert repr(timezone or "") in said
