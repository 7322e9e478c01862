"""From a run's config, partition and ledger to what is fetched, and where it lands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline.klaviyo.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.extract import StagedExtract
from klaviyo_pipeline.klaviyo.sources import FilterBy, Source
from klaviyo_pipeline.klaviyo.windows import Window, parse_time
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    from klaviyo_pipeline.orchestration.load_config import LoadConfig

Range = tuple[datetime, datetime]


@dataclass(frozen=True)
class Destination:
    """Where rows go; None leaves it to the asset's metadata and the IO manager's configuration."""

    schema: str | None = None
    table: str | None = None
    write_mode: WriteMode | None = None
    partition_key: str | None = None


@dataclass(frozen=True)
class Fetched:
    """What an asset hands to the IO manager: staged rows, and where a run wants them."""

    staged: StagedExtract
    destination: Destination


@dataclass(frozen=True)
class Asked:
    """What a run asks of a data source. Times as text: ISO 8601, without an offset in the storage time zone."""

    source: Source
    options: frozenset[str]
    start_time: str | None = None
    end_time: str | None = None
    filter_by: FilterBy | None = None
    incremental: bool = True
    lookback_days: float | None = None
    ids: tuple[str, ...] | None = None
    destination: Destination = Destination()

    @property
    def merges(self) -> bool:
        """Whether the rows will be merged, as they are by default."""
        return self.destination.write_mode in {None, WriteMode.MERGE}


def asked_of(source: Source, config: LoadConfig) -> Asked:
    """What a run's config asks for; what it does not name has its default."""
    given: dict[str, Any] = dict(config)
    parent = f"{source.fan_out.parent.removesuffix('s')}_ids" if source.fan_out else ""
    ids, filter_by = given.get(parent), given.get("filter_by")
    options = {name: given.get(name) for name in source.options if name != "related"}
    if "related" in source.options:
        options["related"] = not given["skip_related"]
    return Asked(
        source=source,
        options=source.choose(**options),
        start_time=given.get("start_time"),
        end_time=given.get("end_time"),
        filter_by=FilterBy(filter_by) if filter_by else None,
        incremental=given.get("incremental", False),
        lookback_days=given.get("lookback_days"),
        ids=tuple(ids) if ids is not None else None,
        destination=Destination(
            schema=config.schema_name,
            table=config.table,
            write_mode=WriteMode(config.write_mode) if config.write_mode else None,
            partition_key=given.get("partition_key"),
        ),
    )


def window_of(
    asked: Asked,
    *,
    partition: Range | None,
    last_end: datetime | None,
    zone: tzinfo,
    now: datetime | None = None,
) -> Window:
    """The window of a run: what it asks for, else its partition, else from where the last run ended until now.

    Without any of these (a first run, or ``incremental`` off) the window is open on both sides: everything.

    Args:
        asked: What the run asks for.
        partition: The run's partition or range of partitions, half-open.
        last_end: The end of the last window that landed, from the ledger.
        zone: The storage time zone, for times without an offset.
        now: When the run began.

    Raises:
        ConfigurationError: for times that can not be read, that are the wrong way round, or lie in the future.
    """
    now = (now or datetime.now(UTC)).replace(microsecond=0)
    source = asked.source
    whole = Window(None, None, now)
    if not source.time_fields:
        return Window(partition[0].astimezone(UTC), partition[1].astimezone(UTC), now) if partition else whole
    source.time_field(asked.filter_by)
    start = parse_time(asked.start_time, zone, "start_time") if asked.start_time else None
    end = parse_time(asked.end_time, zone, "end_time") if asked.end_time else None
    if partition is not None:
        return Window(start or partition[0].astimezone(UTC), end or partition[1].astimezone(UTC), now)
    if not asked.incremental:
        if start or end:
            raise ConfigurationError("incremental is off, so start_time and end_time must be left blank.")
        return whole
    if start is None and last_end is not None:
        # Only a merge may read rows again: the other modes would repeat or lose them.
        lookback_days = asked.lookback_days if asked.lookback_days is not None else source.lookback_days
        if lookback_days < 0:
            raise ConfigurationError(f"lookback_days is {lookback_days:g}, but must be 0 or more.")
        lookback = timedelta(days=lookback_days if asked.merges else 0)
        start = min(last_end, now - timedelta(seconds=1)) - lookback
    return Window(start, end, now)
