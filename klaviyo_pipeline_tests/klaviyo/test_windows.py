"""Windows and slices: half-open, in UTC, cut without a gap or an overlap."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.windows import HISTORY_START, Window, cut, divide
from klaviyo_pipeline.times import parse_time, parse_zone

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TIMES = st.datetimes(datetime(2005, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-09-01T00:00:00", "UTC", datetime(2026, 9, 1, tzinfo=UTC)),
        ("2026-09-01", "UTC", datetime(2026, 9, 1, tzinfo=UTC)),
        ("2026-09-01T00:00:00Z", "America/New_York", datetime(2026, 9, 1, tzinfo=UTC)),
        ("2026-09-01T00:00:00+02:00", "America/New_York", datetime(2026, 8, 31, 22, tzinfo=UTC)),
        ("2026-09-01T00:00:00", "America/New_York", datetime(2026, 9, 1, 4, tzinfo=UTC)),
        ("2026-12-01T00:00:00", "America/New_York", datetime(2026, 12, 1, 5, tzinfo=UTC)),
        (" 2026-09-01 06:30:15.250000 ", "Asia/Kolkata", datetime(2026, 9, 1, 1, 0, 15, 250000, tzinfo=UTC)),
    ],
)
def test_parse_time_when_it_names_no_offset_then_is_read_in_the_zone(text: str, zone: str, expected: datetime) -> None:
    parsed = parse_time(text, ZoneInfo(zone), "start_time")
    assert parsed == expected
    assert parsed.tzinfo is UTC


@pytest.mark.parametrize("text", ["", "yesterday", "01.09.2026", "2026-13-01", "2026-09-01T25:00", "1756684800"])
def test_parse_time_when_malformed_then_message_names_the_setting_the_text_and_the_form(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"end_time.*ISO 8601.*2026-09-01T00:00:00") as refused:
        parse_time(text, UTC, "end_time")
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59-02:00"])
def test_parse_time_when_outside_the_calendar_then_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"start_time"):
        parse_time(text, UTC, "start_time")


@pytest.mark.parametrize("name", ["UTC", "Europe/Copenhagen", "America/Argentina/Buenos_Aires"])
def test_zone_when_an_iana_name_then_is_taken(name: str) -> None:
    assert parse_zone(name, "timezone").key == name


def test_zone_when_an_abbreviation_then_the_message_suggests_a_name() -> None:
    with pytest.raises(ConfigurationError, match=r"timezone is 'PST'.*did you mean America/Los_Angeles\?"):
        parse_zone("PST", "timezone")


@pytest.mark.parametrize("name", ["", "Europe/Atlantis", "Europe/", "../UTC", "/etc/localtime", "UTC+2", "nonsense"])
def test_zone_when_there_is_none_of_that_name_then_message_names_the_setting(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"zone_of_storage.*IANA"):
        parse_zone(name, "zone_of_storage")


def test_window_when_it_starts_in_the_future_then_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"start_time.*future"):
        Window(NOW, None, NOW)


@pytest.mark.parametrize("length", [timedelta(0), timedelta(seconds=-1)])
def test_window_when_empty_or_upside_down_then_is_refused(length: timedelta) -> None:
    start = NOW - timedelta(days=1)
    with pytest.raises(ConfigurationError, match=r"must be before end_time"):
        Window(start, start + length, NOW)


def test_window_when_it_ends_in_the_future_then_request_is_open_and_watermark_is_now() -> None:
    window = Window(NOW - timedelta(days=1), NOW + timedelta(days=1), NOW)
    assert window.request_end is None
    assert window.watermark == NOW
    assert Window(None, None, NOW).watermark == NOW
    assert Window(None, NOW - timedelta(hours=1), NOW).watermark == NOW - timedelta(hours=1)


def test_window_when_its_bounds_have_fractions_then_the_request_is_wider_in_whole_seconds() -> None:
    window = Window(
        datetime(2026, 9, 1, 0, 0, 0, 200000, tzinfo=UTC), datetime(2026, 9, 1, 0, 0, 0, 700000, tzinfo=UTC), NOW
    )
    assert window.request_start == datetime(2026, 9, 1, tzinfo=UTC)
    assert window.request_end == datetime(2026, 9, 1, 0, 0, 1, tzinfo=UTC)


@given(start=st.none() | TIMES, end=st.none() | TIMES, now=TIMES)
def test_window_when_any_then_request_covers_it_and_is_never_bounded_by_the_future(
    start: datetime | None, end: datetime | None, now: datetime
) -> None:
    assume(start is None or start < now)
    assume(start is None or end is None or start < end)
    window = Window(start, end, now)
    assert window.watermark <= now
    if start is None:
        assert window.request_start is None
    else:
        assert window.request_start is not None
        assert window.request_start <= start
    if window.request_end is not None:
        assert end is not None
        assert end <= window.request_end <= now
        assert start is None or window.request_start < window.request_end  # type: ignore[operator]
    if end is None:
        assert window.request_end is None


@given(start=st.none() | TIMES, end=st.none() | TIMES, now=TIMES, pieces=st.integers(1, 64))
def test_cut_when_any_window_then_slices_meet_and_cover_the_request_exactly(
    start: datetime | None, end: datetime | None, now: datetime, pieces: int
) -> None:
    assume(start is None or start < now)
    assume(start is None or end is None or start < end)
    window = Window(start, end, now)
    slices = cut(window, pieces)
    assert 1 <= len(slices) <= pieces
    assert (slices[0].start, slices[-1].end) == (window.request_start, window.request_end)
    for before, after in pairwise(slices):
        assert before.end == after.start is not None
    for each in slices:
        assert each.start is None or each.start.microsecond == 0
        assert each.start is None or each.end is None or each.start < each.end


@given(
    low=TIMES.map(lambda time: time.replace(microsecond=0)),
    seconds=st.integers(-10, 10**8),
    pieces=st.integers(1, 100),
)
def test_divide_when_any_stretch_then_parts_are_whole_seconds_and_about_equal(
    low: datetime, seconds: int, pieces: int
) -> None:
    high = low + timedelta(seconds=seconds)
    edges = divide(low, high, pieces)
    assert len(edges) == max(1, min(pieces, seconds)) - 1
    lengths = [(b - a).total_seconds() for a, b in pairwise([low, *edges, high])]
    if edges:
        assert min(lengths) >= 1
        assert max(lengths) - min(lengths) <= 1
        assert all(length == int(length) for length in lengths)


def test_cut_when_there_is_no_start_then_first_slice_reaches_back_without_end() -> None:
    slices = cut(Window(None, None, NOW), 4)
    assert slices[0].start is None
    assert slices[-1].end is None
    assert slices[0].end is not None
    assert slices[0].end > HISTORY_START
