"""Times as the sandbox keeps them: whole microseconds since the epoch; written as Klaviyo writes them."""

from datetime import UTC, datetime, timedelta

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """Microseconds since the epoch; a moment without an offset is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECOND


def moment(time_us: int) -> datetime:
    """The aware UTC datetime of a number of microseconds."""
    return _EPOCH + timedelta(microseconds=time_us)


def parse_time(text: str) -> int:
    """Read an ISO 8601 date or date-time (`Z` or an offset; UTC where it names none).

    Raises:
        ValueError: if it is not one.
    """
    return micros(datetime.fromisoformat(text))


def next_start(start: datetime, interval: str) -> datetime:
    """The local start of the interval (hour, day, week, month) after one that begins then, by the clock of its zone."""
    if interval == "hour":
        return (start.astimezone(UTC) + timedelta(hours=1)).astimezone(start.tzinfo)
    if interval == "month":
        return (start.replace(day=1) + timedelta(days=32)).replace(day=1)
    return start + timedelta(days=7 if interval == "week" else 1)


def in_seconds(time_us: int | None) -> str | None:
    """`2026-09-04T13:38:55+00:00`, as metrics, lists, templates, profiles and events have it."""
    if time_us is None:
        return None
    return moment(time_us - time_us % SECOND).isoformat()


def in_micros(time_us: int | None) -> str | None:
    """`2026-09-04T13:38:44.935203+00:00`, as campaigns and consent have it."""
    if time_us is None:
        return None
    return moment(time_us).isoformat(timespec="microseconds")
