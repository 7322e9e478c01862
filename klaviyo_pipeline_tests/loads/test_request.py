"""The window and the scope of a run, decided from its config, its partition and the ledger. No run is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.model import FilterBy
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.extract.model import ExtractRequest
from klaviyo_pipeline.klaviyo.windows import Window
from klaviyo_pipeline.loads.destination import Destination
from klaviyo_pipeline.loads.request import LoadRequest, last_end_before, replaced_ranges, window_of
from klaviyo_pipeline.orchestration.assets.config import config_class, destination_of, load_request
from klaviyo_pipeline.orchestration.assets.spec import LoadSpec, default_spec
from klaviyo_pipeline.orchestration.partitions import daily_partitions
from klaviyo_pipeline.warehouse.write_modes import WriteMode

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
LAST_END = datetime(2026, 11, 20, 8, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")
DAYS = daily_partitions("2024-01-01", "UTC")


def spec_of(source: str, **changes: Any) -> LoadSpec:
    return replace(default_spec(SOURCES[source], DAYS), **changes)


def asked(source: str = "profiles", changes: Mapping[str, Any] | None = None, **config: Any) -> LoadRequest:
    """What a run of a data source asks for, by its run config and changes of its load."""
    return load_request(spec_of(source, **(changes or {})), config_class(source)(**config))


def lands(source: str = "profiles", changes: Mapping[str, Any] | None = None, **config: Any) -> Destination:
    """Where a run's rows go."""
    return destination_of(spec_of(source, **(changes or {})), config_class(source)(**config))


def window(
    of: LoadRequest, last_end: datetime | None = LAST_END, *, partition: tuple[datetime, datetime] | None = None
) -> Window | None:
    return window_of(of, partition=partition, last_end=last_end, zone=BERLIN, now=NOW + SECOND / 2)


def berlin(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=BERLIN)


# The start of a run


@pytest.mark.parametrize(
    ("config", "back"),
    [({}, DAY), ({"lookback_days": 0}, timedelta()), ({"lookback_days": 2.5}, timedelta(days=2.5))],
    ids=["the source's", "none", "the run's"],
)
def test_start_when_merging_then_is_the_last_end_less_the_lookback(config: dict[str, Any], back: timedelta) -> None:
    assert SOURCES["profiles"].lookback_days == 1
    assert window(asked(**config)) == Window(LAST_END - back, None, NOW)
    assert window(asked("events")) == Window(LAST_END - 7 * DAY, None, NOW)


@pytest.mark.parametrize("mode", ["append", "replace", "replace_on_new_data"])
def test_start_when_not_merging_then_is_the_last_end_itself(mode: str) -> None:
    found = window(asked(write_mode=mode, partition_key="updated", lookback_days=3))

    assert found == Window(LAST_END, NOW if mode == "append" else None, NOW)


@pytest.mark.parametrize("ahead", [timedelta(), SECOND / 4, 30 * SECOND])
def test_start_when_a_merge_follows_within_the_second_then_reads_that_second_again(ahead: timedelta) -> None:
    assert window(asked(lookback_days=0), NOW + ahead) == Window(NOW - SECOND, None, NOW)
    assert window(asked(lookback_days=1), NOW + ahead) == Window(NOW - SECOND - DAY, None, NOW)
    assert window(asked(lookback_days=0), NOW - SECOND / 4) == Window(NOW - SECOND / 4, None, NOW)


def test_append_when_all_has_landed_then_reads_nothing() -> None:
    assert window(asked(write_mode="append"), NOW) is None
    assert window(asked(write_mode="append"), NOW + SECOND) is None
    assert window(asked(write_mode="append"), NOW - SECOND) == Window(NOW - SECOND, NOW, NOW)


@pytest.mark.parametrize("mode", ["replace", "replace_on_new_data"])
def test_replace_that_clears_the_table_then_reads_everything_whatever_has_landed(mode: str) -> None:
    assert window(asked("lists", write_mode=mode)) == Window(None, None, NOW)
    assert window(asked(write_mode=mode, partition_key="created")) == Window(None, None, NOW)
    by_creation = asked(write_mode=mode, partition_key="created", filter_by="created")
    assert window(by_creation) == Window(LAST_END, None, NOW)
    assert window(asked("metrics", write_mode=mode)) == Window(None, None, NOW)


# The load's own bounds


@pytest.mark.parametrize(
    ("bounds", "config", "last_end", "start", "end"),
    [
        ({"begin": "2026-11-03"}, {}, None, berlin(3), None),
        ({"begin": "2026-11-03"}, {"lookback_days": 0}, LAST_END, LAST_END, None),
        ({"until": "2026-11-22"}, {"lookback_days": 0}, LAST_END, LAST_END, berlin(22)),
        ({"until": "2026-11-22"}, {}, None, None, berlin(22)),
        ({"until": "2026-11-22"}, {"end_time": "2026-11-21T06:00:00"}, None, None, berlin(21, 6)),
        ({"begin": "2026-11-03", "until": "2026-11-22"}, {}, LAST_END, berlin(3), berlin(22)),
        (
            {"begin": "2026-11-03", "until": "2026-11-22"},
            {"end_time": "2026-11-23", "lookback_days": 0},
            LAST_END,
            LAST_END,
            berlin(23),
        ),
        ({"begin": "2026-11-03", "until": "2026-11-22"}, {"start_time": "2026-11-05"}, LAST_END, berlin(5), berlin(22)),
        ({"begin": "2026-11-03", "until": "2026-11-22"}, {"incremental": False}, LAST_END, berlin(3), berlin(22)),
        ({"begin": "2026-11-03"}, {"incremental": False}, LAST_END, berlin(3), None),
        ({"until": "2026-11-22"}, {"incremental": False}, LAST_END, None, berlin(22)),
    ],
)
def test_bounds_of_the_load_when_a_run_names_none_then_count(
    bounds: dict[str, Any],
    config: dict[str, Any],
    last_end: datetime | None,
    start: datetime | None,
    end: datetime | None,
) -> None:
    assert window(asked(changes=bounds, **config), last_end) == Window(start, end, NOW)


@pytest.mark.parametrize("side", ["start_time", "end_time"])
def test_incremental_off_when_a_run_names_one_time_then_is_refused(side: str) -> None:
    with pytest.raises(ConfigurationError, match="incremental is off"):
        window(asked(incremental=False, **{side: "2026-11-05"}))


# Partitions


def test_partition_when_given_then_its_days_are_the_window_and_config_wins_on_each_side() -> None:
    days = (berlin(18), berlin(20))

    assert window(asked(), partition=days) == Window(*days, NOW)
    assert window(asked(start_time="2026-11-17"), partition=days) == Window(berlin(17), berlin(20), NOW)
    assert window(asked(end_time="2026-11-21"), partition=days) == Window(berlin(18), berlin(21), NOW)
    assert window(asked("metrics"), partition=days) == Window(*days, NOW)
    assert window(asked("metrics")) == Window(None, None, NOW)


# A watermark after now


def ends(*of: datetime) -> Any:
    """The ledger's answer: its last end, or the last one by a time."""
    return lambda by: max((end for end in of if by is None or end <= by), default=None)


def test_watermark_when_less_than_a_minute_ahead_then_counts_without_a_word() -> None:
    warned: list[str] = []
    for end in (NOW - DAY, NOW, NOW + timedelta(minutes=1)):
        assert last_end_before(NOW, asked(write_mode="append"), ends(LAST_END, end), warned.append) == end
    assert last_end_before(NOW, asked(), ends(), warned.append) is None
    assert warned == []


@pytest.mark.parametrize("mode", [None, "merge"])
def test_watermark_when_further_ahead_then_a_merge_goes_back_and_says_from_where(mode: str | None) -> None:
    ahead, warned = NOW + timedelta(minutes=1, seconds=1), list[str]()

    assert last_end_before(NOW, asked(write_mode=mode), ends(LAST_END, ahead), warned.append) == LAST_END
    assert last_end_before(NOW, asked(write_mode=mode), ends(ahead), warned.append) is None

    known, unknown = warned
    assert "ended at 2026-11-23 09:31 UTC, after now (2026-11-23 09:30 UTC)" in known
    assert known.endswith("Reading from 2026-11-20 08:00 UTC on.")
    assert unknown.endswith("Reading from the beginning on.")


@pytest.mark.parametrize("mode", ["append", "replace", "replace_on_new_data"])
def test_watermark_when_further_ahead_and_rows_are_not_merged_then_is_refused(mode: str) -> None:
    with pytest.raises(ConfigurationError, match="then give start_time, or rewind the load"):
        last_end_before(NOW, asked(write_mode=mode), ends(LAST_END, NOW + DAY), lambda _: pytest.fail("no warning"))


# What a replace clears


def test_scope_of_a_replace_is_what_was_read() -> None:
    beginning, end = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
    profiles = SOURCES["profiles"]

    def scope(start: datetime | None, until: datetime | None, key: str | None) -> Any:
        return replaced_ranges(ExtractRequest(profiles, Window(start, until, NOW)), key)

    assert scope(LAST_END, NOW, "updated") == ((LAST_END, NOW),)
    assert scope(None, NOW, "updated") == ((beginning, NOW),)
    assert scope(LAST_END, None, "updated") == ((LAST_END, end),)
    assert scope(None, None, "updated") == scope(LAST_END, NOW, None) == scope(LAST_END, NOW, "") == ()
    with pytest.raises(ConfigurationError, match="partition_key is 'created', but the window is over 'updated'"):
        scope(LAST_END, NOW, "created")
    without_time = ExtractRequest(SOURCES["event_metrics"], Window(LAST_END, NOW, NOW))
    assert replaced_ranges(without_time, "event_datetime") == ((LAST_END, NOW),)


# What a run asks for


def test_config_when_blank_then_the_loads_own_values_count_one_by_one() -> None:
    own = Destination(
        schema="own_schema",
        table="own_table",
        write_mode=WriteMode.REPLACE,
        partition_key="created",
        database="own.duckdb",
        timezone="Asia/Tokyo",
    )
    changes = {"destination": own}

    assert lands(changes=changes) == own
    assert (asked(changes=changes).write_mode, asked(changes=changes).partition_key) == (WriteMode.REPLACE, "created")
    config = {"write_mode": "append", "partition_key": "updated", "filter_by": "created", "accept_shrink": True}
    given = asked(changes=changes, **config)
    assert (given.write_mode, given.partition_key) == (WriteMode.APPEND, "updated")
    assert (given.filter_by, given.accept_shrink) == (FilterBy.CREATED, True)
    assert lands(changes=changes, schema_name="another", table="other", **config) == replace(
        own, schema="another", table="other", write_mode=WriteMode.APPEND, partition_key="updated"
    )
    blank = asked("events")
    assert (blank.write_mode, blank.partition_key) == (WriteMode.MERGE, "datetime")
    assert (blank.filter_by, blank.accept_shrink, blank.ids, blank.incremental) == (None, False, None, True)


def test_parents_ids_and_options_when_given_then_are_asked_for() -> None:
    assert asked("list_profiles", list_ids=["L1", "L2"]).ids == ("L1", "L2")
    assert asked("list_profiles", list_ids=[]).ids == ()
    assert asked("event_metrics", event_ids=["E1"]).ids == ("E1",)
    assert "related" not in asked("events", skip_related=True).options
    assert "related" in asked("events", skip_related=False).options
    assert "subscriptions" in asked(subscriptions=True).options
    assert "subscriptions" not in asked(subscriptions=False).options
