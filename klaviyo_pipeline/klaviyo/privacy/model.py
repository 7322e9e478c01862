"""What can happen to a column, and which columns of different data sources are alike."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.people import Kind


class Action(StrEnum):
    """What happens to a value."""

    KEEP = "keep"
    DROP = "drop"
    HASH = "hash"
    REDACT = "redact"


@dataclass(frozen=True)
class Rule:
    """What happens to a column.

    With an ``action``, to the whole value. Without, to the keys of its JSON: ``allow`` names the only keys that stay at
    the top, None for all. ``keys`` says what happens to keys at any depth. Keys are patterns; case does not count.
    """

    action: Action | None = None
    allow: tuple[str, ...] | None = None
    keys: tuple[tuple[str, Action], ...] = ()

    @property
    def keeps(self) -> bool:
        """Whether nothing happens."""
        return self.action is Action.KEEP or (self.action is None and self.allow is None and not self.keys)

    @property
    def hashes(self) -> bool:
        """Whether a secret is needed."""
        return self.action is Action.HASH or any(action is Action.HASH for _key, action in self.keys)


KEEP, DROP, HASH = Rule(Action.KEEP), Rule(Action.DROP), Rule(Action.HASH)

KINDS: dict[str, tuple[str, ...]] = {
    "email": ("email", "profile_email"),
    "phone": ("phone_number", "profile_phone_number"),
    "external_id": ("external_id", "profile_external_id"),
    "name": ("first_name", "last_name", "profile_first_name", "profile_last_name", "author"),
    "address": ("location_address1", "location_address2", "location_zip", "location_latitude", "location_longitude"),
    "ip": ("location_ip",),
    "properties": ("properties", "event_properties", "record_properties"),
}
"""Names for the same column of all data sources about people."""
_SPELLED = dict.fromkeys(KINDS["email"], Kind.EMAIL) | dict.fromkeys(KINDS["phone"], Kind.PHONE)
_ABOUT_PEOPLE = ("profiles", "reviews", "object_records", "object_ingestion_logs", "profile_import_errors")


def is_about_people(source: Source) -> bool:
    """Whether the rows of a data source are about people."""
    named = any(column.references == "profiles" for column in source.columns)
    return named or source.name in _ABOUT_PEOPLE or source.path == "/api/profiles"


def spelled_as(column: str) -> Kind:
    """How the values of a column, or of a JSON key, are spelled before they are hashed."""
    name = column.lower().lstrip("$")
    if name in _SPELLED:
        return _SPELLED[name]
    if "email" in name or "e-mail" in name:
        return Kind.EMAIL
    return Kind.PHONE if "phone" in name else Kind.EXTERNAL
