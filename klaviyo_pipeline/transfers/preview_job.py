"""A preview in Dagster's UI: a job that shows the first rows of a data source, or of a transfer, in its run."""
# No `from __future__ import annotations` here: Dagster reads the op's config class off its signature.

from typing import Any

import dagster as dg
from pydantic import Field

from klaviyo_pipeline.klaviyo.catalogue.revisions import revision_text, who_answers
from klaviyo_pipeline.loads.shown_columns import hidden_note
from klaviyo_pipeline.orchestration.assets.metadata import preview_table
from klaviyo_pipeline.orchestration.failures import plain_failures
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
from klaviyo_pipeline.orchestration.run_config import launch_schema

ROWS = 10


class PreviewConfig(dg.Config):
    """What to preview: a transfer by its name, or a data source with its options."""

    transfer: str = Field(default="", description="Name of a transfer, whose file then sets the rest.")
    source: str = Field(default="lists", description="A data source, for example lists or events.")
    options: dict[str, Any] = Field(default={}, description="Options of the data source, as in a transfer file.")
    authentication: str = Field(default="", description="Name of the account; blank: the default account.")
    revision: str = Field(default="", description="API revision, YYYY-MM-DD; blank: the account's.")
    rows: int = Field(default=ROWS, ge=1, le=100, description="How many rows to show.")


@dg.op(
    config_schema=launch_schema(PreviewConfig),
    description="Reads the first rows, with the types of their table, and shows them in the run. Writes no row.",
)
def show_first_rows(context: dg.OpExecutionContext, klaviyo: KlaviyoResource, duckdb: KlaviyoDuckDBResource) -> None:
    """Show a preview as a table in the run's metadata.

    Raises:
        dagster.Failure: with one sentence that says what is wrong.
    """
    from pathlib import Path

    import yaml

    from klaviyo_pipeline.loads.preview import preview
    from klaviyo_pipeline.orchestration.assets.config import default_request
    from klaviyo_pipeline.transfers.file.reading import read_text
    from klaviyo_pipeline.transfers.folder import Folder
    from klaviyo_pipeline.transfers.loading import spec_of

    config = PreviewConfig(**context.op_config)
    with plain_failures():
        if config.transfer:
            file = Folder().get(config.transfer)
        else:
            given = {name: value for name, value in dict(config).items() if name not in {"transfer", "rows"} and value}
            text = yaml.safe_dump(given, sort_keys=False)
            # Whoever can launch a run must not read variables by way of a file's {{ env.NAME }}.
            file = read_text(text, Path("run config"), variables=False)
        spec = spec_of(file)
        client = spec.account(klaviyo).client()
        place = duckdb.place(spec.destination, spec.key.path[-1])
        found = preview(client, default_request(spec), place.zone, config.rows, place)
    if sentence := who_answers(client.written_revision, found.revision):
        context.log.warning(sentence)
    note = hidden_note(spec.source, [name for name, _kind in found.columns])
    context.add_output_metadata(
        {
            "rows": len(found.rows),
            "revision": revision_text(client.written_revision, found.revision),
            "columns": [f"{name}:{kind}" for name, kind in found.columns],
            **({"preview": preview_table(found.columns, found.rows, spec.source)} if found.rows else {}),
            **({"hidden_columns": note} if note else {}),
        }
    )


@dg.job(
    name="klaviyo_preview",
    description="Shows the first rows of a data source or transfer, which you choose in the Launchpad.",
)
def preview_job() -> None:
    """One op: the preview."""
    show_first_rows()
