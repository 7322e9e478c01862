"""A long load lands in parts: the stage stays below its bound, and a kill costs no more than the part under way."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache, partial
from itertools import product
from typing import Any

import pytest

from klaviyo_pipeline.klaviyo.extract.model import StagedExtract
from klaviyo_pipeline.klaviyo.staging.stage import Stage
from klaviyo_pipeline.sandbox.api.messages import Request
from klaviyo_pipeline.sandbox.data.rows import Shop
from klaviyo_pipeline.sandbox.data.shop import generate_shop
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.faults.plan import Fault, FaultPlan
from klaviyo_pipeline.sandbox.options import SandboxOptions
from klaviyo_pipeline_tests.breadth import broad, few
from klaviyo_pipeline_tests.forking import PROCESSES
from klaviyo_pipeline_tests.truth import killed
from klaviyo_pipeline_tests.truth.conftest import Worlds
from klaviyo_pipeline_tests.truth.world import SHOP_ENDS, World

BOUND = 60_000
"""Bytes; a page of the shop below has about 7,000, and all of its events 500,000."""
PAGE = 20


@cache
def shop() -> Shop:
    return generate_shop(
        SandboxOptions(17, profiles=300, events=1_500, days=12, until=SHOP_ENDS, lists=2, templates=2, campaigns=2)
    )


class SmallPages(FaultPlan):
    """Small pages; counts requests, and kills a client at the so-manieth."""

    def __init__(self) -> None:
        super().__init__(1, [Fault("short-pages", argument=str(PAGE))])
        self.requests = 0
        self.kill: Any = None
        self.kill_at = 0

    def before(self, operation: str, request: Request, store: Store) -> None:
        self.requests += 1
        if self.kill is not None and self.requests == self.kill_at:
            self.kill()
        super().before(operation, request, store)


@contextmanager
def opened(worlds: Worlds, bound: int = BOUND) -> Iterator[tuple[World, SmallPages]]:
    with worlds(3, stage_bytes=bound) as world, pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.sandbox.app, "store", Store(shop()))
        plan = SmallPages()
        world.faults(plan)
        yield world, plan


def start(world: World, plan: SmallPages, name: str, hook: str | None, number: int, **choices: Any) -> None:
    """A load in a process of its own, killed at a hook or, without one, at a request."""
    target = partial(killed.run, stage_bytes=world.stage_bytes, **choices)
    process = PROCESSES.Process(target=target, args=(world.sandbox.url, str(world.folder), (name,), hook, number))
    if hook is None:
        plan.kill, plan.kill_at, plan.requests = process.kill, number, 0
    process.start()
    process.join()
    plan.kill = None
    assert process.exitcode == -signal.SIGKILL, "the load was killed, and did not end before"


def stages(world: World) -> list[str]:
    """The folders of stages that are there."""
    return [path.name for path in world.duckdb.staging_area().root.iterdir() if path.is_dir()]


def parts(world: World) -> list[tuple[Any, ...]]:
    """The ledger's lines: window in seconds, filter, rows, and what the line says of its part; none without a file."""
    if not (world.folder / "warehouse.duckdb").exists():
        return []
    return world.sql(
        "SELECT epoch(window_start), epoch(window_end), filter_field, rows_fetched, "
        "details->'$.part.number', details->'$.part.last' FROM klaviyo_pipeline.ledger ORDER BY entry"
    )


@pytest.mark.parametrize(("name", "mode"), broad(product(("events", "profiles"), ("merge", "append"))))
def test_load_above_the_bound_lands_in_parts_that_meet_and_stages_no_more_than_the_bound(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch, name: str, mode: str
) -> None:
    peak, original = 0, Stage.add_page

    def watched(stage: Stage, *arguments: Any) -> None:
        nonlocal peak
        original(stage, *arguments)
        with suppress(FileNotFoundError):  # a slice was dropped meanwhile
            peak = max(peak, sum(each.stat().st_size for each in stage.folder.glob("*.arrows")))

    monkeypatch.setattr(Stage, "add_page", watched)
    with opened(worlds) as (world, _plan):
        landed = world.load(name, mode=mode)
        assert landed is not None
        lines = parts(world)
        assert len(lines) == landed.parts > 2
        assert peak <= BOUND + 8_000 * world.connections  # a page of the shop is more than a tenth of this bound
        assert world.table(name) == world.truth(name, end=None if mode == "merge" else world.now)
        assert landed.inserted == landed.total_rows == sum(line[3] for line in lines)
        assert lines[0][0] is None
        if name == "events" or mode == "append":
            assert [line[0] for line in lines[1:-1]] == [line[1] for line in lines[:-2]]
        assert [line[4:] for line in lines] == [
            (str(number), "true" if number == len(lines) else "false") for number in range(1, len(lines) + 1)
        ]
        assert world.load(name, mode=mode).inserted == 0  # type: ignore[union-attr]


@pytest.mark.parametrize(("name", "mode"), [("events", "replace"), ("lists", "merge"), ("events", "merge")])
def test_load_that_clears_or_sweeps_or_fits_is_one_transaction(worlds: Worlds, name: str, mode: str) -> None:
    with opened(worlds, 10_000_000 if (name, mode) == ("events", "merge") else 1_000) as (world, _plan):
        world.load(name, mode=mode, whole=True)
        assert [line[4:] for line in parts(world)] == [(None, None)]


MOMENTS: list[tuple[str | None, int]] = [
    *((None, number) for number in (25, 60, 95)),
    *((hook, number) for hook in killed.PARTS for number in (1, 3)),
    *(("a page is staged, its line is not", number) for number in (20, 50)),
    *((hook, 3) for hook in ("the landing begins", "rows are written", "all is done but the commit")),
    *((hook, 2) for hook in ("the commit is done", "staged files are about to go")),
]


@pytest.mark.parametrize(
    ("hook", "number"), few(MOMENTS, 4), ids=[f"{hook or 'request'}-{number}" for hook, number in MOMENTS]
)
def test_killed_load_in_parts_continues_and_has_every_row_once(worlds: Worlds, hook: str | None, number: int) -> None:
    with opened(worlds) as (world, plan):
        world.now = killed.FIRST_NOW
        start(world, plan, "events", hook, number, mode="append", whole=False)
        world.now += timedelta(minutes=1)
        world.load("events", mode="append")
        assert world.table("events") == world.truth("events", end=world.now - timedelta(minutes=1))


def test_append_in_parts_killed_when_all_has_landed_is_not_repeated(worlds: Worlds) -> None:
    original = StagedExtract.landed

    def landed(staged: StagedExtract) -> None:
        """The last part's stage stays, as a kill leaves it."""
        original(staged) if staged.until else staged.keep()

    with opened(worlds) as (world, _plan):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(StagedExtract, "landed", landed)
            assert world.load("events", mode="append", whole=True).parts > 2  # type: ignore[union-attr]
        expected = world.table("events")
        assert len(stages(world)) == 1
        assert world.load("events", mode="append", whole=True) is None
        assert world.table("events") == expected
        assert not stages(world)
        # From now on it is a load of its own.
        assert world.load("events", mode="append", whole=True).inserted == len(expected)  # type: ignore[union-attr]


@pytest.mark.parametrize(("name", "whole"), broad(product(("events", "profiles"), (False, True))))
def test_load_killed_three_times_is_exact_and_asks_for_little_twice(worlds: Worlds, name: str, whole: bool) -> None:
    with opened(worlds) as (world, plan):
        world.load(name, whole=whole)
        undisturbed, expected = plan.requests, world.table(name)
        assert expected == world.truth(name)
    with opened(worlds) as (world, plan):
        asked = 0
        for _kill in range(3):
            start(world, plan, name, None, undisturbed // 4, whole=whole)
            asked += plan.requests
        before, plan.requests = parts(world), 0
        world.load(name, whole=whole)
        assert not stages(world)
        assert world.table(name) == expected
        if name == "profiles":
            return  # Each start looks at all slices once, which is most of the few requests that profiles take.
        assert any(line[5] == "false" for line in before), "parts had landed before the last run"
        # Each kill loses the pages under way, and each start and each part looks at all slices once.
        assert asked + plan.requests <= 1.4 * undisturbed + 3 * world.connections
