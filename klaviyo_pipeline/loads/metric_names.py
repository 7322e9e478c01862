"""The names at Klaviyo of metrics and other rows by id, and the landed metrics."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from klaviyo_pipeline.errors import no_secrets
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.extract.extract import extract
from klaviyo_pipeline.klaviyo.extract.model import ExtractRequest
from klaviyo_pipeline.klaviyo.windows import Window
from klaviyo_pipeline.warehouse.errors import DatabaseMissingError, TableMissingError

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
    from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
    from klaviyo_pipeline.warehouse.interface import Warehouse


@no_secrets()
def names_at_klaviyo(
    client: KlaviyoClient, area: StagingArea, now: datetime, source: str = "metrics"
) -> dict[str, str]:
    """The names of a data source's rows by id. One request for each two hundred metrics.

    Raises:
        KlaviyoError: if Klaviyo does not answer.
    """
    staged = extract(client, ExtractRequest(SOURCES[source], Window(None, None, now)), area, anew=True)
    try:
        return {
            id_: name or id_
            for batch in staged.batches()
            for id_, name in zip(batch.column("id").to_pylist(), batch.column("name").to_pylist(), strict=True)
        }
    finally:
        staged.landed()


def landed_metrics(database: Warehouse, schema: str) -> list[str]:
    """The ids of the landed metrics; none without a table.

    Raises:
        WarehouseError: if the database cannot be read.
    """
    from klaviyo_pipeline.warehouse.reading import read_table

    try:
        table = read_table(database, schema, "metrics", columns=["id"])
    except (DatabaseMissingError, TableMissingError):
        return []
    return [str(each) for each in table["id"]]
