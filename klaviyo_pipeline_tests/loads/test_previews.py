"""Every data source has a preview: its first rows, typed as they would land."""

from __future__ import annotations

from datetime import UTC

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.catalogue.revisions import DEFAULT_REVISION
from klaviyo_pipeline.loads.preview import preview
from klaviyo_pipeline.loads.request import LoadRequest
from klaviyo_pipeline.orchestration.resources import KlaviyoResource
from klaviyo_pipeline_tests.cases import case
from klaviyo_pipeline_tests.orchestration.conftest import World, world

__all__ = ["world"]


def test_preview_of_every_collection_has_rows(world: World) -> None:
    for name, source in SOURCES.items():
        if source.report is not None or (source.fan_out is not None and source.fan_out.batch is not None):
            continue  # a report spends its quota, and what follows from events needs them
        account = KlaviyoResource(
            base_url=world.sandbox.url, api_key="pk_sandbox", revision=max(source.since, DEFAULT_REVISION)
        )
        with case(name):
            found = preview(account.client(), LoadRequest(source=source, options=source.choose()), UTC, rows=3)
            assert found.columns[0][0] == "id"
            assert found.rows
            assert all(row["id"] for row in found.rows)
