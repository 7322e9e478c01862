"""What hypothesis draws: changes to a shop, windows of time, and plans of faults."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from klaviyo_pipeline.sandbox.faults.plan import Fault, FaultPlan
from klaviyo_pipeline_tests import soaking
from klaviyo_pipeline_tests.truth.world import FIRST_NOW, SHOP_ENDS, World

ERRORS = (
    "429", "500", "502", "503", "504", "520", "521", "522", "523", "524", "html-200", "html-403", "clock-skew",
    "reset", "truncated", "invalid-json",
)  # fmt: skip
PAGING = ("duplicates", "empty-pages", "huge-pages", "content-type")
REVISIONS = ("2025-01-15", "2026-07-15", "2026-10-15", "2024-07-15")
"""The oldest living one, the default, the newest, and a retired one."""


def examples(number: int) -> settings:
    """So many examples, as `soaking.examples` says."""
    return soaking.examples(number, settings.get_profile("truth"))


seeds = st.integers(0, 30)
revisions = st.sampled_from(REVISIONS)
page_rules = st.builds(
    lambda rows, kinds: (
        ((Fault("short-pages", argument=str(rows)),) if rows else ())
        + tuple(Fault(kind, probability=0.5) for kind in sorted(kinds))
    ),
    st.sampled_from((0, 1, 2, 3, 7)),
    st.sets(st.sampled_from(PAGING), max_size=2),
)
# Few enough that no request runs out of its seven retries: what the storm tests are for.
error_rules = st.lists(
    st.builds(
        lambda kind, every, burst: Fault(kind, every=every, burst=burst, limit=3),
        st.sampled_from(ERRORS),
        st.integers(1, 5),
        st.integers(1, 2),
    ),
    max_size=2,
).map(tuple)
cursor_rules = st.sampled_from(((), (), (Fault("bad-cursor", every=2, limit=2),)))
plans = st.builds(
    lambda seed, pages, errors, cursors: FaultPlan(seed, (*errors, *cursors, *pages)),
    st.integers(0, 1000),
    page_rules,
    error_rules,
    cursor_rules,
)


@dataclass(frozen=True)
class Change:
    """Something that happens to a shop: what, to which of its rows, and a number that makes it different."""

    what: str
    which: int
    number: int
    hours: int


def changes(*what: str) -> st.SearchStrategy[list[Change]]:
    """Some changes of these kinds."""
    one = st.builds(Change, st.sampled_from(what), st.integers(0, 40), st.integers(0, 10**6), st.integers(-30, 100))
    return st.lists(one, max_size=5)


@st.composite
def windows(draw: st.DrawFn) -> tuple[datetime | None, datetime | None]:
    """A stretch of the shop's last weeks: any second, now and then a fraction; perhaps open at the end."""
    start = SHOP_ENDS - timedelta(days=40) + draw(st.integers(0, 40 * 86_400)) * timedelta(seconds=1)
    start += draw(st.sampled_from((timedelta(0), timedelta(0), timedelta(microseconds=500_000))))
    length = draw(st.sampled_from((1, 60, 3_600, 86_400, 10 * 86_400, 30 * 86_400)))
    end = draw(st.sampled_from((start + timedelta(seconds=length), None)))
    return start, end if end is None or end <= FIRST_NOW else None


def happen(world: World, name: str, change: Change) -> None:
    """Let a change happen to the rows behind a source."""
    store, now = world.store, world.now.isoformat()
    if name == "list_profiles":
        _change_members(world, change)
        return
    collection = getattr(store, "events" if name in ("event_metrics", "event_profiles") else name)
    ids = sorted(collection.rows)
    row: dict[str, Any] = {}
    if change.what != "add":
        if not ids:
            return
        row["id"] = ids[change.which % len(ids)]
    if change.what == "remove":
        store.delete(name, row["id"])
    elif name == "events":
        if change.what == "add":
            row["datetime"] = (SHOP_ENDS + timedelta(hours=change.hours, seconds=change.number % 3_600)).isoformat()
            row["metric_id"] = _pick(sorted(store.metrics.rows), change.number)
            row["profile_id"] = _pick(sorted(store.profiles.rows), change.number)
        elif store.events.rows[row["id"]].timestamp < (FIRST_NOW - timedelta(days=7)).timestamp():
            return  # older than the lookback: the next incremental run need not see it
        store.put(name, [{**row, "event_properties": {"Number": change.number, "Size": "L", "size": "l"}}])
    elif name == "profiles":
        row |= {"email": f"p{change.number}@example.org"} if change.what == "add" else {}
        row |= {"created": now} if change.what == "add" else {}
        store.put(name, [{**row, "updated": now, "properties": {"Number": change.number}}])
    else:
        suffix = "_at" if name == "campaigns" else ""
        row |= {f"created{suffix}": now} if change.what == "add" else {}
        row |= {"archived": bool(change.number % 2)} if name == "campaigns" else {}
        store.put(name, [{**row, "name": f"Number {change.number}", f"updated{suffix}": now}])


def _change_members(world: World, change: Change) -> None:
    store = world.store
    lists = sorted(store.members)
    if not lists:
        return
    list_id = lists[change.number % len(lists)]
    members = sorted(store.members[list_id].joined)
    if change.what == "add":
        store.add_members(list_id, {str(_pick(sorted(store.profiles.rows), change.which)): world.now.isoformat()})
    elif change.what == "remove" and members:
        store.remove_member(list_id, members[change.which % len(members)])
    elif change.what == "change" and members:
        happen(world, "profiles", change)


def _pick(values: list[str], number: int) -> str | None:
    return values[number % len(values)] if values else None
