"""This project as a library: extract and land, put together as the IO manager does it, without Dagster.

Options:
    connections: requests under way at once.
    attributions: for events, read campaign attributions too, as the asset does by default; the peers do not, so
        neither does this by default.
    rate_limits: keep to Klaviyo's rate limits. Off, the client's own limits are lifted: a server without limits would
        otherwise never be asked faster than Klaviyo allows.
    share: of Klaviyo's rate limits.
    resume: go on where the ledger says that the last load ended (less ``lookback_days``), instead of at ``since``.
    stop_after: `fetch`; nothing is landed then.
    staging: the folder for staged pages, to be found again by a run after a kill.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
import uuid
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

from benchmarks.loaders.job import Job, given_job, report
from klaviyo_pipeline.klaviyo.catalogue.model import Source, Tier
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.client.settings import ClientSettings
from klaviyo_pipeline.klaviyo.extract.extract import ExtractRequest, StagedExtract, extract
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.klaviyo.windows import Window
from klaviyo_pipeline.loads.table import table_of
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.landing import LandingResult, Load, TimeRange, land
from klaviyo_pipeline.warehouse.ledger import last_window_end
from klaviyo_pipeline.warehouse.write_modes import WriteMode

SCHEMA = "klaviyo"
UNLIMITED = Tier(10**6, 10**7)


def source_of(job: Job) -> Source:
    """The catalogue's source, without rate limits unless the job keeps to them."""
    source = SOURCES[job.source]
    return source if job.options.get("rate_limits") else dataclasses.replace(source, tier=(("", UNLIMITED),))


def request_of(job: Job, database: Database) -> ExtractRequest:
    """The window to load: since the job's time, or since the last load, until now."""
    source, now = source_of(job), datetime.now(UTC).replace(microsecond=0)
    start = datetime.fromisoformat(job.since)
    if job.options.get("resume"):
        last = last_window_end(database, source.name, f"{SCHEMA}.{source.name}")
        if last is None:
            raise RuntimeError("nothing has been loaded yet")
        # As orchestration.loads.window_of has it: a window is never empty.
        start = min(last, now - timedelta(seconds=1)) - timedelta(days=job.options.get("lookback_days", 0))
    if "attributions" in source.option_names:
        options = source.choose(attributions=bool(job.options.get("attributions")))
    else:
        options = source.choose()
    return ExtractRequest(source, Window(start, None, now), None, options)


def land_extract(database: Database, staged: StagedExtract) -> LandingResult:
    """Land an extract in merge mode, as the IO manager does."""
    request = staged.request
    source, window, time_field = request.source, request.window, request.time_field
    assert time_field is not None
    return land(
        database,
        Load(
            table=table_of(source, SCHEMA, None, request.options),
            rows=staged.files,
            mode=WriteMode.MERGE,
            source=source.name,
            run_id=uuid.uuid4().hex,
            extract_id=staged.extract_id,
            trim=TimeRange(time_field.name, window.start, window.end),
            partition_key=time_field.name,
            version_column=source.version_column,
            window=(window.start, window.watermark),
            filter_field=time_field.name,
            revision=staged.revision,
            requests=staged.traffic.requests,
            duration_s=staged.duration_s,
        ),
    )


def main() -> None:
    """Load the job's collection."""
    # What is imported when it is first needed, imported now, so that it is not in the time.
    import_module("duckdb")
    import_module("pyarrow")
    job = given_job()
    settings = ClientSettings(
        rate_limit_share=job.options.get("share", 1.0), max_connections=job.options.get("connections", 64)
    )
    database = Database(job.database)
    staging = job.options.get("staging") or tempfile.mkdtemp(prefix="staging_", dir=Path(job.database).parent)
    began = time.perf_counter()
    client = KlaviyoClient(job.api_key, settings, base_url=job.url)
    staged = extract(client, request_of(job, database), StagingArea(Path(staging)))
    fetched = time.perf_counter()
    numbers: dict[str, object] = {
        "rows": staged.rows,
        "requests": staged.traffic.requests,
        "throttled": staged.traffic.throttled,
        "slices": staged.progress.slices_done,
        "connections": staged.progress.connections,
        "resumed_rows": staged.progress.resumed_rows,
        "limit_wait_s": round(staged.waited_for_limit_s, 3),
    }
    if job.options.get("stop_after") == "fetch":
        report(seconds=fetched - began, staged=[str(file.path) for file in staged.files], **numbers)
        staged.keep()
        return
    landed = land_extract(database, staged)
    staged.landed()
    ended = time.perf_counter()
    numbers |= {"inserted": landed.inserted, "updated": landed.updated, "unchanged": landed.unchanged}
    parts = {"fetch": round(fetched - began, 3), "land": round(ended - fetched, 3)}
    report(seconds=ended - began, parts=parts, table=f"{SCHEMA}.{job.source}", **numbers)


if __name__ == "__main__":
    main()
