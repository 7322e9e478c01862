"""Whatever happens to a shop, and whatever goes wrong on the way: a table equals the truth.

No row is lost, doubled or stale, for random shops, changes, windows, page sizes, revisions and faults.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.sandbox.faults.plan import Fault, FaultPlan
from klaviyo_pipeline_tests.breadth import broad
from klaviyo_pipeline_tests.truth.chances import Change, changes, examples, happen, plans, revisions, seeds, windows
from klaviyo_pipeline_tests.truth.conftest import Worlds
from klaviyo_pipeline_tests.truth.world import COLLECTIONS, DAYS, Row, World

pytestmark = pytest.mark.soak
WINDOWED = ("events", "profiles", "list_profiles", "templates", "campaigns")
TIME_AT = {"events": 1, "profiles": 3, "campaigns": 4}
"""Where the rows' partition key stands: a replace of a window clears the window only, without one the table."""


@pytest.mark.parametrize("name", COLLECTIONS)
def test_merge_has_the_truth_after_any_number_of_runs(worlds: Worlds, name: str) -> None:
    source = SOURCES[name]
    whats = ("add", "change", "remove") if source.shows_deletions else ("add", "change")

    @examples(18)
    @given(seeds, revisions, st.lists(st.tuples(plans, changes(*whats)), min_size=1, max_size=2), plans, st.booleans())
    def holds(
        seed: int, revision: str, rounds: list[tuple[FaultPlan, list[Change]]], last: FaultPlan, incremental: bool
    ) -> None:
        with worlds(seed, revision=revision) as world:
            happened = []
            for plan, made in rounds:
                world.faults(plan)
                world.load(name, whole=True)
                for change in made:
                    happen(world, name, change)
                happened += made
            world.faults(last)
            removed = any(change.what == "remove" for change in happened)
            # An incremental run sees no deletions, and no changed profile of a list.
            goes_on = incremental and source.incremental and not removed
            world.load(name, whole=not goes_on)
            assert world.table(name) == world.truth(name)

    holds()


@pytest.mark.parametrize(
    ("name", "mode"), broad(product(WINDOWED, ("replace", "replace_on_new_data", "append", "merge")))
)
def test_windows_leave_what_their_mode_promises(worlds: Worlds, name: str, mode: str) -> None:
    @examples(6)
    @given(seeds, revisions, windows(), windows(), plans, plans, changes("add", "change"))
    def holds(
        seed: int,
        revision: str,
        first: tuple[datetime | None, datetime | None],
        second: tuple[datetime | None, datetime | None],
        plan: FaultPlan,
        other: FaultPlan,
        made: list[Change],
    ) -> None:
        with worlds(seed, revision=revision) as world:
            world.faults(plan)
            expected = world.truth(name, *_read(world, first, mode))
            world.load(name, *first, mode=mode)
            assert _without_repeats(world, name, mode) == expected
            for change in made:
                happen(world, name, change)
            new = world.truth(name, *_read(world, second, mode))
            world.faults(other)
            world.load(name, *second, mode=mode)
            keys = {_key(name, row) for row in new}
            match mode:
                case "append":
                    expected = expected + new
                case "merge":
                    expected = [row for row in expected if _key(name, row) not in keys] + new
                case "replace_on_new_data" if not new:
                    pass
                case _ if name in TIME_AT:
                    others = [row for row in expected if _key(name, row) not in keys]
                    expected = [row for row in others if not _lies_in(_time(name, row), *second)] + new
                case _:
                    expected = new
            assert _without_repeats(world, name, mode) == sorted(expected, key=repr)

    holds()


def _read(
    world: World, window: tuple[datetime | None, datetime | None], mode: str
) -> tuple[datetime | None, datetime | None]:
    """What is read of a window: an append leaves what is dated after now to the run whose window that lies in."""
    return window[0], window[1] or (world.now if mode == "append" else None)


def _lies_in(at: datetime, start: datetime | None, end: datetime | None) -> bool:
    return (start is None or at >= start) and (end is None or at < end)


def _without_repeats(world: World, name: str, mode: str) -> list[Row]:
    """The table; for append, each extract's rows once: a row that Klaviyo sends twice is appended twice."""
    if mode != "append":
        return world.table(name)
    key = ["list_id", "profile_id"] if name == "list_profiles" else ["id"]
    runs = world.sql(f"SELECT {', '.join(key)}, _run_id FROM {name}")
    sent_again = sum(count - 1 for count in Counter(runs).values())
    rows = world.table(name)
    assert len(rows) == len(set(runs)) + sent_again
    again = Counter(_key(name, row) for row in rows)
    for run_key, count in Counter(runs).items():
        again[run_key[:-1]] -= count - 1
    kept = []
    for row in rows:
        if again[_key(name, row)] > 0:
            again[_key(name, row)] -= 1
            kept.append(row)
    return kept


def _key(name: str, row: Row) -> tuple[object, ...]:
    return row[:2] if name == "list_profiles" else row[:1]


@pytest.mark.parametrize(
    ("name", "mode"),
    broad(product(("events", "profiles", "campaigns"), ("merge", "replace", "replace_on_new_data"))),
)
def test_day_partitions_are_replaced_or_merged_and_other_days_stay(worlds: Worlds, name: str, mode: str) -> None:
    @examples(8)
    @given(seeds, revisions, st.integers(0, 6), st.integers(1, 3), plans, plans, changes("add", "change"))
    def holds(
        seed: int, revision: str, day: int, days: int, plan: FaultPlan, other: FaultPlan, made: list[Change]
    ) -> None:
        start = DAYS[day]
        end = start + timedelta(days=days)
        with worlds(seed, revision=revision) as world:
            world.faults(plan)
            world.load(name, whole=True)
            before = world.table(name)
            for change in made:
                happen(world, name, change)
            new = world.truth(name, start, end)
            world.faults(other)
            world.load(name, mode=mode, days=(start, end))
            keys = {row[0] for row in new}
            others = [row for row in before if row[0] not in keys]
            if mode == "replace" or (mode == "replace_on_new_data" and new):
                others = [row for row in others if not start <= _time(name, row) < end]
            expected = others + new if new or mode != "replace_on_new_data" else before
            assert world.table(name) == sorted(expected, key=repr)

    holds()


def _time(name: str, row: Row) -> datetime:
    value = row[TIME_AT[name]]
    return value if isinstance(value, datetime) else datetime.fromtimestamp(value, DAYS[0].tzinfo)


@pytest.mark.parametrize("name", ["events", "profiles", "lists", "list_profiles", "templates", "campaigns"])
def test_what_changes_under_way_is_right_after_the_next_run(worlds: Worlds, name: str) -> None:
    @examples(5)
    @given(seeds, revisions, st.integers(0, 1000), st.integers(1, 3), st.booleans())
    def holds(seed: int, revision: str, plan_seed: int, every: int, list_goes: bool) -> None:
        rules = [Fault("short-pages", argument="3"), Fault("row-changes", every=every)]
        if list_goes:
            rules.append(Fault("list-deleted", probability=0.5, limit=1))
        with worlds(seed, revision=revision) as world:
            world.faults(FaultPlan(plan_seed, rules))
            world.load(name, whole=True)
            ids = [_key(name, row) for row in world.table(name)]
            assert len(ids) == len(set(ids))
            world.faults()
            world.load(name, whole=True)
            assert world.table(name) == world.truth(name)

    holds()


@pytest.mark.parametrize("name", ["event_metrics", "event_profiles"])
def test_what_follows_from_events_has_a_row_for_each_that_has_one(worlds: Worlds, name: str) -> None:
    @examples(8)
    @given(seeds, revisions, plans, plans)
    def holds(seed: int, revision: str, plan: FaultPlan, other: FaultPlan) -> None:
        with worlds(seed, revision=revision) as world:
            world.faults(plan)
            world.load("events", whole=True)
            world.faults(other)
            world.load(name)
            assert world.table(name) == world.truth(name)

    holds()


@pytest.mark.parametrize("name", [*COLLECTIONS, "event_metrics", "event_profiles"])
def test_any_asset_run_twice_leaves_the_same_table_to_the_byte(worlds: Worlds, name: str) -> None:
    @examples(3)
    @given(seeds, revisions, plans, plans)
    def holds(seed: int, revision: str, plan: FaultPlan, other: FaultPlan) -> None:
        with worlds(seed, revision=revision) as world:
            follows = name in ("event_metrics", "event_profiles")
            if follows:
                world.load("events", whole=True)
            hashes = []
            for each in (plan, other):
                world.faults(each)
                world.load(name, whole=not follows)
                hashes.append(world.table_hash(name))
            assert hashes[0] == hashes[1], "_loaded_at and _run_id of unchanged rows stay too"

    holds()


def test_replaced_window_that_is_open_keeps_rows_dated_after_now(worlds: Worlds) -> None:
    """Rows from the run's beginning on were trimmed away: events of the future, and what changed during the run."""
    with worlds() as world:
        world.store.put("events", [{"id": "future01", "datetime": "2026-12-24T18:00:00Z"}])
        world.load("events", DAYS[0], mode="replace")
        assert "future01" in [row[0] for row in world.table("events")]
        assert world.table("events") == world.truth("events", DAYS[0])
