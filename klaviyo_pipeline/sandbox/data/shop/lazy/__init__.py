"""Rows of collections that few requests ask for: made when first asked for, from the shop and its seed.

They follow from the shop as it was generated, so what tests change in the meantime does not alter them.
"""

from collections.abc import Callable, Mapping

from klaviyo_pipeline.sandbox.data.kinds import Record
from klaviyo_pipeline.sandbox.data.rows import Member, Shop
from klaviyo_pipeline.sandbox.data.shop.lazy import (
    automation,
    brand,
    contacts,
    content,
    forms,
    labels,
    objects,
    segments,
    settings,
    shelf,
)
from klaviyo_pipeline.sandbox.data.shop.lazy.made import Made

_MAKERS: Mapping[str, Callable[[Made], list[Record]]] = {
    **labels.MAKERS,
    **segments.MAKERS,
    **automation.MAKERS,
    **forms.MAKERS,
    **settings.MAKERS,
    **content.MAKERS,
    **shelf.MAKERS,
    **contacts.MAKERS,
    **objects.MAKERS,
    **brand.MAKERS,
}


class Lazy:
    """Makes the records of a shop, each collection once."""

    def __init__(self, shop: Shop) -> None:
        self._made = Made(shop, _MAKERS)

    def __contains__(self, resource: object) -> bool:
        return resource in _MAKERS

    def records(self, resource: str) -> list[Record]:
        """The records of a type."""
        return self._made.records(resource)

    def segment_members(self) -> dict[str, list[Member]]:
        """Who is in which segment since when."""
        return segments.join_segments(self._made)
