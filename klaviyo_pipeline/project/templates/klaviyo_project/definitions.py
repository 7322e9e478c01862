"""What Dagster loads: the Klaviyo account of .env, the transfers, and your own definitions in defs/."""

from pathlib import Path

import dagster as dg

from klaviyo_pipeline.definitions import defs as klaviyo


@dg.definitions
def defs() -> dg.Definitions:
    """All definitions of this project."""
    return dg.Definitions.merge(klaviyo, dg.load_from_defs_folder(path_within_project=Path(__file__).parent))
