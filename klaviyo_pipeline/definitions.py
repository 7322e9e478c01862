"""The definitions that Dagster loads: assets, resources, jobs, schedules and sensors."""

from __future__ import annotations

import dagster as dg

from klaviyo_pipeline import environment
from klaviyo_pipeline.built_in import built_in_definitions
from klaviyo_pipeline.orchestration.names import names_in
from klaviyo_pipeline.orchestration.partitions import daily_partitions
from klaviyo_pipeline.transfers.definitions import transfer_definitions
from klaviyo_pipeline.transfers.folder import Folder


def definitions() -> dg.Definitions:
    """The project's definitions, from the environment and the folder of transfers.

    Raises:
        ConfigurationError: naming each environment variable that is wrong.
    """
    environment.check_all()
    days = daily_partitions(environment.PARTITION_START.value, environment.TIMEZONE.value)
    built_in = built_in_definitions(days)
    return dg.Definitions.merge(built_in, transfer_definitions(Folder(taken=lambda: names_in(built_in))))


# Dagster takes one Definitions of a module, so there is no other one beside it.
defs = definitions()
