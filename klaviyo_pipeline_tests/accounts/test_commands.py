"""Commands about accounts, and about one of them."""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import pytest

import klaviyo_pipeline
from klaviyo_pipeline.sandbox.admin import truth
from klaviyo_pipeline_tests.transfers.workplace import Workplace, own_place, place, shop

__all__ = ["own_place", "place", "shop"]


@pytest.fixture
def two(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """A project without a default account, and with two of one shop: one key reads everything, the other lists only."""
    monkeypatch.delenv("KLAVIYO_API_KEY", raising=False)
    monkeypatch.setenv("US_KEY", "pk_sandbox")
    monkeypatch.setenv("UK_KEY", "pk_lists_only")
    # The definitions are read again, as in a new process.
    # Both names of the module: the test that is next finds the same one by either.
    importlib.import_module("klaviyo_pipeline.definitions")
    monkeypatch.delattr(klaviyo_pipeline, "definitions")
    monkeypatch.delitem(sys.modules, "klaviyo_pipeline.definitions")
    for name in ("us", "uk"):
        place.cli(
            *("account", "add", name, "--api-key-env", f"{name.upper()}_KEY", "--base-url", place.sandbox.url),
            *("--source", "lists", "--source", "metrics"),
        )
    return place


def shown(place: Workplace, *arguments: str, exit_code: int = 0) -> Any:
    return json.loads(place.cli(*arguments, "--json", exit_code=exit_code).stdout)


def test_accounts_when_added_then_they_are_listed_and_the_rest_of_the_file_stays(two: Workplace) -> None:
    file = two.root / "klaviyo.yml"
    file.write_text(file.read_text().replace("accounts:", "# Our brands\naccounts:"))
    two.cli("account", "add", "fr", "--api-key-env", "FR_KEY", "--schema", "brand_fr", "--first-day", "2026-09-01")

    found = {each["name"]: each for each in shown(two, "account", "list")}

    assert file.read_text().startswith("# Our brands\n")
    assert list(found) == ["us", "uk", "fr"]
    assert found["us"] | {"database": ""} == {
        "name": "us",
        "variable": "US_KEY",
        "is_set": True,
        "database": "",
        "schema": "us",
        "assets": "us",
        "first_day": "2024-01-01",
        "timezone": "UTC",
        "sources": ["metrics", "lists"],
    }
    assert (found["fr"]["is_set"], found["fr"]["schema"], found["fr"]["first_day"]) == (False, "brand_fr", "2026-09-01")
    assert "| fr " in two.cli("account", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["us", "--api-key-env", "A"], "has an account us already"),
        (["default", "--api-key-env", "A"], "accounts.default is the account of KLAVIYO_API_KEY"),
        (["it", "--api-key-env", "pk_0123456789"], "is not the name of an environment variable"),
        (["it", "--api-key-env", "A", "--timezone", "Mars"], "accounts.it.timezone is 'Mars'"),
        (["it", "--api-key-env", "A", "--source", "lits"], "did you mean lists?"),
    ],
)
def test_account_when_it_cannot_be_added_then_the_message_says_why_and_the_file_stays(
    two: Workplace, arguments: list[str], message: str
) -> None:
    before = (two.root / "klaviyo.yml").read_text()

    said = two.cli("account", "add", *arguments, exit_code=2).stderr

    assert message in said
    assert "pk_0123456789" not in said
    assert (two.root / "klaviyo.yml").read_text() == before


def test_accounts_when_checked_then_each_key_and_each_mistake_has_its_line(
    two: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = two.root / "klaviyo.yml"
    file.write_text(f"{file.read_text()}  it: {{api_key_env: IT, timezone: Mars}}\n  fr: {{api_key_env: FR_KEY}}\n")
    found = {each["name"]: each for each in shown(two, "account", "check", exit_code=1)}

    assert [name for name, each in found.items() if each["ok"]] == ["us"]
    assert found["us"]["readable"] == ["metrics", "lists"]
    assert found["uk"]["problems"] == ["metrics: metrics:read"]
    assert "FR_KEY of account 'fr'" in found["fr"]["problems"][0]
    assert "accounts.it.timezone is 'Mars'" in found["it"]["problems"][0]

    monkeypatch.setenv("UK_KEY", "pk_sandbox")
    assert "us and uk have one key" in two.cli("account", "check", "us").stderr


def test_check_when_accounts_are_in_the_file_then_it_looks_at_them_and_not_at_the_default_one(two: Workplace) -> None:
    file = two.root / "klaviyo.yml"
    file.write_text(f"{file.read_text()}  it: {{api_key_env: IT, timezone: Mars}}\n")

    found = {
        each["what"]: each["ok"] for each in shown(two, "check", exit_code=1) if each["what"].startswith("account ")
    }

    assert found == {"account it": False, "account uk": False, "account us": True}


def test_commands_when_an_account_is_given_then_they_are_about_it(two: Workplace) -> None:
    assert "--account: us, uk" in two.cli("load", "lists", exit_code=2).stderr
    two.cli("load", "lists", "metrics", "--account", "us")

    states = {
        table["asset"]: (table["state"], table["account_name"]) for table in shown(two, "status", exit_code=1)["tables"]
    }
    assert states == {
        "us/metrics": ("ok", "us"),
        "us/lists": ("ok", "us"),
        "uk/metrics": ("never loaded", "uk"),
        "uk/lists": ("never loaded", "uk"),
    }
    assert shown(two, "status", "--account", "us")["ok"]
    two.cli("status", "--account", "fr", exit_code=2)
    two.cli("report", "-o", "report.html")
    page = (two.root / "report.html").read_text()
    for name in ("us", "uk"):
        assert f"{name}: Events per day by metric" in page
    assert two.sql("SELECT count(*) FROM us.lists") == [(len(truth(two.sandbox.store, "lists")),)]
    assert two.cli("reconcile", "--account", "us").stdout.startswith("No day of events has landed yet.")
    assert (
        "are not chosen. Add them to sources"
        in two.cli("load", "events", "flows", "--account", "us", exit_code=2).stderr
    )

    previewed = shown(two, "preview", "lists", "--account", "us", "--rows", "2")
    assert len(previewed["rows"]) == 2
    assert {row["id"] for row in previewed["rows"]} <= {row["id"] for row in truth(two.sandbox.store, "lists")}
    two.cli("load", "lists", "--account", "uk")
    two.cli("rewind", "lists", "--account", "us", "--to", "2026-09-01")
    rewound = two.sql("SELECT table_name FROM klaviyo_pipeline.ledger WHERE kind = 'rewind'")
    assert rewound == [("us.lists",)]
    chosen = {each["source"] for each in shown(two, "sources", "--account", "us") if each["chosen"]}
    assert chosen == {"metrics", "lists"}


def test_load_of_everything_when_there_are_several_accounts_then_the_views_over_all_of_them_are_made(
    two: Workplace,
) -> None:
    file = two.root / "klaviyo.yml"
    file.write_text(file.read_text().replace("metrics", "list_counts"))

    loads = {each["source"]: each for each in shown(two, "load", "--all", "--account", "us")}

    assert list(loads) == ["lists", "list_counts", "us_analytics/list_sizes", "all_accounts/list_sizes"]
    lists = len(truth(two.sandbox.store, "lists"))
    assert loads["all_accounts/list_sizes"]["total"] == lists
    assert two.sql("SELECT account, count(*) FROM all_accounts.list_sizes GROUP BY ALL") == [("us", lists)]
