"""A sensor that notices when Klaviyo has new metrics: somebody connected a shop, or sends a new kind of event."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from klaviyo_pipeline import clock
from klaviyo_pipeline.errors import PipelineError, no_secrets
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.windows import Window
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.warehouse.errors import DatabaseMissingError, TableMissingError, WarehouseError

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient

SENSOR = "new_metrics"
CHECK_EVERY_S = 300
PATIENCE: dict[str, Any] = {"retry_limit": 1, "connect_timeout_s": 30, "read_timeout_s": 30}
"""Dagster allows a sensor a minute, and the next look comes in five."""


@no_secrets()
def metric_names(
    client: KlaviyoClient, duckdb: KlaviyoDuckDBResource, now: datetime, source: str = "metrics"
) -> dict[str, str]:
    """Klaviyo's metrics: their names by id. A request for each two hundred. Or those of another source with names.

    Raises:
        KlaviyoError: if Klaviyo can not be asked.
    """
    from klaviyo_pipeline.klaviyo.extract.extract import ExtractRequest, extract

    staged = extract(client, ExtractRequest(SOURCES[source], Window(None, None, now)), duckdb.staging_area())
    try:
        return {
            id_: name or id_
            for batch in staged.batches()
            for id_, name in zip(batch.column("id").to_pylist(), batch.column("name").to_pylist(), strict=True)
        }
    finally:
        staged.landed()


def landed_metrics(duckdb: KlaviyoDuckDBResource) -> list[str]:
    """The ids of the metrics that have landed; none where there is no table yet.

    Raises:
        WarehouseError: if the database cannot be read.
    """
    from klaviyo_pipeline.warehouse.reading import read_table

    try:
        table = read_table(duckdb.warehouse(), duckdb.schema_or_default, "metrics", columns=["id"])
    except (DatabaseMissingError, TableMissingError):
        return []
    return [str(each) for each in table["id"]]


def new_metrics_sensor(
    job: Any,  # noqa: ANN401 - a type that Dagster does not export
    tags: Callable[[datetime], Mapping[str, str]],
    *,
    running: bool,
) -> dg.SensorDefinition:
    """A sensor that asks for a run of a job when there are metrics that were not there before.

    Args:
        job: The job.
        tags: The run's tags, such as its partitions, by the time of the look.
        running: Whether it is on unless a person says otherwise in Dagster.
    """

    @dg.sensor(
        name=SENSOR,
        job=job,
        minimum_interval_seconds=CHECK_EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
        description="Loads the metrics, and the latest events, when Klaviyo has metrics that it did not have before.",
    )
    def new_metrics(
        context: dg.SensorEvaluationContext, klaviyo: KlaviyoResource, duckdb: KlaviyoDuckDBResource
    ) -> dg.SensorResult | dg.SkipReason:
        now = clock.now()
        try:
            names = metric_names(klaviyo.with_settings(**PATIENCE).client(), duckdb, now)
            known = json.loads(context.cursor) if context.cursor else landed_metrics(duckdb)
        except WarehouseError as error:
            return dg.SkipReason(f"The metrics that have landed could not be read: {error}")
        except PipelineError as error:
            return dg.SkipReason(f"Klaviyo could not be asked: {error}")
        new = sorted(names.keys() - set(known))
        cursor = json.dumps(sorted(names))
        if not new:
            context.update_cursor(cursor)
            return dg.SkipReason(f"No new metrics; Klaviyo has {len(names):,}.")
        context.log.info("New metrics: %s.", ", ".join(f"{names[each]} ({each})" for each in new))
        request = dg.RunRequest(run_key=f"{now.isoformat()}", tags={**tags(now), "klaviyo/new_metrics": f"{len(new)}"})
        return dg.SensorResult(run_requests=[request], cursor=cursor)

    return new_metrics
