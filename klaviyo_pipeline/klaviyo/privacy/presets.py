"""Rules by name. ``pseudonymous``: nothing that names a person is kept, and tables still join.

The preset hashes e-mail addresses, phone numbers and external ids of people. It keeps numbers, times, places no
narrower than a city, and what the analytics read of events. It drops all other text and JSON about people, so that a
column that Klaviyo adds later is dropped too. Profile ids stay: only who may use the Klaviyo account can look them up.
"""

from __future__ import annotations

from collections.abc import Mapping

from klaviyo_pipeline.klaviyo.catalogue.columns import Column, ColumnType
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.privacy.model import DROP, HASH, KEEP, KINDS, Action, Rule, is_about_people

PSEUDONYMOUS = "pseudonymous"
PRESETS = (PSEUDONYMOUS,)

_HASHED = {*KINDS["email"], *KINDS["phone"], *KINDS["external_id"]}
_KEPT = {"location_city", "location_region", "location_country", "location_timezone", "locale", "method"}
_KEPT_OF_DEVICES = {"metadata_os_name", "metadata_os_version", "metadata_app_version", "metadata_device_model"}
_EVENT = (
    *("$value", "$value_currency", "$currency_code", "$event_id", "$message", "$flow", "$campaign_channel"),
    *("OrderId", "Order ID", "Items", "ItemNames", "Item Count", "Categories", "Collections", "Brands", "Quantity"),
    *("ProductID", "Product ID", "ProductName", "Product Name", "SKU", "Price", "Discount Value", "Currency"),
    *("Campaign Name", "Subject", "Message Name", "Message Type", "Message Format", "Bounce Type", "Email Domain"),
    *("Client Type", "Client OS Family", "Apple Privacy Open", "Bot Click", "IP Country"),
)
_JSON = {
    "event_properties": Rule(None, _EVENT, ()),
    "subscriptions": Rule(
        None, None, (("phone_number", Action.HASH), ("metadata", Action.DROP), ("*method_detail", Action.DROP))
    ),
    "predictive_analytics": KEEP,
    "ranked_channel_affinity": KEEP,
}
_LATER = ("location_latitude", "location_longitude")


def preset_rule(preset: str, source: Source, column: Column, needed: Mapping[str, str]) -> Rule:
    """The rule of a preset for a column."""
    del preset  # there is one
    if not is_about_people(source):
        return KEEP
    if column.name in _JSON:
        return _JSON[column.name]
    if column.name in needed or column.references is not None or column.name in source.impersonal:
        return KEEP
    if column.name in _HASHED:
        return HASH
    if column.name in _KEPT | _KEPT_OF_DEVICES:
        return KEEP
    return DROP if column.type in (ColumnType.STRING, ColumnType.JSON) or column.name in _LATER else KEEP
