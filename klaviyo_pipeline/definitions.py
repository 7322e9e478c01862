"""What Dagster loads: the assets, their resources, and how they run."""

from __future__ import annotations

import dagster as dg

from klaviyo_pipeline.built_in import built_in_definitions
from klaviyo_pipeline.orchestration import environment
from klaviyo_pipeline.orchestration.names import names_in
from klaviyo_pipeline.orchestration.partitions import daily_partitions
from klaviyo_pipeline.transfers.definitions import transfer_definitions
from klaviyo_pipeline.transfers.folder import Folder

_built_in = built_in_definitions(daily_partitions(environment.PARTITION_START.value, environment.TIMEZONE.value))

defs = dg.Definitions.merge(_built_in, transfer_definitions(Folder(taken=lambda: names_in(_built_in))))
