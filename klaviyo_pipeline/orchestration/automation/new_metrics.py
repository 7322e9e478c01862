"""A sensor that finds new metrics at Klaviyo: somebody connected a shop, or sends a new kind of event."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from klaviyo_pipeline import clock
from klaviyo_pipeline.errors import PipelineError
from klaviyo_pipeline.orchestration.account import DEFAULT, Naming
from klaviyo_pipeline.orchestration.resources import IMPATIENT, KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.warehouse.errors import WarehouseError

if TYPE_CHECKING:
    pass

SENSOR = "new_metrics"
CHECK_EVERY_S = 300


def new_metrics_sensor(
    job: Any,  # noqa: ANN401 - a type that Dagster does not export
    tags: Callable[[datetime], Mapping[str, str]],
    *,
    running: bool,
    naming: Naming = DEFAULT,
) -> dg.SensorDefinition:
    """A sensor that starts a run of a job when Klaviyo has new metrics.

    Args:
        job: The job.
        tags: Returns the run's tags, such as its partitions, for the time of the tick.
        running: Whether it is on at first. A person can change that in Dagster.
        naming: The account that it asks.
    """

    @dg.sensor(
        name=naming.sensor_name(SENSOR),
        job=job,
        minimum_interval_seconds=CHECK_EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
        description="Loads the metrics and the latest events when Klaviyo has new metrics.",
    )
    @naming.with_resources
    def new_metrics(
        context: dg.SensorEvaluationContext, klaviyo: KlaviyoResource, duckdb: KlaviyoDuckDBResource
    ) -> dg.SensorResult | dg.SkipReason:
        from klaviyo_pipeline.loads.metric_names import names_at_klaviyo

        now = clock.now()
        try:
            names = names_at_klaviyo(klaviyo.with_settings(**IMPATIENT).client(), duckdb.staging_area(), now)
            known = json.loads(context.cursor) if context.cursor else _landed(duckdb)
        except WarehouseError as error:
            return dg.SkipReason(f"The landed metrics could not be read: {error}")
        except PipelineError as error:
            return dg.SkipReason(f"Klaviyo did not answer: {error}")
        new = sorted(names.keys() - set(known))
        cursor = json.dumps(sorted(names))
        if not new:
            context.update_cursor(cursor)
            return dg.SkipReason(f"No new metrics; Klaviyo has {len(names):,}.")
        context.log.info("New metrics: %s.", ", ".join(f"{names[each]} ({each})" for each in new))
        request = dg.RunRequest(run_key=f"{now.isoformat()}", tags={**tags(now), "klaviyo/new_metrics": f"{len(new)}"})
        return dg.SensorResult(run_requests=[request], cursor=cursor)

    return new_metrics


def _landed(duckdb: KlaviyoDuckDBResource) -> list[str]:
    from klaviyo_pipeline.loads.metric_names import landed_metrics

    return landed_metrics(duckdb.warehouse(), duckdb.schema_or_default)
