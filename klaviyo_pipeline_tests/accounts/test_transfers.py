"""Transfers of the accounts of klaviyo.yml."""

from __future__ import annotations

from klaviyo_pipeline.sandbox.admin import truth
from klaviyo_pipeline.transfers.folder import Folder
from klaviyo_pipeline_tests.accounts.test_commands import two
from klaviyo_pipeline_tests.transfers.workplace import Workplace, own_place, place, shop

__all__ = ["own_place", "place", "shop", "two"]


def test_transfers_of_an_account_when_created_in_one_call_then_each_loads_its_table(two: Workplace) -> None:
    two.cli("account", "add", "fr", "--api-key-env", "US_KEY", "--source", "lists", "--source", "list_counts")

    created = two.cli(
        *("transfer", "create", "--account", "fr", "--schema", "copies", "--mode", "replace"),
        *("--cron", "@daily", "-t", "Asia/Tokyo"),
    ).stdout

    assert created.count("Created ") == 2
    made = {file.name: file.transfer for file in Folder().good()}
    assert {name: each.destination.mode for name, each in made.items()} == {
        "fr_lists": "replace",
        "fr_list_counts": "merge",
    }
    assert {(each.authentication, each.schedule and each.schedule.timezone) for each in made.values()} == {
        ("fr", "Asia/Tokyo")
    }
    text = (two.root / "klaviyo.yml").read_text()
    (two.root / "klaviyo.yml").write_text(f"{text}    base_url: {two.sandbox.url}\n")
    two.cli("transfer", "run", "fr_lists")
    rows = len(truth(two.sandbox.store, "lists"))
    assert two.sql("SELECT count(*) FROM copies.lists") == [(rows,)]

    listed = {each["name"]: each for each in two.json("transfer", "list")}
    assert {key: listed["fr_lists"][key] for key in ("account", "schema", "state", "rows")} == {
        "account": "fr",
        "schema": "copies",
        "state": "ok",
        "rows": rows,
    }
    assert listed["fr_lists"]["next_run"]
    assert listed["fr_lists"]["last_load"]
    assert listed["fr_list_counts"]["state"] == "never loaded"
    assert "| fr      | copies | " in two.cli("transfer", "list").stdout


def test_transfers_of_an_account_when_one_cannot_be_created_then_none_is(two: Workplace) -> None:
    (two.root / "transfers").mkdir()
    (two.root / "transfers/us_lists.yml").write_text("source: lists\n")

    said = two.cli("transfer", "create", "--account", "us", "--schema", "copies", exit_code=2).stderr

    assert "us_lists.yml: is there already" in said
    assert [file.name for file in Folder().good()] == ["us_lists"]
    assert "--account needs --schema" in two.cli("transfer", "create", "--account", "us", exit_code=2).stderr
    assert (
        "must be one of"
        in two.cli(*("transfer", "create", "--account", "us", "--schema", "c", "--mode", "mergee"), exit_code=2).stderr
    )


def test_account_when_in_both_files_then_the_error_says_so(two: Workplace) -> None:
    (two.root / "authentications.yml").write_text("us: {api_key: '${US_KEY}'}\nshop: {api_key: '${US_KEY}'}\n")
    said = two.cli("auth", "list", exit_code=2).stderr
    assert "authentications.yml:1:1: us is an account of klaviyo.yml too: keep one of them." in said

    (two.root / "authentications.yml").write_text("shop: {api_key: '${US_KEY}'}\n")
    assert [each["name"] for each in two.json("auth", "list")] == ["default", "us", "uk", "shop"]
