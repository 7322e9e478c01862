"""Privacy rules of the accounts in klaviyo.yml, and erasure over all of them."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from klaviyo_pipeline import KlaviyoComponent
from klaviyo_pipeline.accounts.file import BrokenAccount, read_accounts
from klaviyo_pipeline.accounts.parts import account_parts
from klaviyo_pipeline.cli import main
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.privacy.model import DROP, HASH
from klaviyo_pipeline.library import build_definitions
from klaviyo_pipeline.orchestration.partitions import range_tags
from klaviyo_pipeline.orchestration.resources import KlaviyoResource
from klaviyo_pipeline.people import email, keyed_hash
from klaviyo_pipeline.sandbox.admin import truth
from klaviyo_pipeline.transfers.loading import named_account
from klaviyo_pipeline_tests.privacy.people_in_a_shop import SECRET, Shop, files_with
from klaviyo_pipeline_tests.privacy.planted import OTHER, TRACES, plant

FILE = """\
accounts:
  eu:
    api_key_env: EU_KEY
    database: shop.duckdb
    privacy: pseudonymous
  us:
    api_key_env: US_KEY
    database: us.duckdb
    privacy: {email: hash, profiles.last_name: drop}
  plain:
    api_key_env: US_KEY
    database: shop.duckdb
    privacy: none
  other:
    api_key_env: US_KEY
    database: shop.duckdb
"""


@pytest.fixture
def folder(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(shop.folder)
    for name in ("KLAVIYO_ACCOUNTS", "KLAVIYO_API_KEY", "KLAVIYO_TRANSFERS_DIR", "KLAVIYO_STAGING_DIR", "DAGSTER_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("EU_KEY", "US_KEY"):
        monkeypatch.setenv(name, "pk_sandbox")
    monkeypatch.setenv("KLAVIYO_BASE_URL", shop.sandbox.url)
    monkeypatch.setenv("KLAVIYO_DUCKDB_PATH", "none.duckdb")
    (shop.folder / "klaviyo.yml").write_text(FILE)
    return shop.folder


def test_each_account_has_its_own_rules_or_those_of_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_PRIVACY", "{phone: drop}")
    rules = {name: account_parts(name).klaviyo.client().rules for name in ("eu", "us", "plain", "other")}
    profiles = {name: each.of(SOURCES["profiles"]) for name, each in rules.items()}
    assert profiles["eu"]["first_name"] == DROP
    assert profiles["us"]["email"] == HASH
    assert "first_name" not in profiles["us"]
    assert profiles["plain"] == {}
    assert profiles["other"]["phone_number"] == DROP
    assert json.loads(named_account("us")["privacy"])["email"] == "hash", "also for transfers of the account"


@pytest.mark.parametrize("written", ["[email]", "anonymous", "{profiles.id: drop}", "{profiles.emial: drop}", "5"])
def test_account_with_wrong_rules_is_broken_and_says_where(folder: Path, written: str) -> None:
    (folder / "klaviyo.yml").write_text(f"accounts:\n  eu:\n    api_key_env: EU_KEY\n    privacy: {written}\n")
    (found,) = read_accounts()
    assert isinstance(found, BrokenAccount)
    assert "klaviyo.yml:4" in str(found.error)
    assert "privacy" in str(found.error)
    said = CliRunner().invoke(main, ["erase", "--email", OTHER, "--yes"])
    assert said.exit_code == 2, "nobody knows where the rows of this account are"


def test_erase_reaches_the_databases_of_all_accounts(shop: Shop, folder: Path) -> None:
    id_ = plant(shop)
    shop.load("profiles")
    (folder / "us.duckdb").write_bytes(shop.database.file.read_bytes())
    done = CliRunner().invoke(main, ["erase", "--email", OTHER, "--yes", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["databases"]
    assert {Path(name).name for name in found} == {"shop.duckdb", "us.duckdb"}
    assert {each["profiles"] for each in found.values()} == {1}
    for name in ("shop.duckdb", "us.duckdb"):
        content = (folder / name).read_bytes().lower()
        assert not [trace for trace in (*TRACES, id_.lower()) if trace.encode() in content]


def test_rules_apply_to_rows_that_have_landed_and_a_second_time_change_nothing(
    shop: Shop, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(shop)
    monkeypatch.setenv("KLAVIYO_DUCKDB_PATH", str(shop.database.file))
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_sandbox")
    (folder / "klaviyo.yml").unlink()
    rules = {
        "email": "hash",
        "phone": "drop",
        "name": "redact",
        "profiles.properties": "drop",
        "address": "drop",
        "profiles.subscriptions": {"deny": ["marketing"]},
        "events.event_properties": {"allow": ["$value"]},
    }
    monkeypatch.setenv("KLAVIYO_PRIVACY", json.dumps(rules))
    shop.load("profiles", subscriptions=True)
    shop.load("events", related=True)
    before = shop.sql("SELECT count(*) FROM klaviyo.profiles WHERE email IS NOT NULL")
    assert before != [(0,)]

    changed = json.loads(CliRunner().invoke(main, ["apply-privacy", "--json"]).stdout)

    assert set(changed) >= {"klaviyo.profiles", "klaviyo.events"}
    applied = {table: shop.sql(f"FROM {table} ORDER BY id") for table in ("klaviyo.profiles", "klaviyo.events")}
    assert shop.sql("SELECT count(*) FROM klaviyo.profiles WHERE regexp_full_match(email, '[0-9a-f]{32}')") == before
    assert shop.sql("SELECT DISTINCT event_properties FROM klaviyo.events ORDER BY 1") == [
        ('{"$value":1}',),
        ('{"$value":2}',),
    ]
    assert json.loads(CliRunner().invoke(main, ["apply-privacy", "--json"]).stdout) == {}
    (folder / "shop.duckdb").unlink()
    shop.privacy = rules
    shop.load("profiles", subscriptions=True)
    shop.load("events", related=True)
    columns = "* EXCLUDE (_loaded_at, _run_id)"
    for table, rows in applied.items():
        landed = shop.sql(f"SELECT {columns} FROM {table} ORDER BY id")
        assert [row[: len(landed[0])] for row in rows] == landed, "as if the rules had been there"


def test_definitions_for_a_project_of_others_have_rules_of_their_own(shop: Shop, folder: Path) -> None:
    made = build_definitions(
        account="brand", privacy={"preset": "pseudonymous", "profiles.title": "keep"}, sources=["lists"]
    )
    resource = (made.resources or {})["brand"]
    assert isinstance(resource, KlaviyoResource)
    profiles = resource.rules().of(SOURCES["profiles"])
    assert profiles["first_name"] == DROP
    assert "title" not in profiles
    with pytest.raises(ConfigurationError, match="privacy is wrong: there is no preset 'secret'"):
        build_definitions(account="brand", privacy="secret")


def test_rules_in_the_yaml_of_a_component_reach_the_tables_and_dagsters_records(shop: Shop, folder: Path) -> None:
    def change(kind: str, resource: dict[str, Any]) -> None:
        if kind == "profile":
            resource["attributes"] |= {"last_name": "zqlast", "unheard_of": "zqextra"}

    shop.alter(change)
    text = (
        "account: brand\napi_key_env: EU_KEY\nsources: [profiles]\nfirst_day: '2026-11-01'\n"
        f"database: {shop.database.file}\nprivacy: {{email: hash, profiles.last_name: drop}}"
    )
    made = KlaviyoComponent.resolve_from_yaml(text).build_defs(dg.ComponentTree.for_test().load_context)
    (folder / "home").mkdir()

    with dg.DagsterInstance.local_temp(str(folder / "home")) as instance:
        run = made.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(["brand", "profiles"])],
            tags=range_tags(date(2026, 11, 1), date(2026, 11, 23)),
        )

    assert run.success
    addresses = {row["email"] for row in truth(shop.sandbox.store, "profiles") if row["email"]}
    hashes = {keyed_hash(SECRET.encode(), email(address)) for address in addresses}
    landed = {row[0] for row in shop.sql("SELECT email FROM brand.profiles WHERE email IS NOT NULL")}
    assert landed
    assert landed <= hashes
    assert shop.sql("SELECT count(last_name), count(first_name) > 0 FROM brand.profiles") == [(0, True)]
    assert files_with(shop.folder, *addresses, "zqlast", "zqextra") == []
    texts = "".join(shop.texts())
    assert not [each for each in (*addresses, "zqlast", "zqextra") if each in texts]
