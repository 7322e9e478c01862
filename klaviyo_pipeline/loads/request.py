"""From a run's config, partition and ledger to what is fetched, and where it lands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline import clock
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.model import FilterBy, Source
from klaviyo_pipeline.klaviyo.windows import SECOND, Window
from klaviyo_pipeline.orchestration.assets.config import parse_lookback
from klaviyo_pipeline.times import parse_time
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.extract.extract import ExtractRequest, StagedExtract
    from klaviyo_pipeline.orchestration.assets.config import LoadConfig
    from klaviyo_pipeline.orchestration.assets.spec import LoadSpec
    from klaviyo_pipeline.warehouse.ownership import Owner
    from klaviyo_pipeline.warehouse.sandbox_rows import Origin
    from klaviyo_pipeline.warehouse.shrinking import ShrinkLimits

Range = tuple[datetime, datetime]


@dataclass(frozen=True)
class Destination:
    """Where rows go; None leaves it to the asset's metadata and the IO manager's configuration."""

    schema: str | None = None
    table: str | None = None
    write_mode: WriteMode | None = None
    partition_key: str | None = None
    database: str | None = None
    timezone: str | None = None

    def or_else(self, other: Destination) -> Destination:
        """This destination, with what it leaves open taken from another one."""
        return Destination(*(getattr(self, name) or getattr(other, name) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Fetched:
    """What an asset hands to the IO manager: staged rows, and where a run wants them.

    ``ledger_name`` is the name of the load in the ledger. ``moves_watermark`` tells whether the next run may go on
    where this one ended. ``release`` is called once the rows have landed, or could not: it lets another run of the
    same load begin. ``origin`` tells whether the rows are an account's or a sandbox's. ``fetch_again`` fetches the same
    window anew, if staged pages are damaged. ``owner`` is the account that the rows come from. ``shrink`` says how much
    of the table the landing may take away; None for no limit.
    """

    staged: StagedExtract
    destination: Destination
    ledger_name: str
    moves_watermark: bool = True
    release: Callable[[], None] = lambda: None
    origin: Origin | None = None
    fetch_again: Callable[[], StagedExtract] | None = None
    owner: Owner | None = None
    shrink: ShrinkLimits | None = None


@dataclass(frozen=True)
class Asked:
    """What a run asks of a data source. Times as text: ISO 8601, without an offset in the storage time zone.

    ``begin`` and ``until`` are the load's own bounds: the first run begins at ``begin``, later ones where the last
    one ended; with both given, or ``incremental`` off, every run reads that window. ``start_time`` and ``end_time``
    are a run's, and win. ``accept_shrink`` is a person's consent to land a read that has far less than the table.
    """

    source: Source
    options: frozenset[str]
    start_time: str | None = None
    end_time: str | None = None
    begin: str | None = None
    until: str | None = None
    filter_by: FilterBy | None = None
    incremental: bool = True
    lookback_days: float | None = None
    ids: tuple[str, ...] | None = None
    destination: Destination = Destination()
    accept_shrink: bool = False

    @property
    def mode(self) -> WriteMode:
        """What happens to rows that are there."""
        return self.destination.write_mode or WriteMode.MERGE

    @property
    def replaces(self) -> bool:
        """Whether rows that are there are cleared first."""
        return self.mode in {WriteMode.REPLACE, WriteMode.REPLACE_ON_NEW_DATA}

    @property
    def clears_table(self) -> bool:
        """Whether a run clears the table and not only its window, so that it has to read everything."""
        field = self.source.time_field(self.filter_by)
        return self.replaces and (field is None or field.name != self.destination.partition_key)

    @property
    def merges(self) -> bool:
        """Whether the rows will be merged, as they are by default."""
        return self.destination.write_mode in {None, WriteMode.MERGE}

    @property
    def goes_on(self) -> bool:
        """Whether the run begins where the last one ended, if there was one.

        A replace that clears the table does not: it would leave nothing but what is new.
        """
        fixed = self.begin and self.until and not self.end_time
        increments = bool(self.source.time_fields) and self.incremental and not self.clears_table
        return increments and not self.start_time and not fixed


def asked_of(spec: LoadSpec, config: LoadConfig) -> Asked:
    """What a run's config asks for; what it does not name has the load's own value."""
    source = spec.source
    given: dict[str, Any] = dict(config)
    ids = given.get(source.fan_out.setting) if source.fan_out else None
    filter_by = given.get("filter_by")
    options = {option.name: option.value_of(given[option.setting]) for option in source.options}
    wanted = Destination(
        schema=config.schema_name,
        table=config.table,
        write_mode=WriteMode(config.write_mode) if config.write_mode else None,
        partition_key=given.get("partition_key"),
    )
    return Asked(
        source=source,
        options=source.choose(**options),
        start_time=given.get("start_time"),
        end_time=given.get("end_time"),
        begin=spec.begin,
        until=spec.until,
        filter_by=FilterBy(filter_by) if filter_by else None,
        incremental=given.get("incremental", False),
        lookback_days=given.get("lookback_days"),
        ids=tuple(ids) if ids is not None else None,
        destination=wanted.or_else(spec.destination).or_else(Destination(partition_key=spec.partition_key)),
        accept_shrink=config.accept_shrink,
    )


def last_end_before(
    now: datetime, asked: Asked, last_end: Callable[[datetime | None], datetime | None], warn: Callable[[str], object]
) -> datetime | None:
    """Where the last run ended, if that is before now. Else a clock was wrong, and rows would be skipped.

    A merge begins where the last load ended that is before now, and reads again what was read since.

    Args:
        now: The present.
        asked: What the run asks for.
        last_end: The end of the last window that landed; with a time, of those that end by then.
        warn: Takes the warning.

    Raises:
        ConfigurationError: The rows are not merged, so reading them again would repeat them.
    """
    found = last_end(None)
    if found is None or found <= now + _CLOCK_STEP:
        return found
    said = (
        f"The ledger says that the last load of {asked.source.name} ended at {found:%Y-%m-%d %H:%M} UTC, after now "
        f"({now:%Y-%m-%d %H:%M} UTC): this machine's clock is wrong, or was."
    )
    if not asked.merges:
        raise ConfigurationError(
            f"{said} What came since was not read, and without a merge nothing is read twice. Check the clock and what "
            "has landed, then give start_time, or rewind the load: klaviyo-pipeline rewind."
        )
    sane = last_end(now)
    warn(f"{said} Reading from {f'{sane:%Y-%m-%d %H:%M} UTC' if sane else 'the beginning'} on.")
    return sane


_CLOCK_STEP = timedelta(minutes=1)
"""Clocks are set back by less than this all the time."""


def window_of(
    asked: Asked,
    *,
    partition: Range | None,
    last_end: datetime | None,
    zone: tzinfo,
    now: datetime | None = None,
) -> Window | None:
    """The window of a run: what it asks for, else its partition, else from where the last run ended until now.

    With ``incremental`` off, or without any of these (a first run), the window is open on both sides: everything.

    Args:
        asked: What the run asks for.
        partition: The run's partition or range of partitions, half-open.
        last_end: The end of the last window that landed, from the ledger.
        zone: The storage time zone, for times without an offset.
        now: When the run began.

    Returns:
        The window; None if all up to the end that is asked for has landed before.

    Raises:
        ConfigurationError: for times that can not be read, that are the wrong way round, or lie in the future.
    """
    now = (now or clock.now()).replace(microsecond=0)
    source = asked.source
    whole = Window(None, None, now)
    if not source.time_fields:
        return Window(partition[0].astimezone(UTC), partition[1].astimezone(UTC), now) if partition else whole
    source.time_field(asked.filter_by)
    start = parse_time(asked.start_time, zone, "start_time") if asked.start_time else None
    end = parse_time(asked.end_time, zone, "end_time") if asked.end_time else None
    if not asked.incremental:
        if start or end:
            raise ConfigurationError("incremental is off, so start_time and end_time must be left blank.")
        start = parse_time(asked.begin, zone, "start_time") if asked.begin else None
        end = parse_time(asked.until, zone, "end_time") if asked.until else None
        return Window(start, end, now)
    if partition is not None:
        return Window(start or partition[0].astimezone(UTC), end or partition[1].astimezone(UTC), now)
    if end is None and asked.until:
        end = parse_time(asked.until, zone, "end_time")
    if end is None and asked.destination.write_mode is WriteMode.APPEND:
        # What is dated after now is left to the run whose window it lies in: appended twice, it would stay twice.
        end = now
    if start is None and last_end is not None and asked.goes_on:
        start = _going_on(asked, last_end, end or now)
        if start >= (end or now):
            return None
    elif start is None and asked.begin:
        start = parse_time(asked.begin, zone, "start_time")
    return Window(start, end, now)


def replaced_ranges(request: ExtractRequest, partition_key: str | None) -> tuple[Range, ...]:
    """What a replace clears: the window that was read, over the partition key; nothing named: the whole table.

    Raises:
        ConfigurationError: if the window is over another time than the partition key.
    """
    if request.is_whole or not partition_key:
        return ()
    field, window = request.time_field, request.window
    if field is not None and field.name != partition_key:
        raise ConfigurationError(
            f"partition_key is {partition_key!r}, but the window is over {field.name!r}: a replace would clear rows "
            f"that it did not read. Set partition_key to {field.name!r}, choose another filter_by, or read everything "
            "(incremental: false)."
        )
    # Not only up to the watermark: a window that is open towards the future has rows from there as well.
    return ((window.start or _BEGINNING_OF_TIME, window.end or _END_OF_TIME),)


_BEGINNING_OF_TIME, _END_OF_TIME = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


def _going_on(asked: Asked, last_end: datetime, end: datetime) -> datetime:
    """Where a run goes on that names no start: where the last one ended, and earlier by the lookback.

    Only a merge may read rows again: the other modes would repeat or lose them.
    """
    lookback_days = asked.lookback_days if asked.lookback_days is not None else asked.source.lookback_days
    lookback = parse_lookback(lookback_days)
    if not asked.merges:
        return last_end
    # A run that follows within the second reads that second again: it may have had more rows to come.
    last_end = min(last_end, end - SECOND) if last_end >= end else last_end
    return last_end - lookback
