"""Suppressions: read by their own time, without reading every profile; a whole pass finds who is free again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from klaviyo_pipeline import clock
from klaviyo_pipeline.sandbox.data.rows import Suppression
from klaviyo_pipeline.sandbox.data.times import parse_time
from klaviyo_pipeline_tests.orchestration.conftest import World, world

__all__ = ["world"]

COLUMNS = "id, profile_id, channel, scope, list_id, reason, suppressed_at"


@pytest.fixture(autouse=True)
def chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_SOURCES", "core, suppressions")


def suppressed(world: World) -> list[str]:
    return world.column("SELECT id FROM klaviyo.suppressions WHERE _deleted_at IS NULL ORDER BY id")


def requests(world: World) -> int:
    (number,) = world.column("SELECT requests FROM klaviyo_pipeline.ledger ORDER BY entry DESC LIMIT 1")
    return int(number)


def suppress(world: World, profile_id: str, *entries: Suppression) -> None:
    profiles = world.sandbox.store.profiles
    profiles.put([profiles.rows[profile_id]._replace(suppressions=entries)])


def an_hour_ago() -> int:
    return parse_time((clock.now() - timedelta(hours=1)).isoformat())


def of_the_sandbox(world: World) -> list[str]:
    return world.ids("suppressions")


def test_suppressions_of_the_account_and_of_lists_are_the_sandboxs_and_a_second_load_changes_none(world: World) -> None:
    assert world.run("suppressions").success
    assert suppressed(world) == of_the_sandbox(world) != []
    scopes = world.sql(f"SELECT {COLUMNS} FROM klaviyo.suppressions")
    lists = set(world.ids("lists"))
    assert {row[3] for row in scopes} - {"global"} <= lists
    assert {(row[2], row[4]) for row in scopes} >= {("email", None)}
    assert {row[3] for row in scopes if row[4]} != set()
    assert all(row[4] == row[3] for row in scopes if row[4])
    assert all(row[6] is not None for row in scopes)
    assert all(each is None for each in world.column("SELECT _extra FROM klaviyo.suppressions"))
    assert set(world.state()) == {"klaviyo.suppressions"}

    before = world.state()
    for config in (None, {"incremental": False}):
        assert world.run("suppressions", config=config).success
        assert world.state() == before


def test_person_suppressed_and_unsuppressed(world: World) -> None:
    free = next(row.id for row in world.sandbox.store.profiles if not row.suppressions)
    updated = world.sandbox.store.profiles.rows[free].updated
    some_list = world.ids("lists")[0]
    assert world.run("suppressions").success
    before = suppressed(world)

    # A suppression does not move `updated`, so only its own time finds it.
    suppress(world, free, Suppression("USER_SUPPRESSED", an_hour_ago()))
    assert world.sandbox.store.profiles.rows[free].updated == updated
    assert world.run("suppressions").success
    of_account = f"{free}:email:global:USER_SUPPRESSED"
    assert set(suppressed(world)) - set(before) == {of_account}
    # A page for the account, one for each list, and one of lists.
    assert requests(world) == 1 + len(world.ids("lists")) + 1

    suppress(world, free, Suppression("UNSUBSCRIBE", an_hour_ago(), some_list))
    assert world.run("suppressions").success
    of_list = f"{free}:email:{some_list}:UNSUBSCRIBE"
    assert set(suppressed(world)) - set(before) == {of_list}, "what the profile does not have any more is gone"

    suppress(world, free)
    assert world.run("suppressions").success
    assert of_list in suppressed(world), "an incremental run does not see who is free again"
    assert world.run("suppressions", config={"incremental": False}).success
    assert suppressed(world) == before
    gone = world.column("SELECT id FROM klaviyo.suppressions WHERE _deleted_at IS NOT NULL ORDER BY id")
    assert gone == sorted([of_account, of_list])

    suppress(world, free, Suppression("USER_SUPPRESSED", an_hour_ago()))
    assert world.run("suppressions").success
    assert of_account in suppressed(world)


def test_profile_that_is_suppressed_for_two_reasons_has_two_rows(world: World) -> None:
    free = next(row.id for row in world.sandbox.store.profiles if not row.suppressions)
    suppress(world, free, *(Suppression(reason, an_hour_ago()) for reason in ("HARD_BOUNCE", "SPAM_COMPLAINT")))
    assert world.run("suppressions").success
    rows: list[Any] = world.column(f"SELECT reason FROM klaviyo.suppressions WHERE profile_id = '{free}' ORDER BY 1")
    assert rows == ["HARD_BOUNCE", "SPAM_COMPLAINT"]


def test_whole_read_asks_for_the_suppressed_only(world: World) -> None:
    assert world.run("suppressions").success
    (fetched,) = world.column("SELECT rows_fetched FROM klaviyo_pipeline.ledger")
    assert fetched == len(of_the_sandbox(world))
    everyone = [row.id for row in world.sandbox.store.profiles]
    for each in everyone:
        suppress(world, each)
    result = world.run("suppressions", config={"incremental": False, "accept_shrink": True})
    assert result.success
    assert suppressed(world) == []
    assert requests(world) == 1 + len(world.ids("lists")) + 1
