"""All that reads an account is in Dagster's pool of the account's name, so that settings can limit it."""

from dataclasses import replace

import pytest

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.orchestration.account import DEFAULT, Naming
from klaviyo_pipeline.orchestration.assets.build import build_asset, build_assets
from klaviyo_pipeline.orchestration.assets.spec import default_spec
from klaviyo_pipeline.orchestration.partitions import daily_partitions

DAYS = daily_partitions("2026-11-01", "UTC")


@pytest.mark.parametrize(
    ("naming", "pool"), [(DEFAULT, "klaviyo"), (Naming(account="brand_us", key_prefix=("brand_us",)), "brand_us")]
)
def test_assets_of_an_account_when_built_then_are_in_its_pool(naming: Naming, pool: str) -> None:
    assert {each.op.pool for each in build_assets(DAYS, naming)} == {pool}


def test_transfer_of_another_account_when_built_then_is_in_the_pool_of_that_account() -> None:
    spec = replace(default_spec(SOURCES["lists"], DAYS), pool="second_shop")
    assert build_asset(spec).op.pool == "second_shop"
