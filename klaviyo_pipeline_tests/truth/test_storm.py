"""One answer in ten is faulty, in every way there is: a load ends right, or fails naming the page and lands nothing."""

from __future__ import annotations

import json
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_pipeline.klaviyo.errors import KlaviyoError
from klaviyo_pipeline.sandbox.faults.kinds import KINDS
from klaviyo_pipeline.sandbox.faults.plan import Fault, FaultPlan
from klaviyo_pipeline_tests.breadth import broad
from klaviyo_pipeline_tests.truth.chances import Change, changes, examples, happen, revisions, seeds
from klaviyo_pipeline_tests.truth.conftest import Worlds
from klaviyo_pipeline_tests.truth.world import COLLECTIONS, World

pytestmark = pytest.mark.soak
ALTERING = ("unknown-attributes", "wrong-types", "case-twins")
CHANGING = ("row-changes", "list-deleted")
HARMLESS = tuple(kind for kind in KINDS if kind not in {*ALTERING, *CHANGING, "drop-day", "short-pages"})
SHARE = 0.1
SMALL_PAGES = Fault("short-pages", argument="4")


def storm(seed: int, kinds: tuple[str, ...]) -> FaultPlan:
    """A tenth of all answers is faulty, each kind as often as any other."""
    each = SHARE / len(kinds)
    return FaultPlan(
        seed,
        [SMALL_PAGES, *(Fault(kind, probability=each, argument="0.01" if kind == "hang" else None) for kind in kinds)],
    )


def load(world: World, name: str) -> bool:
    """Load; if that fails, the page is named and nothing is different from before."""
    before, landed = world.table(name), world.ledger()
    failure = None
    try:
        world.load(name, whole=True)
    except KlaviyoError as error:
        failure = str(error)
    if failure is not None:
        assert "/api/" in failure, f"names no page: {failure}"
        assert world.api_key not in failure
        assert (world.table(name), world.ledger()) == (before, landed)
    return failure is None


@pytest.mark.parametrize(("name", "retry_limit"), broad(product(COLLECTIONS, (1, 3))))
def test_storm_ends_with_the_truth_or_names_the_page(worlds: Worlds, name: str, retry_limit: int) -> None:
    @examples(4)
    @given(seeds, revisions, st.integers(0, 10_000), changes("add", "change"))
    def holds(seed: int, revision: str, plan_seed: int, made: list[Change]) -> None:
        with worlds(seed, revision=revision, retry_limit=retry_limit) as world:
            for number in range(2):
                world.faults(storm(plan_seed + number, HARMLESS))
                if load(world, name):
                    assert world.table(name) == world.truth(name)
                    for change in made:
                        happen(world, name, change)
            world.faults()
            world.load(name, whole=True)
            assert world.table(name) == world.truth(name), "after the storm"

    holds()


@pytest.mark.parametrize("name", ["events", "profiles", "lists", "templates", "campaigns"])
def test_changes_between_a_failed_fetch_and_its_resumption_are_there_after_the_next_run(
    worlds: Worlds, name: str
) -> None:
    """A run that takes up a failed one keeps the pages that were read, as they were; the next run corrects them."""

    @examples(5)
    @given(seeds, revisions, st.integers(0, 10_000), changes("add", "change"))
    def holds(seed: int, revision: str, plan_seed: int, made: list[Change]) -> None:
        with worlds(seed, revision=revision, retry_limit=1) as world:
            world.faults(FaultPlan(plan_seed, [SMALL_PAGES, Fault("503", probability=0.4)]))
            load(world, name)
            for change in made:
                happen(world, name, change)
            world.faults()
            world.load(name, whole=True)
            ids = [row[0] for row in world.table(name)]
            assert len(ids) == len(set(ids))
            world.load(name)
            assert world.table(name) == world.truth(name)

    holds()


@pytest.mark.parametrize("name", COLLECTIONS)
def test_altered_values_lose_no_row_and_no_value(worlds: Worlds, name: str) -> None:
    @examples(4)
    @given(seeds, revisions, st.integers(0, 10_000))
    def holds(seed: int, revision: str, plan_seed: int) -> None:
        # Over one connection each row is sent once; slices side by side overlap, and what came last counts.
        with worlds(seed, revision=revision, connections=1) as world:
            plan = FaultPlan(plan_seed, [SMALL_PAGES, *(Fault(kind, probability=0.3) for kind in ALTERING)])
            world.faults(plan)
            world.load(name, whole=True)
            altered = {each.id for each in plan.alterations}
            place = 1 if name == "list_profiles" else 0
            # A value of another type is null in its column; all that came as it should is as it should be.
            kept = [row for row in world.table(name) if row[place] not in altered]
            assert kept == [row for row in world.truth(name) if row[place] not in altered]
            width = 2 if name == "list_profiles" else 1
            truth = [row[:width] for row in world.truth(name)]
            assert sorted(row[:width] for row in world.table(name)) == sorted(truth), "no row is lost or doubled"
            if name == "list_profiles":
                return  # a person is sent once a list, altered in one and not in another
            extras = dict(world.sql(f"SELECT id, _extra FROM {name} WHERE _extra IS NOT NULL"))
            for change in plan.alterations:
                if change.kind == "unknown-attributes":
                    assert "brand_new" in json.loads(extras[change.id])
                if change.kind == "wrong-types" and isinstance(change.sent, int) and isinstance(change.true, str):
                    found = json.loads(extras[change.id])
                    for step in change.path:
                        found = found[step]
                    assert found == change.sent, "a value that does not fit is kept to the letter"

    holds()


@pytest.mark.parametrize("name", ["profiles", "list_profiles", "events"])
def test_storm_over_a_shop_that_changes_is_right_after_the_next_run(worlds: Worlds, name: str) -> None:
    @examples(5)
    @given(seeds, st.integers(0, 10_000))
    def holds(seed: int, plan_seed: int) -> None:
        with worlds(seed) as world:
            world.faults(storm(plan_seed, HARMLESS + CHANGING))
            load(world, name)
            world.faults()
            world.load(name, whole=True)
            assert world.table(name) == world.truth(name)

    holds()
