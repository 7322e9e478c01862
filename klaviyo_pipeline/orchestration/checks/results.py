"""Results of checks that could not run."""

from __future__ import annotations

import dagster as dg


def could_not_run(key: dg.AssetCheckKey, error: Exception) -> dg.AssetCheckResult:
    """A check that cannot run reports a warning and does not fail the load."""
    return dg.AssetCheckResult(
        passed=False,
        asset_key=key.asset_key,
        check_name=key.name,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"The check could not run: {error}",
    )
