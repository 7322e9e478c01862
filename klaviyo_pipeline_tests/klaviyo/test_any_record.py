"""Anything that JSON can hold in a page: it is read without loss, or the page is unreadable."""

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from klaviyo_pipeline.klaviyo.catalogue.columns import EXTRA
from klaviyo_pipeline.klaviyo.decode.pages import PageDecoder
from klaviyo_pipeline.klaviyo.errors import UnreadablePageError
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.klaviyo.pages import profile_page, rows_of
from klaviyo_pipeline_tests.soaking import examples

# msgspec takes no struct field whose name has one of these; Klaviyo has no such attribute.
NO_NAMES = {chr(code) for code in range(32)} | {"\\", '"'}
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=NO_NAMES), max_size=12)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)
KNOWN = sorted({c.path[1] for c in CORE["profiles"].columns if c.path and c.path[0] == "attributes"})
ATTRIBUTES = st.dictionaries(st.sampled_from(KNOWN) | TEXTS, VALUES, max_size=8) | st.fixed_dictionaries(
    {}, optional={"location": st.dictionaries(st.sampled_from(["city", "latitude", "zip"]) | TEXTS, VALUES, max_size=4)}
)


def kept_somewhere(row: dict[str, Any], name: str, value: Any) -> bool:
    extra = json.loads(row[EXTRA] or "{}")
    if name in extra and same(extra[name], value):
        return True
    if name == "location" and isinstance(value, dict):
        location = extra.get("location", {})
        return all(
            each is None or (key in location and same(location[key], each)) or fits(row.get(f"location_{key}"), each)
            for key, each in value.items()
        )
    return name in row and name != EXTRA and fits(row[name], value)


def fits(found: Any, value: Any) -> bool:
    """Whether a column's value says what the page said."""
    if isinstance(found, datetime):
        parsed = datetime.fromisoformat(value)
        return abs(found - (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC))) < timedelta(microseconds=1)
    if isinstance(found, float):
        return math.isfinite(found) and found == float(value)
    if isinstance(found, str) and not isinstance(value, str):
        return same(json.loads(found), value)
    return found is not None and (same(found, value) or same(json.loads(found), value))


def same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@examples(120)
@given(st.lists(ATTRIBUTES, max_size=4))
def test_page_when_attributes_are_anything_then_it_never_fails_and_loses_nothing(page: list[dict[str, Any]]) -> None:
    columns = CORE["profiles"].columns_for(frozenset({"subscriptions", "predictive_analytics"}))
    decoded = PageDecoder(columns, "2026-07-15", "updated").decode(profile_page(*page))
    rows = rows_of(decoded)
    assert len(rows) == len(page)
    for row, attributes in zip(rows, page, strict=True):
        for name, value in attributes.items():
            assert value is None or kept_somewhere(row, name, value), (name, value, row)


@examples(80)
@given(VALUES, VALUES, VALUES)
def test_event_when_anything_stands_in_it_then_it_is_read_or_unreadable(one: Any, two: Any, three: Any) -> None:
    item = {"id": "e", "attributes": {"timestamp": one}, "relationships": {"metric": two, "attributions": three}}
    body = json.dumps({"data": [item], "included": [{"type": "x", "id": "y"}, {"type": one, "id": two}]}).encode()
    try:
        page = PageDecoder(CORE["events"].columns, "2026-07-15", "datetime").decode(body)
    except UnreadablePageError:
        return
    assert page.rows == 1
