"""Campaigns whose messages are not what they should be: the campaign lands with what can be read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.decode.pages import PageDecoder


@pytest.mark.parametrize("revision", ["2026-07-15", "2026-10-15"])
@pytest.mark.parametrize("attributes", [[1], "x", 5, None, {"definition": [1]}, {"channel": [1]}, {"send_times": 5}])
def test_message_when_its_attributes_are_no_object_then_the_campaign_is_a_row(attributes: Any, revision: str) -> None:
    related = {"campaign-messages": {"data": [{"type": "campaign-message", "id": "m1"}]}}
    page = {
        "data": [{"type": "campaign", "id": "c1", "attributes": {}, "relationships": related}],
        "included": [{"type": "campaign-message", "id": "m1", "attributes": attributes}],
        "links": {"next": None},
    }

    decoded = PageDecoder(SOURCES["campaigns"].columns, revision).decode(json.dumps(page).encode(), {})

    (row,) = decoded.batch.to_pylist()
    assert (row["id"], row["message_id"]) == ("c1", "m1")
    assert json.loads(row["messages"])[0]["id"] == "m1"
