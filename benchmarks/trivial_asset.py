"""The least that Dagster costs: an asset of the shape of `klaviyo/metrics`, with as many checks, that does nothing."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

KEY = dg.AssetKey(["trivial", "metrics"])
CHECKS = tuple(f"check_{number}" for number in range(8))


@dg.asset(key=KEY)
def trivial_metrics() -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata={"dagster/row_count": 1})


@dg.multi_asset_check(specs=[dg.AssetCheckSpec(name, asset=KEY) for name in CHECKS])
def trivial_checks() -> Iterator[dg.AssetCheckResult]:
    for name in CHECKS:
        yield dg.AssetCheckResult(passed=True, asset_key=KEY, check_name=name)


definitions = dg.Definitions(assets=[trivial_metrics], asset_checks=[trivial_checks], executor=dg.in_process_executor)
