"""One parent of a data source that fans out, such as a list: whether it exists, and how many children it counts."""

from __future__ import annotations

from typing import Any

from klaviyo_pipeline.klaviyo.catalogue.filters import path_segment
from klaviyo_pipeline.klaviyo.catalogue.model import EXTRA_SMALL, Source
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.client.answers import part, whole_number
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient, Request, target
from klaviyo_pipeline.klaviyo.errors import NoCountError, NotFoundError


def count_of_children(client: KlaviyoClient, source: Source, parent_id: str) -> int | None:
    """Klaviyo's count of a parent's children, such as a list's members; None if Klaviyo does not have the parent.

    Klaviyo allows fifteen such requests a minute (OpenAPI 2026-07-15).

    Raises:
        NoCountError: if Klaviyo has the parent, and no count for it.
    """
    fan_out = source.fan_out
    assert fan_out is not None
    assert fan_out.count_field is not None
    field, parent = fan_out.count_field, SOURCES[fan_out.parent]
    request = Request(
        target=target(f"{parent.path}/{path_segment(parent_id)}", {f"additional-fields[{parent.resource}]": field}),
        endpoint=f"{parent.path}/{{id}}+{field}",
        tier=EXTRA_SMALL,
        subject=f"Klaviyo's count for {fan_out.noun} {parent_id!r}",
        scopes=parent.scopes,
    )

    def count(document: dict[str, Any]) -> int | None:
        value = part(document, "data", "attributes", kind=dict).get(field)
        return None if value is None else whole_number(value, field)

    try:
        counted = client.get(request, count, many=False)
    except NotFoundError:
        return None
    if counted is None:
        raise NoCountError(f"Klaviyo has no {field} for {fan_out.noun} {parent_id!r} at the moment.")
    return counted


def parent_exists(client: KlaviyoClient, source: Source, parent_id: str) -> bool:
    """Whether Klaviyo has this parent."""
    assert source.fan_out is not None
    parent = SOURCES[source.fan_out.parent]
    request = Request(
        target=f"{parent.path}/{path_segment(parent_id)}",
        endpoint=f"{parent.path}/{{id}}",
        tier=parent.tier_for(client.revision, frozenset()),
        subject=f"{source.fan_out.noun.capitalize()} {parent_id!r}",
        scopes=parent.scopes,
    )
    try:
        client.get_json(request, many=False)
    except NotFoundError:
        return False
    return True
