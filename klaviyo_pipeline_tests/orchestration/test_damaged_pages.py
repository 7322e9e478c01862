"""A run whose fetched pages are damaged before they land fetches them again, once."""

from __future__ import annotations

import pytest

from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.landing import LandingResult, LandRequest, land
from klaviyo_pipeline_tests.orchestration.conftest import World, failure_text


def flip_a_bit(load: LandRequest) -> None:
    path = load.rows[0].path  # type: ignore[index, union-attr]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


@pytest.mark.parametrize("mode", ["merge", "append"])
@pytest.mark.parametrize("times", [1, 2])
def test_run_when_its_pages_are_damaged_then_fetches_again_once_and_then_fails_plainly(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    times: int,
    mode: str,
) -> None:
    begun: list[LandRequest] = []

    def land_after_damage(database: Database, load: LandRequest) -> LandingResult:
        begun.append(load)
        if len(begun) <= times:
            flip_a_bit(load)
        return land(database, load)

    monkeypatch.setattr("klaviyo_pipeline.warehouse.landing.land", land_after_damage)
    result = world.run("lists", config={"write_mode": mode})
    assert len(begun) == 2
    assert result.success == (times == 1)
    if times == 1:
        assert world.column("SELECT id FROM klaviyo.lists ORDER BY id") == world.ids("lists")
    else:
        assert "damaged after they were fetched" in failure_text(result)
    monkeypatch.undo()
    assert world.run("lists").success
    assert world.column("SELECT id FROM klaviyo.lists ORDER BY id") == world.ids("lists")
    leftover = [path.name for path in world.path.parent.glob(".*.staging/**/*.arrows")]
    assert leftover == [], "what was damaged is not kept"
