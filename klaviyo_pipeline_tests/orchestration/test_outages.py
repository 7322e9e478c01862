"""An outage that looks like emptiness, and strangers in a table: the run fails, says what it saw, changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from klaviyo_pipeline.klaviyo.client.rate_limits import EndpointLimit
from klaviyo_pipeline_tests.breadth import broad
from klaviyo_pipeline_tests.hostile.scripted import Asked, Document, Klaviyo, Twist, resources, scripted, untwisted
from klaviyo_pipeline_tests.orchestration.conftest import World, failure_text

CREATED = "2026-11-02T00:00:00+00:00"
DAY = "2026-11-02"
IDS = [f"X{number:03}" for number in range(50)]
SECONDS = [f"2026-11-02T00:00:{number:02}+00:00" for number in range(50)]
WHOLE = {"incremental": False}


def members_of(name: str, count: int) -> list[Document]:
    ids = [f"{name}-{number:03}" for number in range(count)]
    return resources("profile", ids, email="a@example.com", joined_group_at=SECONDS[:count])


def collections() -> dict[str, list[Document]]:
    return {
        "/api/accounts": resources("account", ["ACC1"], timezone="UTC", preferred_currency="EUR"),
        "/api/metrics": resources("metric", IDS, name="Opened", created=CREATED, updated=CREATED),
        "/api/templates": resources("template", IDS, name="T", html="<p>", created=SECONDS, updated=SECONDS),
        "/api/lists": resources("list", ["big", "few", "news"], name="N", created=CREATED, updated=CREATED),
        "/api/events": resources("event", IDS, datetime=SECONDS, timestamp=1, event_properties={"a": 1}),
        "/api/lists/big/profiles": members_of("big", 50),
        "/api/lists/news/profiles": members_of("news", 15),
        "/api/lists/few/profiles": members_of("few", 4),
    }


def things() -> dict[str, Document]:
    counts = {"big": 50, "news": 15, "few": 4}
    return {
        f"/api/lists/{name}": {"type": "list", "id": name, "attributes": {"name": "N", "profile_count": count}}
        for name, count in counts.items()
    }


@pytest.fixture(scope="module")
def server() -> Iterator[Klaviyo]:
    with scripted(Klaviyo()) as klaviyo:
        yield klaviyo


@pytest.fixture
def klaviyo(server: Klaviyo, monkeypatch: pytest.MonkeyPatch) -> Klaviyo:
    monkeypatch.setattr(EndpointLimit, "reserve", lambda _self: 0.0)
    server.collections, server.things, server.twist = collections(), things(), untwisted
    server.asked.clear()
    return server


@pytest.fixture
def account(klaviyo: Klaviyo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    for name in (
        "KLAVIYO_API_KEY",
        "KLAVIYO_BASE_URL",
        "KLAVIYO_SCHEMA",
        "KLAVIYO_SHRINK_SHARE",
        "KLAVIYO_SHRINK_ROWS",
    ):
        monkeypatch.delenv(name, raising=False)
    return World(klaviyo, tmp_path / "warehouse.duckdb")  # type: ignore[arg-type]


def empty(path: str, rows: int = 0) -> Twist:
    """From this path come only so many rows, and no next page."""

    def twist(asked: Asked, document: Document) -> Document:
        if asked.path != path:
            return document
        return {"data": document["data"][:rows], "links": {"self": path, "next": None}}

    return twist


def ends_early(path: str, page: int) -> Twist:
    """A page of this path is empty and names no next one."""

    def twist(asked: Asked, document: Document) -> Document:
        ends = asked.path == path and asked.page == page
        return {"data": [], "links": {"self": path, "next": None}} if ends else document

    return twist


def lines(world: World) -> int:
    return int(world.sql("SELECT count(*) FROM klaviyo_pipeline.ledger")[0][0])


def living(world: World, table: str) -> list[str]:
    there = world.column(f"SELECT column_name FROM (DESCRIBE klaviyo.{table})")
    where = "WHERE _deleted_at IS NULL" if "_deleted_at" in there else ""
    return sorted(world.column(f"SELECT id FROM klaviyo.{table} {where}"))


LOADS: dict[str, dict[str, Any]] = {
    "metrics": {},
    "templates": {"config": WHOLE},
    "events": {"days": DAY, "config": {"write_mode": "replace"}},
}


TWISTS: dict[str, Callable[[str], Twist]] = {
    "nothing": empty,
    "one row": lambda path: empty(path, 1),
    "an empty second page": lambda path: ends_early(path, 1),
}


@pytest.mark.parametrize(("name", "mode", "comes"), broad(product(LOADS, ("merge", "replace"), TWISTS)))
def test_outage_that_looks_empty_changes_nothing_until_somebody_consents(
    klaviyo: Klaviyo, account: World, name: str, mode: str, comes: str
) -> None:
    if (name, mode) == ("events", "merge"):
        mode = "replace_on_new_data"
    path = f"/api/{name}"
    load = {**LOADS[name], "config": {**LOADS[name].get("config", {}), "write_mode": mode}}
    assert account.run(name, **load).success
    state, landed = account.state(), lines(account)

    klaviyo.twist = TWISTS[comes](path)
    outcome = account.run(name, **load)

    assert account.state() == state
    if mode == "replace_on_new_data" and comes == "nothing":
        assert outcome.success
        return
    assert "of the 50 rows that are here" in failure_text(outcome)
    assert lines(account) == landed
    klaviyo.twist = untwisted
    assert account.run(name, **load).success, "an outage that has passed is read anew"
    assert living(account, name) == IDS

    klaviyo.twist = TWISTS[comes](path)
    consent = {**load, "config": {**load["config"], "accept_shrink": True}}
    assert account.run(name, **consent).success
    left = living(account, name)
    assert set(left) < set(IDS)
    assert (left == []) is (comes == "nothing")


@pytest.mark.parametrize(("retry", "counts"), [({}, False), ({"dagster/retry_number": "1"}, True)])
def test_consent_of_a_run_that_is_executed_again_counts_for_dagsters_own_retries_only(
    klaviyo: Klaviyo, account: World, retry: dict[str, str], counts: bool
) -> None:
    assert account.run("metrics").success
    consent = {"accept_shrink": True}
    klaviyo.collections["/api/metrics"] = klaviyo.collections["/api/metrics"][:25]
    first = account.run("metrics", config=consent)
    assert first.success
    state = account.state()

    klaviyo.twist = empty("/api/metrics")
    again = account.run("metrics", config=consent, tags={"dagster/parent_run_id": first.run_id, **retry})

    assert again.success is counts
    if not counts:
        assert "of the 25 rows that are here" in failure_text(again)
        assert account.state() == state


def test_page_without_links_in_the_middle_marks_nothing(klaviyo: Klaviyo, account: World) -> None:
    assert account.run("metrics").success
    state = account.state()

    def no_links(asked: Asked, document: Document) -> Document:
        return {"data": document["data"]} if asked.page == 1 else document

    klaviyo.twist = no_links
    outcome = account.run("metrics", klaviyo={"retry_limit": 1})

    assert "no links" in failure_text(outcome)
    assert account.state() == state


# Members of lists


def members(world: World) -> dict[str, int]:
    there = world.column("SELECT column_name FROM (DESCRIBE klaviyo.list_profiles)")
    where = "WHERE _deleted_at IS NULL" if "_deleted_at" in there else ""
    return dict(world.sql(f"SELECT list_id, count(*) FROM klaviyo.list_profiles {where} GROUP BY 1"))


ALL = {"big": 50, "news": 15, "few": 4}
MEMBER_MODES = [{"write_mode": "merge"}, {"write_mode": "replace"}]


@pytest.mark.parametrize("config", MEMBER_MODES)
def test_lists_that_come_back_empty_mark_no_members(klaviyo: Klaviyo, account: World, config: Any) -> None:
    assert account.run("list_profiles", config=config).success
    state = account.state()

    klaviyo.twist = empty("/api/lists")
    outcome = account.run("list_profiles", config=config)

    assert "does not have the list 'big', which exists and has 50 rows here" in failure_text(outcome)
    assert account.state() == state
    assert members(account) == ALL


@pytest.mark.parametrize("config", MEMBER_MODES)
def test_list_that_is_missing_among_the_lists_but_exists_is_a_fault(
    klaviyo: Klaviyo, account: World, config: Any
) -> None:
    assert account.run("list_profiles", config=config).success

    klaviyo.twist = empty("/api/lists", 2)
    outcome = account.run("list_profiles", config=config)

    assert "does not have the list 'news'" in failure_text(outcome)
    assert members(account) == ALL


@pytest.mark.parametrize("config", MEMBER_MODES)
def test_list_that_is_gone_takes_its_members_along_without_consent(
    klaviyo: Klaviyo, account: World, config: Any
) -> None:
    assert account.run("list_profiles", config=config).success

    klaviyo.collections["/api/lists"].pop(0)
    del klaviyo.collections["/api/lists/big/profiles"]
    del klaviyo.things["/api/lists/big"]
    assert account.run("list_profiles", config=config).success

    assert members(account) == {"news": 15, "few": 4}


@pytest.mark.parametrize("config", MEMBER_MODES)
def test_list_whose_members_all_vanish_takes_consent(klaviyo: Klaviyo, account: World, config: Any) -> None:
    klaviyo.rows_a_page = 100
    assert account.run("list_profiles", config=config).success
    klaviyo.twist = empty("/api/lists/news/profiles")

    outcome = account.run("list_profiles", config=config)
    assert "list_id news: 15 of 15" in failure_text(outcome)
    assert members(account) == ALL

    assert account.run("list_profiles", config={**config, "accept_shrink": True}).success
    assert members(account) == {"big": 50, "few": 4}
    klaviyo.rows_a_page = 20


def test_first_read_of_a_list_is_held_against_klaviyos_count(klaviyo: Klaviyo, account: World) -> None:
    klaviyo.twist = empty("/api/lists/big/profiles", 20)

    assert "has 20 rows, but Klaviyo counts 50" in failure_text(account.run("list_profiles"))
    assert not account.path.exists() or account.state() == {}

    klaviyo.twist = untwisted
    assert account.run("list_profiles").success
    assert members(account) == ALL


def test_count_that_is_a_little_higher_or_not_given_is_no_fault(klaviyo: Klaviyo, account: World) -> None:
    klaviyo.things["/api/lists/big"]["attributes"]["profile_count"] = 58
    klaviyo.things["/api/lists/news"]["attributes"]["profile_count"] = None

    assert account.run("list_profiles", klaviyo={"retry_limit": 1}).success
    assert members(account) == ALL


def test_replace_of_named_lists_leaves_the_others(klaviyo: Klaviyo, account: World) -> None:
    assert account.run("list_profiles", config={"write_mode": "replace"}).success
    klaviyo.collections["/api/lists/news/profiles"].pop()

    assert account.run("list_profiles", config={"write_mode": "replace", "list_ids": ["news"]}).success

    assert members(account) == {**ALL, "news": 14}


# Strangers


@pytest.mark.parametrize("mode", ["merge", "replace", "append"])
def test_two_data_sources_do_not_share_a_table(account: World, mode: str) -> None:
    assert account.run("lists").success
    state = account.state()

    outcome = account.run("metrics", config={"table": "lists", "write_mode": mode})

    assert "has rows of the data source lists, so rows of metrics" in failure_text(outcome)
    assert account.state() == state


def test_two_accounts_do_not_share_a_table_and_a_rotated_key_is_no_stranger(klaviyo: Klaviyo, account: World) -> None:
    assert account.run("metrics").success
    assert account.run("metrics", klaviyo={"api_key": "pk_rotated"}).success
    state = account.state()

    klaviyo.collections["/api/accounts"] = resources("account", ["ACC2"], timezone="UTC", preferred_currency="EUR")
    for mode in ("merge", "replace"):
        outcome = account.run("metrics", klaviyo={"api_key": "pk_other"}, config={"write_mode": mode})
        assert "rows of the Klaviyo account ACC1, but this API key belongs to the account ACC2" in failure_text(outcome)
    assert account.state() == state

    assert account.run("metrics").success, "the first key is remembered, and not asked about again"
    assert account.run("metrics", klaviyo={"api_key": "pk_other"}, config={"table": "other"}).success


def test_other_account_with_a_key_that_may_not_say_whose_it_is_meets_the_shrink_rule(
    klaviyo: Klaviyo, account: World
) -> None:
    assert account.run("metrics").success
    klaviyo.twist = lambda asked, document: 403 if asked.path == "/api/accounts" else document
    others = [f"Y{number:03}" for number in range(50)]
    klaviyo.collections["/api/metrics"] = resources("metric", others, name="O", created=CREATED, updated=CREATED)

    outcome = account.run("metrics", klaviyo={"api_key": "pk_other"})

    assert "mark as deleted 50 of the 50 rows" in failure_text(outcome)
    assert living(account, "metrics") == IDS


def test_account_that_could_not_be_asked_for_is_asked_for_again(klaviyo: Klaviyo, account: World) -> None:
    def is_down(asked: Asked, document: Document) -> Document | int:
        return 503 if asked.path == "/api/accounts" else document

    klaviyo.twist = is_down
    assert account.run("metrics", klaviyo={"retry_limit": 1}).success
    klaviyo.twist = untwisted
    assert account.run("metrics").success
    assert account.column("SELECT account FROM klaviyo_pipeline.ledger ORDER BY entry") == [None, "ACC1"]
    state = account.state()

    klaviyo.twist = is_down
    assert account.run("metrics", klaviyo={"retry_limit": 1}).success, "the key is remembered"
    outcome = account.run("metrics", klaviyo={"retry_limit": 1, "api_key": "pk_other"})
    assert "the account: no usable answer" in failure_text(outcome)
    assert account.state() == state


def test_account_is_asked_for_once_for_all_tables(klaviyo: Klaviyo, account: World) -> None:
    for name in ("metrics", "lists", "metrics"):
        assert account.run(name).success

    assert klaviyo.paths().count("/api/accounts") == 1
    assert account.sql("SELECT DISTINCT account FROM klaviyo_pipeline.ledger") == [("ACC1",)]


# Settings


def test_limits_are_read_from_the_environment_and_checked(
    klaviyo: Klaviyo, account: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert account.run("metrics").success
    klaviyo.twist = ends_early("/api/metrics", 1)
    for name, value in (("SHARE", "1.5"), ("SHARE", "nan"), ("SHARE", "much"), ("ROWS", "-1"), ("ROWS", "2.5")):
        with monkeypatch.context() as patch:
            patch.setenv(f"KLAVIYO_SHRINK_{name}", value)
            assert f"KLAVIYO_SHRINK_{name} is '{value}', but must be a" in failure_text(account.run("metrics"))

    monkeypatch.setenv("KLAVIYO_SHRINK_ROWS", "30")
    assert account.run("metrics").success
    assert living(account, "metrics") == IDS[:20]
