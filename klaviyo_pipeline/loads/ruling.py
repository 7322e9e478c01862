"""Applies privacy rules to rows that have landed before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from klaviyo_pipeline import clock
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.decode.guarding import Guard
from klaviyo_pipeline.warehouse.rewriting import Change, rewrite

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.privacy.rules import Rules
    from klaviyo_pipeline.warehouse.interface import Warehouse


def apply_rules(database: Warehouse, schema: str, rules: Rules) -> dict[str, int]:
    """Apply rules to all tables of a schema that loads have written, and purge the database of the old values.

    Hashes and redacted values stay as they are, so a second time changes nothing.

    Args:
        database: The database.
        schema: The schema of the account's tables.
        rules: The rules of the account.

    Returns:
        How many values changed, by table (``schema.name``); tables without a change are left out.

    Raises:
        StorageFullError: The disk has no room for a copy of the database. The rules are applied, but old bytes stay.
        WarehouseError: The database cannot be read or written. Nothing changed.
    """

    def change(data_source: str) -> Change | None:
        source = SOURCES.get(data_source)
        of_source = rules.of(source) if source is not None else {}
        return Guard(of_source, rules.secret, landed=True).of_landed if of_source else None

    def columns(data_source: str) -> tuple[str, ...]:
        source = SOURCES.get(data_source)
        return tuple(rules.of(source)) if source is not None else ()

    return rewrite(database, schema, columns, change, clock.now())
