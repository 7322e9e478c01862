"""A wrong key says where it is from, and never what it is."""

from __future__ import annotations

from itertools import product

import pytest

from klaviyo_pipeline_tests.breadth import broad
from klaviyo_pipeline_tests.transfers.workplace import Workplace

WRONG = "pk_wrong_and_not_to_be_shown"
ACCOUNTS = "shop:\n  api_key: ${SHOP_KEY}\n"
ORIGINS = {
    "the environment": ("source: lists", "the environment variable KLAVIYO_API_KEY"),
    "an account": (
        "source: lists\nauthentication: shop",
        "authentication 'shop' in authentications.yml (environment variable SHOP_KEY)",
    ),
    "the transfer's variable": (
        "source: lists\napi_token: ${SHOP_KEY}",
        "transfer file x.yml, key api_token (environment variable SHOP_KEY)",
    ),
    "the transfer's file": (f"source: lists\napi_token: {WRONG}", "transfer file x.yml, key api_token"),
    "a file in Treasure Data's form": (
        f"in:\n  type: klaviyo\n  data_source: lists\n  api_token: {WRONG}\nout:\n  mode: append\n",
        "transfer file x.yml, key in.api_token",
    ),
}


@pytest.mark.parametrize(
    ("origin", "command"), broad(product(sorted(ORIGINS), (("preview", "x"), ("transfer", "run", "x"))))
)
def test_wrong_key_says_where_it_is_from(
    origin: str, command: tuple[str, ...], place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, says = ORIGINS[origin]
    monkeypatch.setenv("KLAVIYO_API_KEY", WRONG)
    monkeypatch.setenv("SHOP_KEY", WRONG)
    monkeypatch.setenv("DAGSTER_HOME", str(place.root / "home"))
    (place.root / "authentications.yml").write_text(ACCOUNTS)
    place.write("x", text)
    result = place.cli(*command, exit_code=1)
    assert f"does not accept the API key from {says} (401" in result.output
    assert WRONG not in result.output


def test_account_that_is_checked_says_where_its_key_is_from(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", WRONG)
    (place.root / "authentications.yml").write_text(ACCOUNTS)
    result = place.cli("auth", "check", "shop", exit_code=1)
    assert "authentication 'shop' in authentications.yml" in result.output


def test_key_where_the_name_of_an_account_belongs_is_not_repeated(place: Workplace) -> None:
    for name, text in {
        "ours": f"source: lists\nauthentication: {WRONG}",
        "theirs": f"in: {{type: klaviyo, data_source: lists, td_authentication_id: {WRONG}}}\nout: {{mode: append}}",
    }.items():
        place.write(name, text)
        for command in (("transfer", "list"), ("transfer", "list", "--json"), ("transfer", "show", name), ("check",)):
            assert WRONG not in place.cli(*command, exit_code=None).output
    assert WRONG not in place.cli("auth", "check", WRONG, exit_code=2).output
