"""The IO manager: lands what an asset hands over in one transaction, and gives downstream assets a DataFrame."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import dagster as dg
from pydantic import Field

from klaviyo_pipeline.loads.request import Destination, Fetched, Range, replaced_ranges
from klaviyo_pipeline.loads.shown_columns import hidden_note
from klaviyo_pipeline.loads.table import not_answered, table_of
from klaviyo_pipeline.orchestration.assets import metadata as load_metadata
from klaviyo_pipeline.orchestration.assets.plots import chart_of_load, plotted
from klaviyo_pipeline.orchestration.failures import plain_failures
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
from klaviyo_pipeline.orchestration.run_config import SetInCode
from klaviyo_pipeline.warehouse.errors import ShrinkError, StageDamagedError, without_values
from klaviyo_pipeline.warehouse.tables import Table
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from klaviyo_pipeline.klaviyo.extract.extract import ExtractRequest, StagedExtract
    from klaviyo_pipeline.warehouse.landing import LandingResult


class KlaviyoDuckDBIOManager(SetInCode, dg.ConfigurableIOManager):
    """Writes assets to DuckDB tables.

    Takes a staged extract, a pandas DataFrame or a pyarrow Table; an asset that returns None is left alone. A
    table's place comes from the run's config, else from the asset's metadata (``schema``, ``table``,
    ``write_mode``, ``partition_expr`` or ``partition_key``, ``primary_key``, ``database``), else from the asset key and
    the configuration here. Each output is one transaction: rows by their write mode, and a line in the ledger.
    """

    at_launch: ClassVar[frozenset[str]] = frozenset({"write_mode"})

    duckdb: KlaviyoDuckDBResource
    write_mode: str = Field(
        default="merge", description="append, replace, replace_on_new_data or merge, where nothing else is said."
    )

    def handle_output(self, context: dg.OutputContext, obj: Fetched | pd.DataFrame | pa.Table | None) -> None:
        """Land an asset's rows.

        Raises:
            dagster.Failure: with one sentence that says why they could not be landed; the table, its rows and the
                ledger are as they were.
        """
        if obj is None:
            return
        with plain_failures():
            if isinstance(obj, Fetched):
                try:
                    self._land_or_fetch_again(context, obj)
                finally:
                    obj.release()
            else:
                self._land_rows(context, obj)

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        """A table's rows, those of the run's partitions for a partitioned asset; only the columns asked for.

        An input's metadata may name the ``columns``.
        """
        from klaviyo_pipeline.warehouse.reading import read_table

        upstream = context.upstream_output
        place = self._place(context.asset_key, upstream.definition_metadata if upstream else {})
        ranges = None
        if context.has_asset_partitions and place.partition_key:
            window = context.asset_partitions_time_window
            ranges = [(_utc(window.start), _utc(window.end))]
        with plain_failures():
            return read_table(
                self.duckdb.at(place.database).warehouse(),
                place.schema or "",
                place.table or "",
                columns=(context.definition_metadata or {}).get("columns"),
                partition_key=place.partition_key if ranges else None,
                ranges=ranges,
            )

    def _land_or_fetch_again(self, context: dg.OutputContext, fetched: Fetched) -> None:
        """Land an extract. One that was damaged on disk is fetched again, once."""
        try:
            self._land_extract(context, fetched)
        except StageDamagedError as error:
            if fetched.fetch_again is None:
                raise
            context.log.warning(f"{error} Nothing has landed; the rows are fetched again.")
            self._land_extract(context, replace(fetched, staged=fetched.fetch_again(), fetch_again=None))

    def _land_extract(self, context: dg.OutputContext, fetched: Fetched) -> None:
        from klaviyo_pipeline.warehouse.landing import Load, Sweep, TimeRange, land

        staged, request = fetched.staged, fetched.staged.request
        source, window, time_field = request.source, request.window, request.time_field
        place = self._place(context.asset_key, context.definition_metadata, fetched.destination)
        duckdb = self.duckdb.at(place.database, place.timezone)
        mode = place.write_mode or WriteMode(self.write_mode)
        replaces = mode in {WriteMode.REPLACE, WriteMode.REPLACE_ON_NEW_DATA}
        some = None
        if source.fan_out is not None and request.ids is not None:
            some = Sweep(source.fan_out.id_column, request.ids)
        sweep = None
        if source.shows_deletions and request.is_whole and mode is WriteMode.MERGE:
            sweep = some or Sweep()
        elif replaces and not fetched.moves_watermark:
            sweep = some  # A run of other parents than the load's own clears only theirs.
        load = Load(
            table=table_of(source, place.schema or "", place.table, request.options),
            rows=staged.files,
            mode=mode,
            source=fetched.ledger_name,
            run_id=context.run_id,
            extract_id=staged.extract_id,
            trim=TimeRange(time_field.name, window.start, window.end) if time_field and not request.is_whole else None,
            partition_key=place.partition_key,
            partitions=_partitions_of(context, request, place, replaces=replaces),
            version_column=source.version_column,
            sweep=sweep,
            unknown=not_answered(request.columns, staged.revision),
            # Rows of some parents only say nothing about how far the source has been read.
            window=(window.start, staged.watermark) if fetched.moves_watermark else None,
            filter_field=time_field.name if time_field and not request.is_whole else None,
            revision=staged.revision,
            requests=staged.traffic.requests,
            duration_s=staged.duration_s,
            origin=fetched.origin,
            owner=fetched.owner,
            shrink=fetched.shrink,
            details=load_metadata.details(
                {
                    "asset": context.asset_key.to_user_string(),
                    "options": sorted(request.options),
                    "ids": request.ids,
                    "whole": request.is_whole,
                    "retries": staged.traffic.retries,
                    "unknown_attributes": staged.findings.unknown,
                    "type_misfits": staged.findings.misfits,
                }
            ),
        )
        try:
            landed = land(duckdb.warehouse(), load)
        except (ShrinkError, StageDamagedError):
            staged.drop()
            raise
        except BaseException:
            staged.keep()
            raise
        with _only_reports(context):
            self._report(context, staged, landed, duckdb, place)
        with _only_reports(context):
            staged.landed()

    def _report(
        self,
        context: dg.OutputContext,
        staged: StagedExtract,
        landed: LandingResult,
        duckdb: KlaviyoDuckDBResource,
        place: Destination,
    ) -> None:
        """Log and metadata of a load that is committed. The stage is still there."""
        request = staged.request
        context.log.info(
            f"{landed.table_path}: {landed.rows_fetched:,} rows fetched, {landed.rows_outside_window:,} of them "
            f"outside the window and {landed.rows_repeated:,} repeated; {landed.inserted:,} inserted, "
            f"{landed.updated:,} updated, {landed.unchanged:,} unchanged, {landed.deleted:,} deleted; the table has "
            f"{landed.total_rows:,} ({staged.duration_s:.1f} s to fetch, {landed.duration_s:.1f} s to land)."
        )
        with _only_reports(context):
            context.add_output_metadata(load_metadata.load_metadata(staged, landed, str(duckdb.zone)))
        rows = None
        with _only_reports(context):
            rows = load_metadata.preview(staged.batches(), staged.source)
        pictures: dict[str, Any] = {"first_rows": rows} if rows else {}
        if rows and (note := hidden_note(staged.source, staged.schema.names)):
            pictures["hidden_columns"] = note
        if staged.rows and not landed.skipped:
            pictures |= plotted(
                lambda: chart_of_load(duckdb.warehouse(), request, place.schema or "", place.table or "", duckdb.zone),
                context.log.warning,
            )
        _show_once(context, pictures)

    def _land_rows(self, context: dg.OutputContext, rows: pd.DataFrame | pa.Table) -> None:
        from klaviyo_pipeline.warehouse.landing import Load, land

        given = context.definition_metadata
        place = self._place(context.asset_key, given)
        primary_key = given.get("primary_key", ())
        if isinstance(primary_key, str):
            primary_key = (primary_key,)
        load = Load(
            table=Table(place.schema or "", place.table or "", (), tuple(primary_key)),
            rows=rows,
            mode=place.write_mode or (WriteMode(self.write_mode) if primary_key else WriteMode.REPLACE),
            source=context.asset_key.to_user_string(),
            run_id=context.run_id,
            extract_id=uuid.uuid4().hex,
            partition_key=place.partition_key,
            partitions=_partitions(context) if place.partition_key else (),
        )
        landed = land(self.duckdb.at(place.database).warehouse(), load)
        context.add_output_metadata(
            {
                "dagster/row_count": landed.total_rows,
                "dagster/table_name": landed.table_path,
                "rows_inserted": landed.inserted,
                "rows_updated": landed.updated,
                "rows_unchanged": landed.unchanged,
                "rows_deleted": landed.deleted,
            }
        )

    def _place(self, key: dg.AssetKey, given: Any, wanted: Destination | None = None) -> Destination:  # noqa: ANN401
        """Where an asset's table is: the run's wish, else the asset's metadata, else its key and our configuration."""
        wanted = wanted or Destination()
        mode = wanted.write_mode or given.get("write_mode")
        return Destination(
            schema=wanted.schema or given.get("schema") or self.duckdb.schema_or_default,
            table=wanted.table or given.get("table") or key.path[-1],
            write_mode=WriteMode(mode) if mode else None,
            partition_key=wanted.partition_key or given.get("partition_key") or given.get("partition_expr"),
            database=wanted.database or given.get("database"),
            timezone=wanted.timezone,
        )


def _show_once(context: dg.OutputContext, metadata: dict[str, Any]) -> None:
    """Adds metadata to the latest of the run's partitions only: Dagster keeps a copy with each of them."""
    if not metadata:
        return
    keys = context.asset_partition_keys if context.has_asset_partitions else []
    try:
        step = context.step_context if len(keys) > 1 else None
    except dg.DagsterInvariantViolationError:  # a context that was built by hand has no step
        step = None
    if step is None:
        context.add_output_metadata(metadata)
    else:
        step.add_asset_metadata(metadata, asset_key=context.asset_key, partition_key=keys[-1])


def _partitions(context: dg.OutputContext) -> tuple[Range, ...]:
    """The run's partitions as one stretch of time, in UTC; none for an unpartitioned asset."""
    if not context.has_asset_partitions:
        return ()
    window = context.asset_partitions_time_window
    return ((_utc(window.start), _utc(window.end)),)


def _partitions_of(
    context: dg.OutputContext, request: ExtractRequest, place: Destination, *, replaces: bool
) -> tuple[Range, ...]:
    """What a replace clears; otherwise the run's partitions, for the ledger."""
    if replaces:
        return replaced_ranges(request, place.partition_key)
    return () if request.is_whole or not place.partition_key else _partitions(context)


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC)


@contextmanager
def _only_reports(context: dg.OutputContext) -> Iterator[None]:
    """The rows are committed: whatever fails here is a warning in the log, and never fails the load."""
    try:
        yield
    except Exception as error:
        said = f"{type(error).__name__}: {without_values(error)}"
        context.log.warning(f"The rows are in the table, but a report about them failed: {said}")
