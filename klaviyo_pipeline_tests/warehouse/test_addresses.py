"""Destinations with a password or a token in them: refused wherever they are given, and not repeated."""

from __future__ import annotations

import pytest

from klaviyo_pipeline import environment
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.redaction import redact
from klaviyo_pipeline.warehouse.addresses import AddressError, LakeAddress, parse_address

SECRET = "correct-horse-battery"
WITH_SECRET = (
    f"ducklake:postgresql://klaviyo:{SECRET}@db/lake",
    f"ducklake:postgresql://klaviyo@db/lake?password={SECRET}",
    f"ducklake:postgres:dbname=lake password={SECRET}",
    f"ducklake:postgres:dbname=lake sslpassword={SECRET}",
    f"ducklake:postgres:dbname=lake password='{SECRET} x'",
    f"postgresql://klaviyo:{SECRET}@db/lake",
    f"md:shop?motherduck_token={SECRET}",
    f"s3://bucket/lake?s3_secret_access_key={SECRET}",
)


@pytest.mark.parametrize("text", WITH_SECRET)
@pytest.mark.parametrize("variable", [environment.DESTINATION, environment.DATABASE, environment.DATA_PATH])
def test_address_with_a_secret_is_refused_and_not_repeated_in_any_setting(
    text: str, variable: environment.Variable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable.name, text)
    with pytest.raises(ConfigurationError, match=variable.name) as refused:
        _ = variable.value
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("text", WITH_SECRET)
def test_address_with_a_secret_is_refused_and_not_repeated_by_a_command(text: str) -> None:
    with pytest.raises(AddressError) as refused:
        parse_address(text, "--to")
    assert SECRET not in redact(str(refused.value))


def test_address_without_a_password_is_taken() -> None:
    words = "dbname=lake host=db user=klaviyo sslmode=verify-full passfile=/run/secrets/pgpass"
    assert parse_address(f"ducklake:postgres:{words}", "it") == LakeAddress(postgres=words)
