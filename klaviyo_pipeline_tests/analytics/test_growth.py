"""Sizes of lists and segments, and suppressions by day, equal what Python counts from the sandbox's own rows."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from klaviyo_pipeline import clock
from klaviyo_pipeline.analytics.assets import build_analytics_assets
from klaviyo_pipeline.analytics.more_tables import ALL
from klaviyo_pipeline.klaviyo.client.rate_limits import EndpointLimit
from klaviyo_pipeline.sandbox.data.rows import Suppression
from klaviyo_pipeline_tests.analytics.conftest import COPENHAGEN, Loaded
from klaviyo_pipeline_tests.orchestration.conftest import World, world

__all__ = ["world"]

# Two loads of one day, one an hour later on the next day in Copenhagen but the same in UTC, and one days later.
LOADS = [datetime(2026, 11, 23, *at, tzinfo=UTC) for at in ((8, 0), (22, 30), (23, 30))]
LOADS.append(LOADS[-1] + timedelta(days=4))


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The assets of analytics by name. Requests do not wait: Klaviyo allows few counts a minute."""
    monkeypatch.setattr(EndpointLimit, "reserve", lambda _self: 0.0)
    monkeypatch.setenv("KLAVIYO_SOURCES", "core, segments, list_counts, segment_counts, suppressions")
    return {asset.key.path[-1]: asset for asset in build_analytics_assets()}


def example(world: World, table: str) -> list[tuple[Any, ...]]:
    """Rows of the query in a table's description."""
    _text, query, _end = re.split("```sql|```", ALL[table].description)
    return world.sql(query)


def members(world: World, noun: str) -> list[tuple[str, str]]:
    """Each list or segment in the sandbox with each of its profiles."""
    rows = world.truth("members" if noun == "list" else "segment-members")
    return [(row[f"{noun}_id"], row["profile_id"]) for row in rows]


def test_sizes_of_lists_and_segments_are_the_last_counts_of_days_of_the_account_and_their_changes(
    world: World, tables: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = (tables["list_sizes"], tables["segment_sizes"])
    last: dict[tuple[str, date], Counter[str]] = {}
    for at in LOADS:
        monkeypatch.setattr(clock, "now", lambda at=at: at)
        assert world.run("list_counts", "segment_counts").success
        for noun, collection in (("list", "lists"), ("segment", "segments")):
            found = members(world, noun)
            last[noun, at.astimezone(COPENHAGEN).date()] = Counter(group for group, _profile in found)
            assert world.sandbox.store.remove_member(*found[0], collection)
    assert world.run("lists", "segments", extra_assets=made).success

    days = sorted({day for _noun, day in last})
    assert days == [date(2026, 11, 23), date(2026, 11, 24), date(2026, 11, 28)]
    for noun in ("list", "segment"):
        expected = set()
        for before, day in zip([None, *days], days, strict=False):
            for group in world.ids(f"{noun}s"):
                profiles = last[noun, day][group]
                change = None if before is None else profiles - last[noun, before][group]
                expected.add((day, group, profiles, before, change))
        columns = f"day, {noun}_id, profiles, previous_day, change"
        rows = world.sql(f"SELECT {columns} FROM klaviyo_analytics.{noun}_sizes")
        assert set(rows) == expected
        assert len(rows) == len(expected)
        assert min(row[4] or 0 for row in rows) == -1
        names = {row["name"] for row in world.truth(f"{noun}s")}
        assert {row[1] for row in example(world, f"{noun}_sizes")} == names


def test_suppressions_by_day_equal_the_truth_and_those_who_are_free_count_on_the_day_of_the_full_read(
    world: World, tables: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = (tables["suppression_overview"],)
    profiles = world.sandbox.store.profiles
    freed = [row.id for row in profiles if row.suppressions][:3]
    new = next(row.id for row in profiles if not row.suppressions)
    monkeypatch.setattr(clock, "now", lambda: LOADS[0])
    assert world.run("suppressions", extra_assets=made).success

    def micros(at: datetime) -> int:
        return int(at.timestamp()) * 1_000_000

    began, ended = Counter[Any](), Counter[Any]()
    profiles.put([profiles.rows[new]._replace(suppressions=(Suppression("SPAM_COMPLAINT", micros(LOADS[1])),))])
    for row in profiles:
        for each in row.suppressions:
            kind = ("email", each.list_id or "global", each.reason)
            day = datetime.fromtimestamp(each.timestamp / 1e6, UTC).astimezone(COPENHAGEN).date()
            began[day, *kind] += 1
            ended[LOADS[2].astimezone(COPENHAGEN).date(), *kind] += row.id in freed
    profiles.put([profiles.rows[each]._replace(suppressions=()) for each in freed])
    monkeypatch.setattr(clock, "now", lambda: LOADS[2])
    assert world.run("suppressions", config={"incremental": False, "accept_shrink": True}, extra_assets=made).success

    expected, now = set(), Counter[Any]()
    for key in sorted({*began, *+ended}):
        now[key[1:]] += began[key] - ended[key]
        expected.add((*key, began[key], ended[key], now[key[1:]]))
    columns = "day, channel, scope, reason, newly_suppressed, freed, suppressed"
    rows = world.sql(f"SELECT {columns} FROM klaviyo_analytics.suppression_overview")
    assert set(rows) == expected
    assert len(rows) == len(expected)
    assert sum(row[5] for row in rows) >= len(freed)
    assert {row[:3]: row[3] for row in example(world, "suppression_overview")} == dict(now)
    assert sum(now.values()) == len(world.ids("suppressions"))


def test_suppressions_without_a_time_count_before_all_others(loaded: Loaded) -> None:
    kind = {"channel": "email", "scope": "global", "reason": "UNSUBSCRIBE"}
    times = {"p1": None, "p2": "2026-05-05T12:00:00Z", "p3": "2026-05-05T22:30:00Z"}
    loaded.load(
        "suppressions", *({"id": id_, "profile_id": id_, "suppressed_at": at, **kind} for id_, at in times.items())
    )
    assert loaded.rows("suppression_overview", "suppressed, newly_suppressed, day") == [
        (1, 1, None),
        (2, 1, date(2026, 5, 5)),
        (3, 1, date(2026, 5, 6)),
    ]


def test_counts_that_are_unknown_make_no_row(loaded: Loaded) -> None:
    loaded.load(
        "list_counts",
        {"id": "1", "list_id": "l1", "observed_at": "2026-05-05T10:00:00Z", "profile_count": 4},
        {"id": "2", "list_id": "l1", "observed_at": "2026-05-05T12:00:00Z", "profile_count": None},
        {"id": "3", "list_id": "gone", "observed_at": "2026-05-06T12:00:00Z", "profile_count": None},
    )
    assert loaded.rows("list_sizes") == [(date(2026, 5, 5), "l1", "News", 4, None, None)]
