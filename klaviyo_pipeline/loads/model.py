"""What a load is: what is asked for and where it goes, and what is fetched of it and waits to be landed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from klaviyo_pipeline.loads.parts import STAGE_BYTES, Parts
from klaviyo_pipeline.loads.table import table_of
from klaviyo_pipeline.warehouse.shrinking import ShrinkLimits

if TYPE_CHECKING:
    from datetime import datetime

    from klaviyo_pipeline.klaviyo.catalogue.model import Source
    from klaviyo_pipeline.klaviyo.extract.model import StagedExtract
    from klaviyo_pipeline.klaviyo.extract.parents import Parents
    from klaviyo_pipeline.loads.destination import Place
    from klaviyo_pipeline.loads.request import LoadRequest, Range
    from klaviyo_pipeline.warehouse.landing import LandingResult
    from klaviyo_pipeline.warehouse.ownership import Owner
    from klaviyo_pipeline.warehouse.sandbox_rows import Origin
    from klaviyo_pipeline.warehouse.tables import Table


FRESH_PARENTS = timedelta(hours=1)


class Log(Protocol):
    """Takes messages for people; a ``logging.Logger`` is one."""

    def info(self, msg: str, /) -> object:
        """Take a message."""

    def warning(self, msg: str, /) -> object:
        """Take a warning."""


class Silent:
    """A log that keeps nothing."""

    def info(self, msg: str, /) -> None:
        """Take a message."""

    def warning(self, msg: str, /) -> None:
        """Take a warning."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """One load of one data source.

    Attributes:
        request: What is asked for.
        place: Where the rows go.
        run_id: Names the run, in the ledger and in each row.
        name: The load's name in the ledger; blank for the data source's. Loads of one name continue each other.
        partition: The run's partition or range of partitions, ``[start, end)``; None for a load without partitions.
        parents: For a data source that follows from another one's rows: those rows, with the columns that its
            declaration names. None where the request names ids.
        moves_watermark: Whether the next load may continue where this one ends. A load of some parents does not say
            how far the source has been read.
        origin: Whether the rows are an account's or a sandbox's.
        shrink: How much of the table the load may take away without consent.
        count_ranges: Half-open ranges of the partition key, in order, for each of which rows are counted as well.
        details: More for the ledger to remember, as JSON.
        children: Data sources whose rows stand in these: they land along, each in the table of its name.
        chosen: What the rows are limited to, ids with their names, once Klaviyo has said which they are.
        fresh_parents: A source that fans out takes its parents from their table if they have landed no longer ago.
        stage_bytes: A long load that merges or appends lands in parts, so that no more than this is staged at a time.
        now: When the run began (aware); None for the present.
    """

    request: LoadRequest
    place: Place
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    name: str = ""
    partition: Range | None = None
    parents: Parents | None = None
    moves_watermark: bool = True
    origin: Origin | None = None
    shrink: ShrinkLimits = field(default_factory=ShrinkLimits)
    count_ranges: tuple[Range, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    children: tuple[Source, ...] = ()
    chosen: Mapping[str, str] | None = None
    fresh_parents: timedelta = FRESH_PARENTS
    stage_bytes: int = STAGE_BYTES
    now: datetime | None = None

    @property
    def ledger_name(self) -> str:
        """The load's name in the ledger."""
        return self.name or self.request.source.name

    @property
    def table(self) -> Table:
        """The table that the rows go to."""
        return table_of(self.request.source, self.place.schema, self.place.table, self.request.options)


@dataclass(frozen=True, kw_only=True)
class StagedLoad:
    """A load that is fetched, or its first part, and waits to be landed.

    ``parts`` says which part it is, for a load that may land in parts; ``next_part`` fetches the one after it, given
    where this one ends. ``next_load`` fetches what is to land after all parts, of another load; None where nothing is.
    ``held`` lets go of what the load holds, such as its lock, once it has landed or failed.
    ``fetch_again`` fetches the same rows anew, where staged pages were damaged. ``names`` asks Klaviyo for the names
    of a data source's rows by id, for a chart. ``landed`` has what became of the rows of each table, by data source,
    once they have landed.
    """

    load: Load
    staged: StagedExtract
    owner: Owner
    shrink: ShrinkLimits | None
    fetch_again: Callable[[], StagedExtract]
    parts: Parts | None = None
    next_part: Callable[[datetime], StagedLoad] | None = None
    next_load: Callable[[], StagedLoad | None] | None = None
    names: Callable[[str], Mapping[str, str]] | None = None
    landed: dict[str, LandingResult] = field(default_factory=dict, compare=False, repr=False)
    held: ExitStack = field(default_factory=ExitStack, compare=False, repr=False)
