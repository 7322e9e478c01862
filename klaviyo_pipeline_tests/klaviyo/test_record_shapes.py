"""The sandbox's pages to columns: every column has its value in each revision's shape."""

import json
from collections import Counter
from datetime import datetime
from typing import Any

import pytest

from klaviyo_pipeline.klaviyo.catalogue.columns import Column, ColumnType
from klaviyo_pipeline.klaviyo.decode.pages import PageDecoder, arrow_schema
from klaviyo_pipeline.klaviyo.extract.requests import first_request, streams_of, streams_of_parents
from klaviyo_pipeline.klaviyo.windows import TimeSlice
from klaviyo_pipeline.sandbox.app import Sandbox
from klaviyo_pipeline.sandbox.data.rows import Shop
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.options import ServerOptions
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.klaviyo.pages import rows_of
from klaviyo_pipeline_tests.klaviyo.support import EVERY_SOURCE, REVISION_SHAPES
from klaviyo_pipeline_tests.sandbox.client import Client

OPTIONS = {name: frozenset(source.option_names) for name, source in CORE.items()}
SINGLE = {"event_metrics", "event_profiles"}


@pytest.fixture(scope="module")
def app(shop: Shop) -> Sandbox:
    return Sandbox(Store(shop), ServerOptions(rate_limits=False))


def page_of(app: Sandbox, name: str, revision: str) -> tuple[dict[str, Any], bytes, dict[str, str]]:
    """The first page of a source with all its options, as the sandbox serves it, and its constants."""
    source, store = CORE[name], app.store
    if source.fan_out is None:
        stream = streams_of(source, revision, None)[0]
    else:
        parent = next(iter(store.lists if source.fan_out.parent == "lists" else store.events)).id
        single = source.fan_out.key is not None
        (stream,) = streams_of_parents(source, [parent], None, single=single, may_vanish=False)
    request = first_request(source, stream, TimeSlice(None, None), OPTIONS[name], revision, None)
    answer = Client(app, revision=revision).get(request.target)
    assert answer.status == 200, answer.content
    return answer.json, answer.content, dict(stream.constants)


def stated(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def expected_value(document: dict[str, Any], item: dict[str, Any], column: Column, revision: str) -> Any:
    """What a column should hold, by walking the parsed page."""
    column = column.in_revision(revision)
    path = column.path
    if path is None:
        return None
    node: Any = item
    if column.via:
        linkage = item["relationships"][column.via].get("data") or []
        linkage = linkage if isinstance(linkage, list) else [linkage]
        included = {(each["type"], each["id"]): each for each in document.get("included", [])}
        related = [included[each["type"], each["id"]] for each in linkage if (each["type"], each["id"]) in included]
        if not related:
            return None
        if column.every:
            return [each["id"] for each in related]
        node = related[0]
    for step in path:
        node = (node or {}).get(step)
    return node


@pytest.mark.parametrize("revision", REVISION_SHAPES)
@pytest.mark.parametrize("name", EVERY_SOURCE)
def test_page_when_in_a_revisions_shape_then_every_column_has_its_value(app: Sandbox, name: str, revision: str) -> None:
    document, body, constants = page_of(app, name, revision)
    columns = CORE[name].columns_for(OPTIONS[name])
    page = PageDecoder(columns, revision, single=name in SINGLE).decode(body, constants)
    data = document["data"] if isinstance(document["data"], list) else [document["data"]]
    rows = rows_of(page)
    assert page.rows == len(rows) == len(data) > 0
    assert page.batch.schema == arrow_schema(columns)
    assert page.misfits == Counter()
    for row, item in zip(rows, data, strict=True):
        for column in columns:
            found = row[column.name]
            if column.name in constants:
                assert found == constants[column.name]
                continue
            if column.path is None and not column.moved:
                continue
            expected = expected_value(document, item, column, revision)
            if column.every:
                assert (found and [each["id"] for each in json.loads(found)]) == expected
            elif column.type is ColumnType.JSON:
                assert (json.loads(found) if found is not None else None) == expected
            elif column.type is ColumnType.TIMESTAMP:
                assert found == stated(expected)
            elif column.type is ColumnType.FLOAT:
                assert found == (None if expected is None else float(expected))
            elif column.named and isinstance(expected, dict):
                assert found == expected["name"]
            else:
                assert found == expected, column.name


@pytest.mark.parametrize("revision", REVISION_SHAPES)
@pytest.mark.parametrize("name", EVERY_SOURCE)
def test_page_when_in_a_revisions_shape_then_the_catalogue_knows_every_attribute(
    app: Sandbox, name: str, revision: str
) -> None:
    _document, body, constants = page_of(app, name, revision)
    decoder = PageDecoder(CORE[name].columns_for(OPTIONS[name]), revision, single=name in SINGLE)
    page = decoder.decode(body, constants)
    assert page.unknown == Counter()


@pytest.mark.parametrize("name", EVERY_SOURCE)
def test_columns_when_all_pages_of_all_shapes_are_read_then_none_is_always_empty(app: Sandbox, name: str) -> None:
    if name in ("templates", "lists", "event_metrics", "event_profiles", "list_profiles", "profiles"):
        rarely = {"amp", "screenshot_url", "organization", "title", "image", "location_address2", "event_datetime"}
    else:
        rarely = {"color", "description", "reply_to_email", "flow_message_variation_id"}
    filled: set[str] = set(rarely)
    for revision in REVISION_SHAPES:
        _document, body, constants = page_of(app, name, revision)
        columns = CORE[name].columns_for(OPTIONS[name])
        batch = PageDecoder(columns, revision, single=name in SINGLE).decode(body, constants).batch
        filled |= {column.name for column in columns if batch.column(column.name).null_count < batch.num_rows}
    expected = {column.name for column in CORE[name].columns_for(OPTIONS[name])}
    if name not in SINGLE:
        assert expected - filled == set()
