"""The days of reports: each day of the account's zone once, also those of 23 and 25 hours."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.catalogue.reporting import Report
from klaviyo_pipeline.klaviyo.decode.reports import ReportDecoder, day_of
from klaviyo_pipeline.klaviyo.errors import UnreadablePageError
from klaviyo_pipeline.klaviyo.extract.pieces import pieces_of, stream_of
from klaviyo_pipeline.klaviyo.windows import Window
from klaviyo_pipeline.times import start_of

ZONES = (
    "UTC",
    "Europe/Copenhagen",
    "Europe/London",
    "America/New_York",
    "America/Asuncion",
    "Asia/Kolkata",
    "Asia/Beirut",
)
YEAR = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]


@pytest.mark.parametrize("zone", [ZoneInfo(name) for name in ZONES], ids=ZONES)
def test_day_when_given_as_the_instant_it_begins_or_as_midnight_on_the_clock_then_is_that_day(zone: ZoneInfo) -> None:
    assert [day_of(start_of(day, zone).isoformat(), zone) for day in YEAR] == YEAR
    assert [day_of(f"{day}T00:00:00+00:00", zone) for day in YEAR] == YEAR
    assert [day_of(f"{day}T00:00:00", zone) for day in YEAR] == YEAR


@pytest.mark.parametrize("text", [None, 5, "", "today", "2026-11-01T11:30:00Z", "9999-12-31T23:59:59-12:00"])
def test_day_when_it_begins_none_then_is_refused(text: Any) -> None:
    with pytest.raises(UnreadablePageError, match="begins no day in Europe/Copenhagen"):
        day_of(text, ZoneInfo("Europe/Copenhagen"))


@given(
    st.sampled_from(ZONES),
    st.integers(0, 20_000),
    st.integers(0, 30_000),
    st.sampled_from([60, 365]),
    st.integers(0, 3),
)
def test_pieces_when_made_of_any_window_then_cover_each_of_its_days_and_are_no_longer_than_allowed(
    name: str, begin: int, hours: int, longest: int, overlap: int
) -> None:
    zone, start = ZoneInfo(name), datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=begin)
    now = start + timedelta(hours=hours, seconds=1)
    report = Report("flows", (("", ("opens",)),), ("date",), longest_days=longest, overlap_days=overlap)
    pieces = pieces_of(report, Window(start, None, now), zone)
    days = [piece.first + timedelta(days=n) for piece in pieces for n in range((piece.last - piece.first).days + 1)]
    first, last = start.astimezone(zone).date(), now.astimezone(zone).date()
    assert sorted(set(days)) == [first + timedelta(days=n) for n in range((last - first).days + 1)]
    assert len(days) - len(set(days)) == overlap * (len(pieces) - 1)
    assert all((piece.last - piece.first).days < longest for piece in pieces)


def test_time_frame_when_it_ends_today_then_does_not_reach_into_the_future() -> None:
    source, zone = SOURCES["flow_series_daily"], ZoneInfo("Europe/Copenhagen")
    assert source.report is not None
    now = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30 for the first time: clocks are set back at 3
    pieces = pieces_of(source.report, Window(datetime(2026, 10, 23, 22, tzinfo=UTC), None, now), zone)
    (stream,) = [stream_of(source, piece, "M", zone, now, "2026-07-15") for piece in pieces]
    assert stream.question is not None
    assert stream.question.attributes["timeframe"] == {
        "start": "2026-10-24T00:00:00+00:00",
        "end": "2026-10-25T02:30:00+00:00",
    }
    assert "variation" in stream.question.attributes["group_by"]
    older = stream_of(source, pieces[0], "M", zone, now, "2025-07-15").question
    assert older is not None
    assert "group_by" not in older.attributes
    assert "text_message_spend" not in older.attributes["statistics"]


def _decoded(**attributes: Any) -> list[dict[str, Any]]:
    source = SOURCES["form_series_daily"]
    assert source.report is not None
    decoder = ReportDecoder(source.columns, source.resource, source.report.grain, ZoneInfo("UTC"))
    data = {"type": source.resource, "id": "x", "attributes": attributes}
    page = decoder.decode(json.dumps({"data": data, "links": {"next": None}}).encode(), {})
    return page.batch.to_pylist()  # type: ignore[no-any-return]


def test_series_when_decoded_then_each_day_is_a_row_and_nothing_is_lost() -> None:
    found = {
        "groupings": {"form_id": "F", "form_version_id": None, "colour": "red"},
        "statistics": {"submits": [1, "2"], "submit_rate": [0.5, "often"], "stars": [4, None]},
    }
    first, second = _decoded(results=[found], date_times=["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"])
    assert (first["id"], first["date"], first["submits"], first["submit_rate"]) == (
        "2026-01-01:F:", date(2026, 1, 1), 1.0, 0.5,
    )  # fmt: skip
    assert (second["id"], second["submits"], second["submit_rate"]) == ("2026-01-02:F:", 2.0, None)
    assert json.loads(first["_extra"]) == {"groupings": {"colour": "red"}, "statistics": {"stars": 4}}
    assert json.loads(second["_extra"]) == {"groupings": {"colour": "red"}, "statistics": {"submit_rate": "often"}}


def test_series_when_it_is_not_as_long_as_its_dates_then_is_refused() -> None:
    found = {"groupings": {"form_id": "F"}, "statistics": {"submits": [1, 2]}}
    with pytest.raises(UnreadablePageError, match="submits has 2 values for 1 dates"):
        _decoded(results=[found], date_times=["2026-01-01T00:00:00Z"])


def test_report_when_it_has_no_groups_then_has_no_rows() -> None:
    assert _decoded(results=[], date_times=["2026-01-01T00:00:00Z"]) == []
