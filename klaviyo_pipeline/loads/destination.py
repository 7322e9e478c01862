"""Where a load's rows go."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    from klaviyo_pipeline.warehouse.interface import Warehouse


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where rows are to go, as far as somebody says it; None leaves it open."""

    schema: str | None = None
    table: str | None = None
    write_mode: WriteMode | None = None
    partition_key: str | None = None
    database: str | None = None
    timezone: str | None = None

    def or_else(self, other: Destination) -> Destination:
        """This destination, with what it leaves open taken from another one."""
        names = (each.name for each in fields(self))
        return Destination(**{name: getattr(self, name) or getattr(other, name) for name in names})


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a load's rows go, with nothing left open.

    Attributes:
        database: The DuckDB file.
        table: The table's name.
        schema: The table's schema.
        zone: The storage time zone: bounds of days, and times given without an offset.
    """

    database: Warehouse
    table: str
    schema: str = "klaviyo"
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))

    @property
    def plain_name(self) -> str:
        """Schema and table, as the ledger has them."""
        return f"{self.schema}.{self.table}"
