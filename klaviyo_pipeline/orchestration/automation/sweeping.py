"""The job that marks profiles which Klaviyo no longer has. A schedule runs it each week."""
# No `from __future__ import annotations` here: Dagster reads the op's config class off its signature.

from typing import Any

import dagster as dg
from pydantic import Field

from klaviyo_pipeline import environment
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.orchestration.account import DEFAULT, Naming
from klaviyo_pipeline.orchestration.failures import plain_failures
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.orchestration.run_config import launch_schema

SWEEP_JOB = "klaviyo_sweep"


class SweepConfig(dg.Config):
    """Consent of a person."""

    accept_shrink: bool = Field(
        default=False,
        description="On: the run marks any number of profiles. Off: it fails if far too many are gone, because an "
        "outage can look like that.",
    )


def build_sweep_jobs(naming: Naming = DEFAULT) -> list[Any]:
    """The job; none if profiles are no asset."""
    source = SOURCES["profiles"]
    if source.name not in naming.chosen():
        return []
    name = naming.name_of(SWEEP_JOB)
    text = "Reads the ids of all profiles, and sets _deleted_at of rows that were deleted in Klaviyo, or merged."

    @dg.op(name=f"{name}_profiles", config_schema=launch_schema(SweepConfig), description=text)
    @naming.with_resources
    def sweep_profiles(context: dg.OpExecutionContext, klaviyo: KlaviyoResource, duckdb: KlaviyoDuckDBResource) -> None:
        from klaviyo_pipeline.loads.destination import Destination
        from klaviyo_pipeline.loads.gone_profiles import mark_gone_profiles
        from klaviyo_pipeline.warehouse.sandbox_rows import Origin

        with plain_failures():
            client = klaviyo.client()
            marked = mark_gone_profiles(
                client,
                duckdb.place(Destination(), source.name),
                duckdb.staging_area(),
                run_id=context.run_id,
                origin=Origin(environment.sandbox_end(client.base_url)),
                shrink=None if SweepConfig(**context.op_config).accept_shrink else duckdb.shrink_limits(),
            )
        counts = {"compared": marked.alive, "marked_deleted": marked.deleted, "revived": marked.revived}
        context.log_event(dg.AssetObservation(naming.asset_key(source), metadata=counts))

    @dg.job(name=name, description=text)
    def sweep() -> None:
        sweep_profiles()

    return [sweep]
