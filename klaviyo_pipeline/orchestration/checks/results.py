"""What a check says that could not look."""

from __future__ import annotations

import dagster as dg


def undecided(key: dg.AssetCheckKey, error: Exception) -> dg.AssetCheckResult:
    """A check that could not look is not passed, but the load that it ran along with is no worse for it."""
    return dg.AssetCheckResult(
        passed=False,
        asset_key=key.asset_key,
        check_name=key.name,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Could not be checked: {error}",
    )
