"""What a person sees of a load on an asset's page: counts that plot themselves, the window, the first rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from klaviyo_pipeline.klaviyo.catalogue.model import Source
from klaviyo_pipeline.loads.shown_columns import shown_columns
from klaviyo_pipeline.loads.table import DUCKDB_TYPES, EXTRA_COLUMN
from klaviyo_pipeline.redaction import redact, redact_values

if TYPE_CHECKING:
    import pyarrow as pa

    from klaviyo_pipeline.klaviyo.extract.model import StagedExtract
    from klaviyo_pipeline.warehouse.landing import LandingResult
    from klaviyo_pipeline.warehouse.range_counts import RangeCounts

ROW_COUNTS = (
    *("rows_fetched", "rows_repeated", "rows_inserted", "rows_updated"),
    *("rows_unchanged", "rows_deleted"),
)
PREVIEW_ROWS = 5
_PREVIEW_CHARACTERS = 60
_MASKED_CHARACTERS = 500
"""More than a preview's, so that an address at its end is seen whole."""
_PERSONAL = re.compile(
    r"([\w.+'-])[\w.+'-]*(?:@|%40|＠)([\w-]+\.[\w.-]+)"
    r"|\+\d(?:[ ().-]{0,2}\d){5,}|\(\d{2,5}\)(?:[ .-]?\d){5,}"
)


def column_schema(source: Source) -> dg.TableSchema:
    """The columns of a data source's table, with all options on."""
    constraints = {
        name: dg.TableColumnConstraints(nullable=False, unique=len(source.primary_key) == 1)
        for name in source.primary_key
    }
    columns = [
        dg.TableColumn(
            column.name,
            DUCKDB_TYPES[column.type],
            description=column.description,
            constraints=constraints.get(column.name),
        )
        for column in source.columns
    ]
    return dg.TableSchema([*columns, dg.TableColumn(EXTRA_COLUMN.name, EXTRA_COLUMN.type, EXTRA_COLUMN.comment)])


def row_counts(landed: LandingResult | RangeCounts) -> dict[str, int]:
    """What became of a load's rows, or of those of one partition."""
    found = landed.rows_fetched, landed.rows_repeated, landed.inserted, landed.updated, landed.unchanged, landed.deleted
    return dict(zip(ROW_COUNTS, found, strict=True))


def partition_metadata(counts: RangeCounts) -> dict[str, int]:
    """One partition's rows; the table's are in ``dagster/row_count``."""
    return {"dagster/partition_row_count": counts.total_rows, **row_counts(counts)}


def child_metadata(landed: LandingResult) -> dict[str, Any]:
    """The metadata of a child table, whose rows came along with a load."""
    return {"dagster/row_count": landed.total_rows, "dagster/table_name": landed.table_path, **row_counts(landed)}


def load_metadata(staged: StagedExtract, landed: LandingResult, timezone: str) -> dict[str, Any]:
    """A load's metadata. Numbers are plain, so that Dagster plots them over time."""
    window = staged.request.window
    seconds = max(staged.duration_s, 0.001)
    limit = staged.source.tier_for(staged.revision, staged.request.options)
    metadata: dict[str, Any] = {
        "dagster/row_count": landed.total_rows,
        "dagster/table_name": landed.table_path,
        **row_counts(landed),
        "rows_outside_window": landed.rows_outside_window,
        "rows_passed_over": staged.progress.rows_passed_over,
        "pages": staged.progress.pages,
        "requests": staged.traffic.requests,
        "retries": staged.traffic.retries,
        "throttled_requests": staged.traffic.throttled,
        "total_seconds": round(staged.duration_s + landed.lock_wait_s + landed.duration_s, 3),
        "fetch_seconds": round(staged.duration_s, 3),
        "land_seconds": round(landed.duration_s, 3),
        "lock_wait_seconds": round(landed.lock_wait_s, 3),
        "rate_limit_wait_seconds": round(staged.waited_for_limit_s, 3),
        "rows_per_second": round(landed.rows_fetched / seconds, 1),
        "rate_limit_used": limit.share_of_steady(staged.traffic.requests, staged.duration_s),
        "revision": staged.revision,
        "storage_timezone": timezone,
    }
    if staged.request.is_whole:
        metadata["window"] = "everything"
    else:
        start, end = window.start, window.end or window.now
        metadata["window"] = f"{start.isoformat() if start else 'beginning'} to {end.isoformat()}"
    if staged.written_revision != staged.revision:
        metadata["revision_written"] = staged.written_revision
    if landed.parts > 1:
        metadata["parts"] = landed.parts
    if landed.skipped:
        metadata["skipped"] = True
    if staged.findings.unknown:
        metadata["unknown_attributes"] = dict(staged.findings.unknown)
    metadata["type_misfits"] = sum(staged.findings.misfits.values())
    if staged.findings.misfits:
        metadata["type_misfits_by_column"] = dict(staged.findings.misfits)
    if staged.findings.vanished:
        metadata["vanished"] = sorted(staged.findings.vanished)
    return {name: redact_values(value) for name, value in metadata.items()}  # Klaviyo names attributes and ids


def preview(
    batches: Iterable[pa.RecordBatch], source: Source, rows: int = PREVIEW_ROWS
) -> dg.MetadataValue[Any] | None:
    """The first rows as a table, columns that may be personal left out: this is kept in Dagster's storage."""
    from klaviyo_pipeline.klaviyo.decode.arrays import python_rows

    records: list[dg.TableRecord] = []
    for batch in batches:
        shown = batch.select(shown_columns(source, batch.schema.names))
        records += [
            dg.TableRecord({name: _cell(value) for name, value in row.items()})
            for row in python_rows(shown.slice(0, rows - len(records)))
        ]
        if len(records) >= rows:
            break
    return dg.MetadataValue.table(records) if records else None


def preview_table(
    columns: Iterable[tuple[str, str]], rows: Iterable[Mapping[str, Any]], source: Source
) -> dg.MetadataValue[Any]:
    """Rows as a table with its columns' types; columns that may be personal are left out as above."""
    kinds = dict(columns)
    shown = shown_columns(source, list(kinds))
    schema = dg.TableSchema([dg.TableColumn(name, kinds[name]) for name in shown])
    records = [dg.TableRecord({name: _cell(row[name]) for name in shown}) for row in rows]
    return dg.MetadataValue.table(records, schema)


def _cell(value: Any) -> str | int | float | bool | None:  # noqa: ANN401
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    # Only the beginning is looked at: on a megabyte of HTML the search for addresses takes minutes.
    shown = mask(redact(text[:_MASKED_CHARACTERS]))
    whole = len(text) <= _MASKED_CHARACTERS and len(shown) <= _PREVIEW_CHARACTERS
    return shown if whole else shown[: _PREVIEW_CHARACTERS - 1] + "…"


def mask(text: str) -> str:
    """Text with mail addresses and phone numbers made unreadable."""
    return _PERSONAL.sub(lambda found: f"{found[1]}…@{found[2]}" if found[1] else f"{found[0][:4]}…", text)
