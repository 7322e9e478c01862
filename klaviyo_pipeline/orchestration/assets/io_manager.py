"""The IO manager: lands what an asset hands over in one transaction, and gives downstream assets a DataFrame."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import dagster as dg
from pydantic import Field

from klaviyo_pipeline.loads.destination import Destination
from klaviyo_pipeline.loads.request import Range
from klaviyo_pipeline.loads.shown_columns import hidden_note
from klaviyo_pipeline.orchestration.assets import metadata as load_metadata
from klaviyo_pipeline.orchestration.assets.partition_metadata import add_metadata, partition_ranges
from klaviyo_pipeline.orchestration.assets.plots import chart_of_load, plotted
from klaviyo_pipeline.orchestration.assets.with_children import TableOfLoad
from klaviyo_pipeline.orchestration.failures import plain_failures
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
from klaviyo_pipeline.orchestration.run_config import SetInCode
from klaviyo_pipeline.warehouse.tables import Table
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from klaviyo_pipeline.klaviyo.extract.model import StagedExtract
    from klaviyo_pipeline.loads.model import StagedLoad
    from klaviyo_pipeline.warehouse.landing import LandingResult
    from klaviyo_pipeline.warehouse.reading import Selection


class KlaviyoDuckDBIOManager(SetInCode, dg.ConfigurableIOManager):
    """Writes assets to DuckDB tables.

    Takes a staged extract, a pandas DataFrame or a pyarrow Table; an asset that returns None is left alone. A
    table's place comes from the run's config, else from the asset's metadata (``schema``, ``table``,
    ``write_mode``, ``partition_expr`` or ``partition_key``, ``primary_key``, ``database``), else from the asset key and
    the configuration here. Each output is one transaction: rows by their write mode, and a line in the ledger. A long
    load is one for each of its parts; the log, the metadata and the counts of partitions are of all parts together.
    """

    at_launch: ClassVar[frozenset[str]] = frozenset({"write_mode"})

    duckdb: KlaviyoDuckDBResource
    write_mode: str = Field(
        default="merge", description="Default write mode: append, replace, replace_on_new_data or merge."
    )

    def handle_output(
        self, context: dg.OutputContext, obj: StagedLoad | TableOfLoad | pd.DataFrame | pa.Table | None
    ) -> None:
        """Land an asset's rows.

        Raises:
            dagster.Failure: with one sentence that says why they could not be landed; the table, its rows and the
                ledger are as they were, or as the last part left them that landed.
        """
        if obj is None:
            return
        from klaviyo_pipeline.loads import load as loading
        from klaviyo_pipeline.loads.model import StagedLoad

        with plain_failures():
            if isinstance(obj, TableOfLoad):
                self._land_table_of_load(context, obj)
            elif isinstance(obj, StagedLoad):
                loading.land(obj, log=context.log, report=partial(_report, context, obj))
            else:
                self._land_rows(context, obj)

    def load_input(self, context: dg.InputContext) -> pd.DataFrame | Selection:
        """A table's rows, those of the run's partitions for a partitioned asset; only the columns asked for.

        An input's metadata may name the ``columns``. With ``selected`` among them the input is not the rows but a
        `Selection`, which says where they are.
        """
        from klaviyo_pipeline.warehouse.reading import Selection, read_table

        upstream = context.upstream_output
        place = self._place(context.asset_key, upstream.definition_metadata if upstream else {})
        ranges = None
        if context.has_asset_partitions and place.partition_key:
            window = context.asset_partitions_time_window
            ranges = [(_utc(window.start), _utc(window.end))]
        asked = context.definition_metadata or {}
        about = {"columns": asked.get("columns"), "partition_key": place.partition_key if ranges else None}
        with plain_failures():
            database = self.duckdb.at(place.database).warehouse()
            read = Selection if asked.get("selected") else read_table
            return read(database, place.schema or "", place.table or "", **about, ranges=ranges)

    def _land_table_of_load(self, context: dg.OutputContext, table: TableOfLoad) -> None:
        from klaviyo_pipeline.loads.load import land

        ready = table.ready
        about_load = table.source == ready.load.request.source.name
        if not ready.landed:
            land(ready, log=context.log, **({"report": partial(_report, context, ready)} if about_load else {}))
        if not about_load:
            landed = ready.landed[table.source]
            context.log.info(
                f"{landed.table_path}: {landed.inserted:,} inserted, {landed.updated:,} updated, "
                f"{landed.unchanged:,} unchanged, {landed.deleted:,} deleted; the table has {landed.total_rows:,}."
            )
            add_metadata(context, load_metadata.child_metadata(landed), landed.by_range)

    def _land_rows(self, context: dg.OutputContext, rows: pd.DataFrame | pa.Table) -> None:
        from klaviyo_pipeline.warehouse.landing import LandRequest, land

        given = context.definition_metadata
        place = self._place(context.asset_key, given)
        primary_key = given.get("primary_key", ())
        if isinstance(primary_key, str):
            primary_key = (primary_key,)
        load = LandRequest(
            table=Table(place.schema or "", place.table or "", (), tuple(primary_key)),
            rows=rows,
            mode=place.write_mode or (WriteMode(self.write_mode) if primary_key else WriteMode.REPLACE),
            source=context.asset_key.to_user_string(),
            run_id=context.run_id,
            extract_id=uuid.uuid4().hex,
            partition_key=place.partition_key,
            partitions=_partitions(context) if place.partition_key else (),
            count_ranges=_partition_ranges(context),
        )
        landed = land(self.duckdb.at(place.database).warehouse(), load)
        about = {"dagster/row_count": landed.total_rows, "dagster/table_name": landed.table_path}
        add_metadata(context, {**about, **load_metadata.row_counts(landed)}, landed.by_range)

    def _place(self, key: dg.AssetKey, given: Any) -> Destination:  # noqa: ANN401
        """Where an asset's table is: as its metadata say, else by its key and our configuration."""
        mode = given.get("write_mode")
        return Destination(
            schema=given.get("schema") or self.duckdb.schema_or_default,
            table=given.get("table") or key.path[-1],
            write_mode=WriteMode(mode) if mode else None,
            partition_key=given.get("partition_key") or given.get("partition_expr"),
            database=given.get("database"),
        )


def _report(context: dg.OutputContext, ready: StagedLoad, staged: StagedExtract, landed: LandingResult) -> None:
    """Log and metadata of a load that is committed. The stage is still there."""
    from klaviyo_pipeline.loads.load import only_reports

    place = ready.load.place
    in_parts = f"{landed.parts} parts, " if landed.parts > 1 else ""
    context.log.info(
        f"{landed.table_path}: {landed.rows_fetched:,} rows fetched, {landed.rows_outside_window:,} of them "
        f"outside the window and {landed.rows_repeated:,} repeated; {landed.inserted:,} inserted, "
        f"{landed.updated:,} updated, {landed.unchanged:,} unchanged, {landed.deleted:,} deleted; the table has "
        f"{landed.total_rows:,} ({in_parts}{staged.duration_s:.1f} s to fetch, {landed.duration_s:.1f} s to land)."
    )
    # The chart comes first on the asset's page. A child table that is loaded by itself has none: the request reads its
    # parent.
    if landed.rows_fetched and not landed.skipped and staged.source.name == ready.load.request.source.name:
        pictures = plotted(
            lambda: chart_of_load(place.database, staged.request, place.schema, place.table, place.zone, ready.names),
            context.log.warning,
        )
        add_metadata(context, pictures)
    add_metadata(context, load_metadata.load_metadata(staged, landed, str(place.zone)), landed.by_range)
    rows = None
    with only_reports(context.log):
        rows = load_metadata.preview(staged.batches(), staged.source)
    shown: dict[str, Any] = {"first_rows": rows} if rows else {}
    if rows and (note := hidden_note(staged.source, staged.schema.names)):
        shown["hidden_columns"] = note
    add_metadata(context, shown)


def _partition_ranges(context: dg.OutputContext) -> tuple[Range, ...]:
    if not context.has_asset_partitions:
        return ()
    return partition_ranges(context.asset_partitions_def, context.asset_partition_keys)


def _partitions(context: dg.OutputContext) -> tuple[Range, ...]:
    """The run's partitions as one stretch of time, in UTC; none for an unpartitioned asset."""
    if not context.has_asset_partitions:
        return ()
    window = context.asset_partitions_time_window
    return ((_utc(window.start), _utc(window.end)),)


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC)
