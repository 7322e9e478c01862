"""klaviyo.yml: what an account has, and how each mistake is told by its line."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from klaviyo_pipeline.accounts.file import Account, BrokenAccount, account_named, read_accounts, read_text
from klaviyo_pipeline.accounts.json_schema import json_schema
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.yaml_files.problems import FileError

WHOLE = """\
accounts:
  us:
    api_key_env: US_KEY
    base_url: https://a.klaviyo.com
    revision: "2026-07-15"
    database: data/brands.duckdb
    schema: brand_us
    key_prefix: shops/us
    group: us
    owners: [team:growth, ops@example.com]
    first_day: 2026-01-01
    timezone: America/New_York
    sources: [default, -events, catalog_*]
    options: {metrics: [Placed Order], leave_out: [profiles.phone_number]}
    write_modes: {campaigns: replace}
    shrink: {share: 0.5, rows: 100}
    schedule: {auto_start: true, timezone: UTC, hourly: "*/30 * * * *", daily: "@daily"}
  uk:
    api_key_env: UK_KEY
"""


def broken(account: str, name: str = "us") -> list[str]:
    """The messages about one account, without the file's name."""
    (found,) = read_text(f"accounts:\n  {name}: {account}", "klaviyo.yml")
    assert isinstance(found, BrokenAccount), found
    return str(found.error).replace("klaviyo.yml:", "").split("\n")


def test_account_when_everything_is_given_then_everything_is_read() -> None:
    us, uk = read_text(WHOLE, "klaviyo.yml")

    assert isinstance(us, Account)
    assert (us.schema, us.settings.first_day, us.settings.shrink.rows) == ("brand_us", "2026-01-01", 100)
    assert us.settings.options.metrics == ["Placed Order"]
    assert (us.settings.schedule.hourly, us.settings.schedule.weekly) == ("*/30 * * * *", "41 5 * * 6")
    assert isinstance(uk, Account)
    assert (uk.schema, uk.settings.sources) == ("uk", [])
    jsonschema.validate(yaml.safe_load(WHOLE.replace("2026-01-01", '"2026-01-01"')), json_schema())


@pytest.mark.parametrize(
    ("account", "message"),
    [
        ("{schema: us}", "2:3: accounts.us.api_key_env is missing."),
        ("{api_key_env: pk_0123456789}", "2:21: accounts.us.api_key_env is not the name of an environment variable."),
        ("{api_key_env: [A]}", "2:21: accounts.us.api_key_env must be a text."),
        ("{api_key_env: a key}", "2:21: accounts.us.api_key_env is not the name of an environment variable."),
        ("{api_key_env: A, api_key: B}", "2:24: accounts.us.api_key is not known; there is api_key_env, base_url"),
        ("{api_key_env: A, schema: a.b}", "2:32: accounts.us.schema is 'a.b', but"),
        ("{api_key_env: A, schema: klaviyo_pipeline}", "2:32: accounts.us.schema is 'klaviyo_pipeline'"),
        ("{api_key_env: A, schema: All_Accounts}", "2:32: accounts.us.schema is that of the views over all accounts"),
        ("{api_key_env: A, key_prefix: all_accounts}", "accounts.us.key_prefix is that of the views over all accounts"),
        ("{api_key_env: A, key_prefix: a//b}", "2:36: accounts.us.key_prefix is 'a//b', but must be parts of letters"),
        ("{api_key_env: A, group: a b}", "2:31: accounts.us.group is 'a b', but must have letters"),
        ("{api_key_env: A, owners: [me]}", "2:32: accounts.us.owners is 'me', but must be owners"),
        ("{api_key_env: A, owners: []}", "2:32: accounts.us.owners is empty: name at least one"),
        ("{api_key_env: A, first_day: yesterday}", "2:35: accounts.us.first_day is 'yesterday', but must be a day"),
        ("{api_key_env: A, timezone: Mars}", "2:34: accounts.us.timezone is 'Mars', but must be an IANA time zone"),
        ("{api_key_env: A, sources: [evnts]}", "2:33: accounts.us.sources is 'evnts', but there is no data source"),
        ("{api_key_env: A, options: {metrics: x}}", "2:43: accounts.us.options.metrics is 'x', but must be a list."),
        ("{api_key_env: A, options: {leave_out: [events.id]}}", "accounts.us.options.leave_out is 'events.id', but"),
        (
            "{api_key_env: A, write_modes: {evnts: merge}}",
            "write_modes.evnts is not a data source; did you mean events?",
        ),
        ("{api_key_env: A, write_modes: {lists: mergee}}", "write_modes.lists is 'mergee', but must be one of append"),
        ("{api_key_env: A, write_modes: {list_counts: replace}}", "would clear what earlier runs have seen"),
        ("{api_key_env: A, shrink: {share: 2}}", "2:40: accounts.us.shrink.share is '2', but must be a number from 0"),
        ("{api_key_env: A, schedule: {hourly: '* *'}}", "2:43: accounts.us.schedule.hourly is '* *', but must be five"),
        ("{api_key_env: A, schedule: {timezone: Mars}}", "2:45: accounts.us.schedule.timezone is 'Mars', but must be"),
        ("{api_key_env: A, schedule: {cron: x}}", "2:35: accounts.us.schedule.cron is not known; there is auto_start"),
        ("{api_key_env: A, base_url: http://example.com}", "2:34: accounts.us.base_url"),
        ("{api_key_env: A, revision: new}", "2:34: accounts.us.revision is 'new', but must be a day"),
        ("yes", "2:7: accounts.us must be a mapping with api_key_env"),
    ],
    ids=lambda value: value if value.startswith("{") else "",
)
def test_mistake_when_in_an_account_then_the_message_has_its_place_and_what_is_allowed(
    account: str, message: str
) -> None:
    found = broken(account)

    assert any(message in each for each in found), found
    assert not any("pk_0123456789" in each for each in found)


@pytest.mark.parametrize(
    "name", ["default", "brand-us", "1st", "in", "us_", "n" * 51, "klaviyo_pipeline", "ALL_accounts"]
)
def test_name_when_no_name_for_an_account_then_it_is_refused(name: str) -> None:
    assert broken("{api_key_env: A}", name)[0].startswith(f"2:3: accounts.{name}")


def test_account_when_wrong_then_the_others_are_read() -> None:
    found = read_text(WHOLE + "  it: {api_key_env: IT, timezone: Mars}\n  fr: {api_key_env: FR}\n", "klaviyo.yml")

    assert [(each.name, isinstance(each, Account)) for each in found] == [
        ("us", True),
        ("uk", True),
        ("it", False),
        ("fr", True),
    ]


@pytest.mark.parametrize(
    ("second", "named"),
    [
        ("US: {api_key_env: A}", "accounts.US is that of the account us"),
        ("b: {api_key_env: A, schema: BRAND_US, database: data/brands.duckdb}", "accounts.b.schema is that of"),
        ("b: {api_key_env: A, schema: brand_us_analytics, database: data/brands.duckdb}", "accounts.b.schema is that"),
        ("b: {api_key_env: A, key_prefix: shops/us}", "accounts.b.key_prefix is that of the account us"),
    ],
)
def test_account_when_it_has_what_another_one_has_then_it_is_refused(second: str, named: str) -> None:
    last = read_text(f"{WHOLE}  {second}\n", "klaviyo.yml")[-1]

    assert isinstance(last, BrokenAccount)
    assert named in str(last.error)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("accounts: [us]", "1:11: accounts must be a mapping of names to accounts."),
        ("us: {api_key_env: A}", "1:1: us is not known; the file has accounts"),
        ("accounts: {", "is not YAML"),
        ("", "the file is empty"),
    ],
)
def test_file_when_it_has_no_accounts_then_the_error_says_so(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "klaviyo.yml"
    file.write_text(text)

    with pytest.raises(FileError, match=message):
        read_accounts(str(file))


def test_account_when_asked_for_by_name_then_it_or_its_error_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "brands.yml"
    monkeypatch.setenv("KLAVIYO_ACCOUNTS", str(file))
    assert read_accounts() == []
    file.write_text(WHOLE + "  it: {api_key_env: IT, timezone: Mars}\n")

    assert account_named("uk").settings.api_key_env == "UK_KEY"
    with pytest.raises(FileError, match=r"brands.yml:20:35: accounts.it.timezone is 'Mars'"):
        account_named("it")
    with pytest.raises(ConfigurationError, match=r"'u', but must be one of default, us, uk, it"):
        account_named("u")
