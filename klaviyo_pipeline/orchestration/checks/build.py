"""All checks of the assets, and the job that runs them by themselves."""

from __future__ import annotations

from typing import Any

import dagster as dg

from klaviyo_pipeline import environment
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.orchestration.assets.spec import KEY_PREFIX, default_spec
from klaviyo_pipeline.orchestration.checks.load import build_load_checks
from klaviyo_pipeline.orchestration.checks.reconciliation import build_reconciliation_checks
from klaviyo_pipeline.orchestration.checks.references import build_reference_checks

CHECKS_JOB = "klaviyo_checks"


def build_checks(partitions: dg.PartitionsDefinition[str]) -> list[dg.AssetChecksDefinition]:
    """All checks of the assets; days are those of these partitions."""
    specs = [default_spec(SOURCES[name], partitions) for name in environment.sources()]
    return [*map(build_load_checks, specs), *build_reference_checks(specs), *build_reconciliation_checks()]


def build_checks_job() -> Any:  # noqa: ANN401 - a type that Dagster does not export
    """A job that loads nothing and runs every check of the assets, over all rows."""
    keys = [dg.AssetKey([KEY_PREFIX, name]) for name in environment.sources()]
    return dg.define_asset_job(
        CHECKS_JOB,
        selection=dg.AssetSelection.checks_for_assets(*keys),
        description="Runs every check of the assets over all of their rows, and compares with Klaviyo's counts.",
    )
