"""What a load asks for, and which window that is: by its own bounds, a partition, or where the last load ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from klaviyo_pipeline import clock
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.model import FilterBy, Source
from klaviyo_pipeline.klaviyo.windows import SECOND, Window
from klaviyo_pipeline.times import parse_time
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.extract.model import ExtractRequest

Range = tuple[datetime, datetime]


@dataclass(frozen=True, kw_only=True)
class LoadRequest:
    """What a load asks of a data source. Times as text: ISO 8601, without an offset in the storage time zone.

    ``begin`` and ``until`` are the load's own bounds: the first run begins at ``begin``, later ones where the last
    one ended; with both given, or ``incremental`` off, every run reads that window. ``start_time`` and ``end_time``
    are a run's, and win. ``chosen`` are names or ids of what the rows must belong to, for a source with a choice; None
    for all rows. ``partition_key`` is the time column by which replace modes clear the table. ``accept_shrink`` is a
    person's consent to land a read that has far less than the table.
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
    chosen: tuple[str, ...] | None = None
    write_mode: WriteMode = WriteMode.MERGE
    partition_key: str | None = None
    accept_shrink: bool = False

    def __post_init__(self) -> None:
        if self.source.observed_at is not None and self.replaces:
            raise ConfigurationError(
                f"{self.source.name} keeps what each read has seen, and {self.write_mode.value} would clear it: use "
                "merge or append."
            )

    @property
    def replaces(self) -> bool:
        """Whether rows that are there are cleared first."""
        return self.write_mode in {WriteMode.REPLACE, WriteMode.REPLACE_ON_NEW_DATA}

    @property
    def clears_table(self) -> bool:
        """Whether a run clears the table and not only its window, so that it has to read everything."""
        field = self.source.time_field(self.filter_by)
        return self.replaces and (field is None or field.name != self.partition_key)

    @property
    def merges(self) -> bool:
        """Whether rows are merged, so that reading them twice changes nothing."""
        return self.write_mode is WriteMode.MERGE

    @property
    def continues(self) -> bool:
        """Whether the run begins where the last one ended, if there was one.

        A replace that clears the table does not: it would leave nothing but what is new.
        """
        fixed = self.begin and self.until and not self.end_time
        increments = self.source.takes_window and self.incremental and not self.clears_table
        return increments and not self.start_time and not fixed


LONGEST_LOOKBACK_DAYS = 3650


def parse_lookback(days: float) -> timedelta:
    """A lookback in days as a length of time.

    Raises:
        ConfigurationError: for what is not a number of days from none to ten years.
    """
    if not 0 <= days <= LONGEST_LOOKBACK_DAYS:  # neither is true of nan
        raise ConfigurationError(
            f"lookback_days is {days:g}, but must be from 0 to {LONGEST_LOOKBACK_DAYS}; to read everything, set "
            "incremental to false."
        )
    return timedelta(days=days)


def last_end_before(
    now: datetime,
    request: LoadRequest,
    last_end: Callable[[datetime | None], datetime | None],
    warn: Callable[[str], object],
) -> datetime | None:
    """Where the last run ended, if that is before now. Else a clock was wrong, and rows would be skipped.

    A merge begins where the last load ended that is before now, and reads again what was read since.

    Args:
        now: The present.
        request: What the run asks for.
        last_end: The end of the last window that landed; with a time, of those that end by then.
        warn: Takes the warning.

    Raises:
        ConfigurationError: The rows are not merged, so reading them again would repeat them.
    """
    found = last_end(None)
    if found is None or found <= now + _CLOCK_STEP:
        return found
    said = (
        f"The ledger says that the last load of {request.source.name} ended at {found:%Y-%m-%d %H:%M} UTC, after now "
        f"({now:%Y-%m-%d %H:%M} UTC): this machine's clock is wrong, or was."
    )
    if not request.merges:
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
    request: LoadRequest,
    *,
    partition: Range | None,
    last_end: datetime | None,
    zone: tzinfo,
    now: datetime | None = None,
) -> Window | None:
    """The window of a run: what it asks for, else its partition, else from where the last run ended until now.

    With ``incremental`` off, or without any of these (a first run), the window is open on both sides: everything.

    Args:
        request: What the run asks for.
        partition: The run's partition or range of partitions, half-open.
        last_end: The end of the last window that landed, from the ledger.
        zone: The storage time zone, for times without an offset.
        now: When the run began.

    Returns:
        The window; None if all up to the end that is asked for has landed before.

    Raises:
        ConfigurationError: for times that cannot be read, that are the wrong way round, or lie in the future.
    """
    now = (now or clock.now()).replace(microsecond=0)
    source = request.source
    whole = Window(None, None, now)
    if not source.takes_window:
        return Window(partition[0].astimezone(UTC), partition[1].astimezone(UTC), now) if partition else whole
    source.time_field(request.filter_by)
    start = parse_time(request.start_time, zone, "start_time") if request.start_time else None
    end = parse_time(request.end_time, zone, "end_time") if request.end_time else None
    if not request.incremental:
        if start or end:
            raise ConfigurationError("incremental is off, so start_time and end_time must be left blank.")
        start = parse_time(request.begin, zone, "start_time") if request.begin else None
        end = parse_time(request.until, zone, "end_time") if request.until else None
        return Window(start, end, now)
    if partition is not None:
        return Window(start or partition[0].astimezone(UTC), end or partition[1].astimezone(UTC), now)
    if end is None and request.until:
        end = parse_time(request.until, zone, "end_time")
    if end is None and request.write_mode is WriteMode.APPEND:
        # What is dated after now is left to the run whose window it lies in: appended twice, it would stay twice.
        end = now
    if start is None and last_end is not None and request.continues:
        start = _continuing(request, last_end, end or now)
        if start >= (end or now):
            return None
    elif start is None and request.begin:
        start = parse_time(request.begin, zone, "start_time")
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


def end_of_cut_off(request: LoadRequest, through: datetime, began: datetime) -> datetime:
    """Where an incremental load counts as ended that was cut off after some of its parts had landed.

    A merge then begins at the last part's end, without the lookback: what lies before was read just now. Only what is
    younger than the lookback was when the load began is read again.

    Args:
        request: The load.
        through: Where the last part ended that landed.
        began: When the load began that was cut off.
    """
    return min(through + _lookback(request), began) if request.merges else through


def _lookback(request: LoadRequest) -> timedelta:
    days = request.lookback_days if request.lookback_days is not None else request.source.lookback_days
    return parse_lookback(days)


def _continuing(request: LoadRequest, last_end: datetime, end: datetime) -> datetime:
    """The start of an incremental run: the watermark minus the lookback.

    Only a merge has a lookback: in other modes, rows that a run reads again would be repeated or lost.
    """
    lookback = _lookback(request)
    if not request.merges:
        return last_end
    # A run that follows within the second reads that second again: it may have had more rows to come.
    last_end = min(last_end, end - SECOND) if last_end >= end else last_end
    return last_end - lookback
