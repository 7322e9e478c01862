"""How privacy rules are written, and which columns they are about."""

from __future__ import annotations

from typing import Any

import pytest

from klaviyo_pipeline import environment
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.columns import EXTRA, ColumnType
from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.privacy.model import DROP, HASH, KINDS, Action, Rule, is_about_people
from klaviyo_pipeline.klaviyo.privacy.parsing import read_rules, rules_of

SECRET = "a secret of the tests"
PEOPLE = [source for source in SOURCES.values() if is_about_people(source)]


def ruled(text: str, source: str) -> dict[str, Rule]:
    return read_rules(text, "KLAVIYO_PRIVACY", SECRET).of(SOURCES[source])


def test_rule_for_one_column_leaves_the_others_and_drops_what_is_not_known() -> None:
    assert ruled("{profiles.email: drop}", "profiles") == {"email": DROP, EXTRA: DROP}
    assert ruled("{profiles.email: drop, profiles._extra: keep}", "profiles") == {"email": DROP}
    assert ruled("{profiles.email: drop}", "list_profiles") == {}


def test_kind_is_about_that_column_of_every_data_source_about_people_and_of_no_other() -> None:
    rules = "{email: hash, external_id: drop}"
    assert ruled(rules, "events")["profile_email"] == HASH
    assert ruled(rules, "reviews")["email"] == HASH
    assert ruled(rules, "list_profiles")["external_id"] == DROP
    assert ruled(rules, "coupons") == {}


def test_longest_name_wins_then_the_kind_then_the_preset() -> None:
    rules = (
        "{preset: pseudonymous, name: redact, '*.first_name': hash, profiles.first_name: keep, profiles.title: keep}"
    )
    profiles = ruled(rules, "profiles")
    assert "first_name" not in profiles
    assert "title" not in profiles
    assert profiles["last_name"] == Rule(Action.REDACT)
    assert profiles["organization"] == DROP
    assert ruled(rules, "list_profiles")["first_name"] == HASH


def test_keys_of_json_are_allowed_denied_and_hashed() -> None:
    found = ruled("{events.event_properties: {allow: [$value, Items], deny: ['*name'], hash: [Email]}}", "events")
    keys = (("*name", Action.DROP), ("Email", Action.HASH))
    assert found["event_properties"] == Rule(None, ("$value", "Items"), keys)


def test_rule_for_a_child_table_holds_for_the_json_that_its_rows_stand_in() -> None:
    found = ruled("{consents.phone_number: hash, consents.can_receive: drop}", "profiles")["subscriptions"]
    assert dict(found.keys)["phone_number"] is Action.HASH
    assert dict(found.keys)["can_receive_email_marketing"] is Action.DROP


@pytest.mark.parametrize("source", PEOPLE, ids=lambda each: each.name)
def test_preset_keeps_no_text_about_people_but_what_is_listed(source: Source) -> None:
    rules = ruled("pseudonymous", source.name)
    kept = {column.name for column in source.columns} - rules.keys() - set(source.impersonal)
    texts = {each.name for each in source.columns if each.type in (ColumnType.STRING, ColumnType.JSON)} & kept
    allowed = {"location_city", "location_region", "location_country", "location_timezone", "locale", "method"}
    allowed |= {"predictive_analytics", "ranked_channel_affinity"} | {each for each in kept if each.startswith("meta")}
    keys = {"id", *source.primary_key, *(each.name for each in source.columns if each.references)}
    assert texts <= allowed | keys | {"object_type_id", "job_id"}
    assert not {name for names in KINDS.values() for name in names} & texts


def test_preset_leaves_what_is_not_about_people() -> None:
    rules = read_rules("pseudonymous", "KLAVIYO_PRIVACY", SECRET)
    assert {source.name for source in SOURCES.values() if rules.of(source)} <= {each.name for each in PEOPLE}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("anonymous", "there is no preset 'anonymous'; there is pseudonymous"),
        ("{profiles.emial: drop}", r"there is no column 'profiles.emial'; did you mean profiles.email"),
        ("{nothing.email: drop}", "there is no column 'nothing.email'"),
        ("{mail: drop}", "'mail' is neither source.column nor one of email"),
        ("{profiles.id: hash}", "profiles.id cannot be changed: it is the key"),
        ("{'profiles.*': drop}", "profiles.id cannot be changed"),
        ("{profiles.updated: drop}", "profiles.updated cannot be changed: loads go by this time"),
        ("{profiles.location_latitude: hash}", "location_latitude is float: only text can be hashed"),
        ("{profiles.created: redact}", "cannot be changed|only text can be redacted"),
        ("{profiles.properties: hash}", "profiles.properties is json: only text can be hashed"),
        ("{profiles.email: {deny: [a]}}", "profiles.email is string and not json: it has no keys"),
        ("{profiles.properties: {forbid: [a]}}", "must be keep, drop, hash, redact, or for JSON lists of keys"),
        ("{profiles.properties: {deny: a}}", "profiles.properties: deny must be a list of keys"),
        ("{profiles.email: erase}", "the rule of profiles.email must be keep, drop, hash, redact"),
        ("{profiles.subscriptions: drop}", "profiles.subscriptions cannot be changed: the table consents is made"),
        ("[profiles.email]", "write a preset"),
        ("{profiles.email: drop", "is no YAML"),
    ],
)
def test_rule_that_cannot_be_is_refused_and_says_why(written: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^KLAVIYO_PRIVACY.*({said})"):
        read_rules(written, "KLAVIYO_PRIVACY", SECRET)


@pytest.mark.parametrize("written", ["pseudonymous", "{email: hash}", "{profiles.properties: {hash: [email]}}"])
def test_hash_without_a_secret_is_refused(written: str) -> None:
    with pytest.raises(ConfigurationError, match="set KLAVIYO_PRIVACY_SECRET"):
        read_rules(written, "KLAVIYO_PRIVACY")


def test_rules_of_an_account_are_read_by_the_same_grammar() -> None:
    written: Any = {"preset": "pseudonymous", "profiles.title": "keep"}
    assert rules_of(written, "accounts.eu.privacy", SECRET) == read_rules(
        "{preset: pseudonymous, profiles.title: keep}", "KLAVIYO_PRIVACY", SECRET
    )
    assert not rules_of(None, "accounts.eu.privacy")


def test_fingerprint_is_another_one_for_other_rules_and_for_another_secret() -> None:
    texts = ["{email: hash}", "{email: drop}", "pseudonymous"]
    prints = [read_rules(text, "x", secret).fingerprint for text in texts for secret in (SECRET, SECRET + "!")]
    assert len(set(prints)) == len(prints)


def test_secret_is_checked_and_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_PRIVACY", "pseudonymous")
    monkeypatch.setenv("KLAVIYO_PRIVACY_SECRET", "too short")
    with pytest.raises(ConfigurationError, match="at least 16 characters") as refused:
        environment.privacy_rules()
    assert "too short" not in str(refused.value)
    monkeypatch.setenv("KLAVIYO_PRIVACY_SECRET", SECRET)
    assert SECRET not in repr(environment.privacy_rules())
