"""This project as a library: fetch and land, without Dagster.

Options:
    connections: requests under way at once.
    attributions: for events, read campaign attributions too, as the asset does by default; the peers do not, so
        neither does this by default.
    rate_limits: keep to Klaviyo's rate limits. Off, the client's own limits are lifted: a server without limits would
        otherwise never be asked faster than Klaviyo allows.
    share: of Klaviyo's rate limits.
    resume: start at the watermark of the ledger minus ``lookback_days``, instead of at ``since``.
    stop_after: `fetch`; nothing is landed then.
    staging: the folder for staged pages, to be found again by a run after a kill.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
import uuid
from importlib import import_module
from pathlib import Path

from benchmarks.loaders.job import Job, given_job, report
from klaviyo_pipeline.klaviyo.catalogue.model import Source, Tier
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.client.settings import ClientSettings
from klaviyo_pipeline.klaviyo.endpoints.account import Account
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.loads.destination import Place
from klaviyo_pipeline.loads.load import Load, fetch, land
from klaviyo_pipeline.loads.request import LoadRequest
from klaviyo_pipeline.warehouse.database import Database

SCHEMA = "klaviyo"
UNLIMITED = Tier(10**6, 10**7)
ACCOUNT = Account("BENCHM", "UTC", "USD")
"""Not asked for: the peers do not ask either."""


def source_of(job: Job) -> Source:
    """The catalogue's source, without rate limits unless the job keeps to them."""
    source = SOURCES[job.source]
    return source if job.options.get("rate_limits") else dataclasses.replace(source, tier=(("", UNLIMITED),))


def load_of(job: Job) -> Load:
    """A load since the job's time, or since the last load, until now."""
    source = source_of(job)
    chosen = {"attributions": bool(job.options.get("attributions"))} if "attributions" in source.option_names else {}
    request = LoadRequest(
        source=source,
        options=source.choose(**chosen),
        start_time=None if job.options.get("resume") else job.since,
        lookback_days=job.options.get("lookback_days", 0),
        partition_key=source.time_fields[0].name,
    )
    return Load(
        request=request, place=Place(database=Database(job.database), table=source.name), run_id=uuid.uuid4().hex
    )


def main() -> None:
    """LandRequest the job's collection."""
    # What is imported when it is first needed, imported now, so that it is not in the time.
    import_module("duckdb")
    import_module("pyarrow")
    job = given_job()
    settings = ClientSettings(
        rate_limit_share=job.options.get("share", 1.0), max_connections=job.options.get("connections", 64)
    )
    staging = job.options.get("staging") or tempfile.mkdtemp(prefix="staging_", dir=Path(job.database).parent)
    began = time.perf_counter()
    client = KlaviyoClient(job.api_key, settings, base_url=job.url)
    ready = fetch(load_of(job), client, StagingArea(Path(staging)), ask_account=lambda _client: ACCOUNT)
    if ready is None:
        raise RuntimeError("nothing to load")
    staged = ready.staged
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
    landed = land(ready)
    ended = time.perf_counter()
    numbers |= {"inserted": landed.inserted, "updated": landed.updated, "unchanged": landed.unchanged}
    parts = {"fetch": round(fetched - began, 3), "land": round(ended - fetched, 3)}
    report(seconds=ended - began, parts=parts, table=f"{SCHEMA}.{job.source}", **numbers)


if __name__ == "__main__":
    main()
