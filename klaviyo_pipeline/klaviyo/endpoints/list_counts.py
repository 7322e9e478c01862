"""What Klaviyo says of one list: whether it exists, and how many members it counts (fifteen requests a minute)."""

from __future__ import annotations

from typing import Any

from klaviyo_pipeline.klaviyo.catalogue.filters import path_segment
from klaviyo_pipeline.klaviyo.catalogue.model import LARGE_UNTIL_2025, Tier
from klaviyo_pipeline.klaviyo.client.answers import part, whole_number
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient, Request, target
from klaviyo_pipeline.klaviyo.errors import NotFoundError

TIER = Tier(1, 15)


def profile_count(client: KlaviyoClient, list_id: str) -> int | None:
    """Klaviyo's count of a list's members; None for a list that Klaviyo does not have (any more)."""
    request = Request(
        target=target(f"/api/lists/{path_segment(list_id)}", {"additional-fields[list]": "profile_count"}),
        endpoint="/api/lists/{id}+profile_count",
        tier=TIER,
        subject=f"Klaviyo's count of members of list {list_id!r}",
        scopes=("lists:read",),
    )
    try:
        return client.get(request, _count, many=False)
    except NotFoundError:
        return None


def list_exists(client: KlaviyoClient, list_id: str) -> bool:
    """Whether Klaviyo has this list."""
    request = Request(
        target=f"/api/lists/{path_segment(list_id)}",
        endpoint="/api/lists/{id}",
        tier=LARGE_UNTIL_2025,
        subject=f"List {list_id!r}",
        scopes=("lists:read",),
    )
    try:
        client.get_json(request, many=False)
    except NotFoundError:
        return False
    return True


def _count(document: dict[str, Any]) -> int:
    attributes = part(document, "data", "attributes", kind=dict)
    return whole_number(attributes.get("profile_count"), "profile_count")
