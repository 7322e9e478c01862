"""`kill -9` at any moment of a fetch or a landing: started again, the table is that of an undisturbed run."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from klaviyo_pipeline.sandbox.api.messages import Request
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.faults.plan import Fault, FaultPlan
from klaviyo_pipeline_tests.breadth import few
from klaviyo_pipeline_tests.forking import PROCESSES
from klaviyo_pipeline_tests.truth import killed
from klaviyo_pipeline_tests.truth.conftest import Worlds
from klaviyo_pipeline_tests.truth.world import World

NAMES = ("events", "list_profiles", "campaigns")
_CHANCE = Random(20)
MOMENTS: list[tuple[str, int]] = [
    *((f"request {number}", number) for number in sorted(_CHANCE.sample(range(1, 31), 10))),
    *((hook, _CHANCE.choice((1, 2, 3))) for hook in killed.HOOKS if hook not in killed.PARTS),
]


class KillingAt(FaultPlan):
    """Small pages; and at the so-manieth request the client is killed before it has an answer."""

    def __init__(self, number: int) -> None:
        super().__init__(1, [Fault("short-pages", argument="3")])
        self.left = number
        self.kill: Callable[[], None] | None = None

    def before(self, operation: str, request: Request, store: Store) -> None:
        self.left -= 1
        if self.left == 0 and self.kill is not None:
            self.kill()
        super().before(operation, request, store)


def start(world: World, folder: Path, hook: str | None = None, times: int = 1, plan: KillingAt | None = None) -> int:
    """Run the loads in a process, and say how it ended."""
    process = PROCESSES.Process(target=killed.run, args=(world.sandbox.url, str(folder), NAMES, hook, times))
    if plan is not None:
        plan.kill = process.kill
        world.faults(plan)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


@pytest.fixture(scope="module")
def undisturbed(worlds: Worlds) -> dict[str, str]:
    """The tables' hashes after a run that nobody disturbs, but for when and by which run rows were loaded."""
    with worlds(3) as world:
        for name in NAMES:
            world.load(name, whole=True)
        return {name: world.table_hash(name, system_columns=False) for name in NAMES}


@pytest.mark.parametrize(
    ("moment", "number"), few(MOMENTS, 4), ids=[f"{moment}-{number}" for moment, number in MOMENTS]
)
def test_killed_load_started_again_has_the_undisturbed_table(
    worlds: Worlds, undisturbed: dict[str, str], moment: str, number: int
) -> None:
    with worlds(3) as world:
        folder = world.folder / "killed"
        folder.mkdir()
        if moment.startswith("request"):
            ended = start(world, folder, plan=KillingAt(number))
        else:
            world.faults(KillingAt(0))
            ended = start(world, folder, moment, number)
        assert ended == -signal.SIGKILL, "the load was killed, and did not end before"

        again = World(world.sandbox, folder)
        for name in NAMES:
            again.load(name, whole=True)

        assert {name: again.table_hash(name, system_columns=False) for name in NAMES} == undisturbed
        for name in NAMES:
            assert again.table(name) == again.truth(name)


def test_killed_load_of_before_is_landed_whole_or_not_at_all(worlds: Worlds) -> None:
    """Killed just before the commit, there is no row; just after it, all are."""
    for hook, landed in (("all is done but the commit", False), ("the commit is done", True)):
        with worlds(3) as world:
            assert start(world, world.folder, hook) == -signal.SIGKILL
            assert world.table("events") == (world.truth("events") if landed else [])
            assert len(world.ledger()) == int(landed)
